"""Command line of the Kafka trigger: reads mappings, runs each, ends on a signal after what is in flight.

Exit codes: 0 after a stop, 1 when a mapping's thread ended by itself, 2 when the mappings cannot be played.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event

from local_runtime.kafka_trigger.consumer import connect
from local_runtime.kafka_trigger.event_shape import EventShape
from local_runtime.kafka_trigger.invoker import Invoker, LambdaInvoker, make_client
from local_runtime.kafka_trigger.mapping import Mapping, MappingRefused, parse_mapping
from local_runtime.kafka_trigger.poller import GapHealingPoller
from local_runtime.kafka_trigger.progress import Progress
from local_runtime.kafka_trigger.runner import IN_FLIGHT_MAX, MappingRunner
from local_runtime.kafka_trigger.stack import DeployedStack
from local_runtime.kafka_trigger.status import serve_status
from local_runtime.kafka_trigger.template import load_template, read_mappings
from local_runtime.kafka_trigger.watermarks import read_watermarks

WATCH_SECONDS = 0.5
GRACE_SECONDS = 8.0  # below the 10 s after which whoever stops the stack kills
CLOSE_SECONDS_MAX = 6.0  # a last commit to a broker that is gone gives up after 5 s
STATUS_PORT = 9464

log = logging.getLogger("local_runtime.kafka_trigger")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line; its help is the documentation of the trigger used by itself."""
    parser = argparse.ArgumentParser(
        prog="python -m local_runtime.kafka_trigger",
        description="Plays AWS Lambda's Kafka event source mapping on any Kafka and any Lambda endpoint: at least "
        "once, in order per partition, batch size, window, 6 MB limit, AWS's event, retry until success.",
    )
    parser.add_argument("--bootstrap-servers", required=True, help="Kafka, as host:port[,host:port]")
    parser.add_argument("--endpoint-url", help="Lambda and CloudFormation endpoint; without it: AWS")
    parser.add_argument("--template", type=Path, help="read this file's AWS::Lambda::EventSourceMapping resources")
    parser.add_argument("--stack-name", help="the deployed stack of that template")
    parser.add_argument(
        "--mapping",
        action="append",
        default=[],
        metavar="JSON",
        help='a mapping by itself, repeatable: {"FunctionName":"f","Topics":["t"],"BatchSize":100,'
        '"MaximumBatchingWindowInSeconds":1,"ConsumerGroupId":"g","StartingPosition":"TRIM_HORIZON"}',
    )
    parser.add_argument(
        "--kafka",
        choices=("tansu", "kafka"),
        default="tansu",
        help="tansu (default): offsets have no holes, go back when one shows; kafka: only count them, since "
        "compaction and transactions leave holes on purpose",
    )
    parser.add_argument("--status-port", type=int, default=STATUS_PORT, help="JSON at / and /ready; 0: a free port")
    parser.add_argument("--max-in-flight", type=int, default=IN_FLIGHT_MAX, help="invocations at once a mapping")
    parser.add_argument("--grace-seconds", type=float, default=GRACE_SECONDS, help="for what is in flight at stop")
    return parser


def collect_mappings(options: argparse.Namespace) -> list[Mapping]:
    """Return the mappings of the command line.

    Raises:
        MappingRefused: none, or one that cannot be played.
    """
    mappings = [parse_mapping(text) for text in options.mapping]
    if options.template:
        if not options.stack_name:
            raise MappingRefused("--template needs --stack-name: functions get their names from the stack")
        stack = DeployedStack(make_client("cloudformation", options.endpoint_url), options.stack_name)
        mappings += read_mappings(load_template(options.template), stack)
    if not mappings:
        raise MappingRefused("no mapping: give --mapping, or a --template that has one")
    names = [(mapping.topic, mapping.group) for mapping in mappings]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise MappingRefused(f"two mappings share topic and consumer group: {sorted(twice)}")
    return mappings


def build_runner(options: argparse.Namespace, progress: Progress, invoker: Invoker) -> MappingRunner:
    """Wire one mapping."""
    mapping = progress.mapping
    shape = EventShape.of(mapping.topic, options.bootstrap_servers, mapping.event_source, mapping.event_source_arn)

    def open_poller() -> GapHealingPoller:
        return GapHealingPoller(
            connect(options.bootstrap_servers, mapping.group),
            mapping.topic,
            partial(read_watermarks, options.bootstrap_servers),
            starts_at_end=mapping.starting_position == "LATEST",
            heals_gaps=options.kafka == "tansu",
        )

    return MappingRunner(
        progress,
        shape,
        open_poller,
        invoker,
        in_flight_max=options.max_in_flight,
        grace_seconds=options.grace_seconds,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; return the exit code."""
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # The client logs every reconnect of a broker that is away; the mapping's own line says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        mappings = collect_mappings(options)
    except MappingRefused as error:
        print(f"kafka trigger: {error}", file=sys.stderr)
        return 2
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    progress = [Progress(mapping, "starting" if mapping.enabled else "disabled") for mapping in mappings]
    try:
        server = serve_status(progress, options.status_port)
    except OSError as error:
        print(f"kafka trigger: status port {options.status_port}: {error}", file=sys.stderr)
        return 2
    address = f"http://127.0.0.1:{server.server_port}/"
    print(f"kafka trigger: {len(mappings)} mappings, status on {address}", flush=True)
    invoker = LambdaInvoker(options.endpoint_url, options.max_in_flight * len(mappings))
    runners = [build_runner(options, one, invoker) for one in progress if one.mapping.enabled]
    return serve(runners, stopping, options.grace_seconds)


def serve(runners: Sequence[MappingRunner], stopping: Event, grace_seconds: float) -> int:
    """Run the mappings until `stopping` is set or one of them ends by itself."""
    for runner in runners:
        runner.start()
    crashed: list[str] = []
    while not stopping.wait(WATCH_SECONDS) and not crashed:
        crashed = [runner.name for runner in runners if not runner.is_alive()]
    for runner in runners:
        runner.stop()
    deadline = time.monotonic() + grace_seconds + CLOSE_SECONDS_MAX
    for runner in runners:
        runner.join(max(0.0, deadline - time.monotonic()))
    if crashed:
        log.error("ended by itself: %s", ", ".join(crashed))
    return 1 if crashed else 0


if __name__ == "__main__":
    sys.exit(main())
