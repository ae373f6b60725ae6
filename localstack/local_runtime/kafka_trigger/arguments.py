"""The trigger's command line; its help is the documentation of the trigger used by itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from local_runtime.kafka_trigger.pollers import INVOCATIONS_PER_POLLER, SCALING_SECONDS

GRACE_SECONDS = 8.0  # below the 10 s after which whoever stops the stack kills
BACKOFF_SECONDS_MAX = 5.0
STATUS_PORT = 9464

DESCRIPTION = """Plays AWS Lambda's Kafka event source mapping on any Kafka and any Lambda endpoint: AWS's event,
batch size, window, 6 MB limit, filters, retries, bisecting, partial failures, destinations; at least once, in order
per partition. docs/kafka_trigger.md has it point by point beside AWS."""

EXAMPLE = """example: every record of topic `orders` to the function `handle-order` of a LocalStack or MiniStack
  python -m local_runtime.kafka_trigger --bootstrap-servers localhost:9092 --endpoint-url http://localhost:4566 \\
    --mapping '{"FunctionName": "handle-order", "Topics": ["orders"], "BatchSize": 500}'
pause it, as on AWS:
  aws lambda list-event-source-mappings --endpoint-url http://localhost:9464
  aws lambda update-event-source-mapping --uuid UUID --no-enabled --endpoint-url http://localhost:9464"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m local_runtime.kafka_trigger",
        description=DESCRIPTION,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bootstrap-servers", required=True, help="Kafka, as host:port[,host:port]")
    parser.add_argument("--endpoint-url", help="endpoint of Lambda and the other AWS services; without it: AWS")
    _add_sources(parser)
    _add_tuning(parser)
    return parser


def _add_sources(parser: argparse.ArgumentParser) -> None:
    sources = parser.add_argument_group("mappings", "from one or several of these; more can come over the status port")
    sources.add_argument(
        "--mapping",
        action="append",
        default=[],
        metavar="JSON",
        help="a mapping by itself, repeatable, with the properties of AWS::Lambda::EventSourceMapping",
    )
    sources.add_argument("--template", type=Path, help="this CloudFormation or SAM template's EventSourceMappings")
    sources.add_argument("--stack-name", help="the deployed stack of that template")
    sources.add_argument(
        "--from-lambda",
        action="store_true",
        help="those that the endpoint's Lambda API lists, followed while it changes (MiniStack forgets the topic)",
    )


def _add_tuning(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kafka",
        choices=("kafka", "tansu"),
        default="kafka",
        help="kafka (default; MSK and Redpanda too): offsets without a record are only counted, since compaction and "
        "transactions leave them; tansu: offsets have no holes, go back when one shows",
    )
    parser.add_argument(
        "--status-port",
        type=int,
        default=STATUS_PORT,
        help="JSON at /, /ready, Prometheus at /metrics, Lambda's event source mapping API; 0: any free port",
    )
    parser.add_argument(
        "--max-in-flight", type=int, default=INVOCATIONS_PER_POLLER, help="invocations at once, for each poller"
    )
    parser.add_argument(
        "--scaling-seconds",
        type=float,
        default=SCALING_SECONDS,
        help="how long a batch of several partitions may fail before they get pollers of their own (AWS: minutes)",
    )
    parser.add_argument(
        "--backoff-seconds-max", type=float, default=BACKOFF_SECONDS_MAX, help="longest pause between two tries"
    )
    parser.add_argument("--grace-seconds", type=float, default=GRACE_SECONDS, help="for what is in flight at stop")
    parser.add_argument(
        "--chaos-rebalance-seconds",
        type=float,
        default=0.0,
        help="every so many seconds, rebalance in the middle of whatever is in flight: batches come again with other "
        "borders, as on AWS when it scales",
    )
