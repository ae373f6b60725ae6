"""Measures the trigger: events per second through one mapping with a function that does nothing, and where time goes.

Starts a broker, an endpoint that answers at once and a trigger, each a process of its own on this machine. The rate
is from the first record polled to the last one committed; processor time is the trigger's own, its start left out.
The stages are then run one by one in this process over the same records.

    python -m local_runtime.kafka_trigger.bench --events 300000 --mappings 2
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

from kafka import KafkaProducer

from local_runtime import tansu
from local_runtime.kafka_trigger.batch import Batch
from local_runtime.kafka_trigger.batching import Lane, Limits, cut_batch
from local_runtime.kafka_trigger.consumer import connect
from local_runtime.kafka_trigger.event_shape import EventShape
from local_runtime.kafka_trigger.intake import Inbox
from local_runtime.kafka_trigger.invoker import LambdaInvoker
from local_runtime.kafka_trigger.poller import GapHealingPoller
from local_runtime.kafka_trigger.positions import Fetched

Result = TypeVar("Result")

TOPIC, PARTITIONS, FUNCTION = "bench", 8, "noop"
USERS = 1000
BATCH_SIZE = 10_000
WATCH_SECONDS = 0.02
WAIT_SECONDS_MAX = 300.0
MICRO = 1_000_000


class DoesNothing(BaseHTTPRequestHandler):
    """Lambda's Invoke for a function that returns null at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the event, answer null."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"null")

    def log_message(self, *_: object) -> None:
        """Print nothing: it would be measured."""


@contextmanager
def running(*command: str) -> Iterator[None]:
    """Run a process around the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def find_free_port() -> int:
    """Return a port of 127.0.0.1 that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def is_listening(port: int) -> bool:
    """Tell whether somebody listens there; raises OSError if not."""
    socket.create_connection(("127.0.0.1", port), WATCH_SECONDS).close()
    return True


def wait_for(what: Callable[[], object]) -> None:
    """Return once it is true; an address that does not answer yet is not."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            if what():
                return
        except OSError:
            pass
        time.sleep(WATCH_SECONDS)
    raise TimeoutError(f"not within {WAIT_SECONDS_MAX:.0f} s")


def produce(servers: str, events: int, value_bytes: int) -> None:
    """Fill the topic with events that do not compress away."""
    tansu.create_topics(servers, {TOPIC: PARTITIONS})
    producer = KafkaProducer(
        bootstrap_servers=servers,
        linger_ms=20,
        batch_size=262_144,
        compression_type="lz4",
        enable_idempotence=False,
    )
    for number in range(events):
        value = os.urandom(value_bytes // 4).hex().encode().ljust(value_bytes, b"x")
        producer.send(TOPIC, value, key=b"user-%d" % (number % USERS), partition=number % PARTITIONS)
    producer.flush()
    producer.close()


def run_trigger(servers: str, endpoint_url: str, events: int, mappings: int) -> tuple[float, float]:
    """Return events per second of each mapping, and the trigger's CPU microseconds per event and mapping."""
    port = find_free_port()
    common = {"FunctionName": FUNCTION, "Topics": [TOPIC], "BatchSize": BATCH_SIZE}
    named = [json.dumps({**common, "Name": f"m{one}", "ConsumerGroupId": f"g{one}"}) for one in range(mappings)]
    command = [sys.executable, "-m", "local_runtime.kafka_trigger", "--bootstrap-servers", servers]
    command += ["--kafka", "tansu", "--endpoint-url", endpoint_url, "--status-port", str(port)]

    def read() -> tuple[float, list[dict[str, int]]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:  # nosec B310
            document = json.load(answer)
        return document["process_cpu_seconds"], document["mappings"]

    with running(*command, *[word for mapping in named for word in ("--mapping", mapping)]):
        wait_for(lambda: any(one["polled"] for one in read()[1]))
        began, (cpu_before, counts) = time.monotonic(), read()
        already = sum(one["committed"] for one in counts)
        wait_for(lambda: all(one["committed"] >= events for one in read()[1]))
        seconds, cpu = time.monotonic() - began, read()[0] - cpu_before
    done = events * mappings - already
    return done / mappings / seconds, cpu / done * MICRO


def measure_stages(servers: str, endpoint_url: str, events: int) -> dict[str, float]:
    """Return CPU microseconds per event of each stage alone."""
    shape = EventShape.of(TOPIC, servers, "aws:kafka", "arn")
    lanes = {number: Lane(number, shape.partition(number)) for number in range(PARTITIONS)}
    poller = GapHealingPoller(connect(servers, "bench-stages"), TOPIC, lambda parts: dict.fromkeys(parts, 0))
    poller.assign_partitions()
    invoker, limits = LambdaInvoker(endpoint_url, 1), Limits(BATCH_SIZE, 0, shape.frame_bytes)
    inbox, spent, taken = Inbox(None), dict.fromkeys(("fetch", "encode", "batch", "invoke"), 0.0), 0

    def send(batch: Batch) -> int:
        payload = _timed(spent, "batch", lambda: batch.payload(shape))
        _timed(spent, "invoke", lambda: invoker.invoke(FUNCTION, payload))
        for lane in lanes.values():
            lane.is_busy = False
        return batch.count

    while taken < events:
        fetched: list[Fetched] = _timed(spent, "fetch", lambda: poller.poll(0.1))
        inbox.put(fetched, 0.0)
        while _timed(spent, "encode", lambda: inbox.unpack_into(lanes)).records:
            while batch := _timed(spent, "batch", lambda: cut_batch(lanes.values(), limits)):
                taken += send(batch)
    poller.close()
    return {stage: seconds / events * MICRO for stage, seconds in spent.items()}


def _timed(spent: dict[str, float], stage: str, act: Callable[[], Result]) -> Result:
    began = time.process_time()
    result = act()
    spent[stage] += time.process_time() - began
    return result


def main() -> int:
    """Print what was measured; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local_runtime.kafka_trigger.bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--bytes", type=int, default=400, help="of each event's value")
    parser.add_argument("--mappings", type=int, default=1, help="of the one topic, each with a group of its own")
    parser.add_argument("--endpoint-port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.endpoint_port:
        ThreadingHTTPServer(("127.0.0.1", options.endpoint_port), DoesNothing).serve_forever()
    broker_port, endpoint_port = find_free_port(), find_free_port()
    servers, endpoint_url = f"127.0.0.1:{broker_port}", f"http://127.0.0.1:{endpoint_port}"
    endpoint = (sys.executable, "-m", "local_runtime.kafka_trigger.bench", "--endpoint-port", str(endpoint_port))
    with running(*tansu.broker_command(broker_port)), running(*endpoint):
        wait_for(lambda: is_listening(broker_port))
        produce(servers, options.events, options.bytes)
        rate, micros = run_trigger(servers, endpoint_url, options.events, options.mappings)
        print(f"{rate:,.0f} events/s through each of {options.mappings}, {micros:.2f} us of CPU per event and mapping")
        stages = measure_stages(servers, endpoint_url, options.events)
    total = sum(stages.values())
    for stage, spent in stages.items():
        print(f"  {stage:<8}{spent:6.2f} us {spent / total:5.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
