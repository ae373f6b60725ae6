"""Runs the Kafka trigger: reads mappings, runs each, ends on a signal after what is in flight.

Exit codes: 0 after a stop, 1 when a mapping's thread ended by itself, 2 when the mappings cannot be played.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event

from local_runtime.kafka_trigger.arguments import build_parser
from local_runtime.kafka_trigger.consumer import connect, set_fetch_wait
from local_runtime.kafka_trigger.destinations import AwsDestinations
from local_runtime.kafka_trigger.dispatch import Backoff, Ports
from local_runtime.kafka_trigger.event_shape import EventShape
from local_runtime.kafka_trigger.failure_record import Origin
from local_runtime.kafka_trigger.invoker import LambdaInvoker, make_client
from local_runtime.kafka_trigger.lambda_mappings import LambdaMappings
from local_runtime.kafka_trigger.mapping import LATEST, Mapping, MappingRefused
from local_runtime.kafka_trigger.poller import GapHealingPoller
from local_runtime.kafka_trigger.positions import Start
from local_runtime.kafka_trigger.progress import Progress
from local_runtime.kafka_trigger.properties import parse_mapping, refuse_future_start
from local_runtime.kafka_trigger.runner import MappingRunner, Tuning
from local_runtime.kafka_trigger.stack import DeployedStack
from local_runtime.kafka_trigger.status import serve_status
from local_runtime.kafka_trigger.supervisor import StartRunner, Supervisor
from local_runtime.kafka_trigger.template import load_template, read_mappings
from local_runtime.kafka_trigger.watermarks import read_lags_now, read_watermarks

WATCH_SECONDS = 0.5
FOLLOW_SECONDS = 2.0  # how soon a change at the endpoint's Lambda API is seen
CONNECTIONS_MAX = 64  # to the endpoint: invocations at once, all mappings together
GIVEN, LISTED = "command line", "lambda"

log = logging.getLogger("local_runtime.kafka_trigger")


def collect_mappings(options: argparse.Namespace) -> list[Mapping]:
    """Return the mappings that the command line names.

    Raises:
        MappingRefused: none where none can come later, or one that cannot be played.
    """
    mappings = [parse_mapping(text) for text in options.mapping]
    if options.template:
        if not options.stack_name:
            raise MappingRefused("--template needs --stack-name: functions get their names from the stack")
        stack = DeployedStack(make_client("cloudformation", options.endpoint_url), options.stack_name)
        mappings += read_mappings(load_template(options.template), stack)
    if not mappings and not options.from_lambda:
        raise MappingRefused("no mapping: give --mapping, --from-lambda, or a --template that has one")
    for mapping in mappings:
        refuse_future_start(mapping, int(time.time() * 1000))
    names = [(mapping.topic, mapping.group) for mapping in mappings]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise MappingRefused(f"two mappings share topic and consumer group: {sorted(twice)}")
    return mappings


def make_runners(options: argparse.Namespace) -> StartRunner:
    """Return what wires the runner of a mapping; all share the clients of the endpoint."""
    servers = options.bootstrap_servers
    invoker = LambdaInvoker(options.endpoint_url, CONNECTIONS_MAX)
    destinations = AwsDestinations(options.endpoint_url, servers)
    tuning = Tuning(
        invocations_per_poller=options.max_in_flight,
        scaling_seconds=options.scaling_seconds,
        grace_seconds=options.grace_seconds,
        backoff=Backoff(most_seconds=options.backoff_seconds_max),
        chaos_seconds=options.chaos_rebalance_seconds,
    )

    def make(progress: Progress) -> MappingRunner:
        mapping = progress.mapping
        arn = mapping.event_source_arn
        shape = EventShape.of(mapping.topic, servers, mapping.event_source, arn)
        origin = Origin(mapping.function_arn, mapping.uuid, servers, arn, shape)
        open_poller = partial(_open_poller, servers, mapping, heals_gaps=options.kafka == "tansu")
        return MappingRunner(progress, open_poller, Ports(invoker, destinations, origin), tuning)

    return make


def _open_poller(servers: str, mapping: Mapping, *, heals_gaps: bool) -> GapHealingPoller:
    consumer = connect(servers, mapping.group)
    return GapHealingPoller(
        consumer,
        mapping.topic,
        partial(read_watermarks, servers),
        start=Start(mapping.starting_position == LATEST, mapping.starting_timestamp_ms),
        heals_gaps=heals_gaps,
        set_fetch_wait=partial(set_fetch_wait, consumer),
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
    supervisor = Supervisor(make_runners(options), options.grace_seconds)
    try:
        server = serve_status(supervisor, options.status_port, partial(read_lags_now, options.bootstrap_servers))
    except OSError as error:
        print(f"kafka trigger: status port {options.status_port}: {error}", file=sys.stderr)
        return 2
    supervisor.reconcile(mappings, GIVEN)
    address = f"http://127.0.0.1:{server.server_port}/"
    print(f"kafka trigger: {len(mappings)} mappings, status on {address}", flush=True)
    follow = _make_follower(options, supervisor) if options.from_lambda else lambda: None
    return serve(supervisor, stopping, follow)


def _make_follower(options: argparse.Namespace, supervisor: Supervisor) -> Callable[[], None]:
    """Return what makes the endpoint's mappings run, at most every `FOLLOW_SECONDS`."""
    source = LambdaMappings(make_client("lambda", options.endpoint_url))
    due = [0.0]

    def follow() -> None:
        if time.monotonic() < due[0]:
            return
        mappings = source.read()
        if mappings is not None:
            for refusal in supervisor.reconcile(mappings, LISTED):
                source.warn(str(refusal))
        due[0] = time.monotonic() + FOLLOW_SECONDS

    return follow


def serve(supervisor: Supervisor, stopping: Event, follow: Callable[[], None]) -> int:
    """Run the mappings until `stopping` is set or one of them ends by itself."""
    crashed: list[str] = []
    while not stopping.is_set() and not crashed:
        follow()
        crashed = supervisor.crashed()
        stopping.wait(WATCH_SECONDS)
    supervisor.stop()
    if crashed:
        log.error("ended by itself: %s", ", ".join(crashed))
    return 1 if crashed else 0


if __name__ == "__main__":
    sys.exit(main())
