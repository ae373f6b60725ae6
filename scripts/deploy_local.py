"""Deploy to an emulator that runs somewhere else: `python -m scripts.deploy_local --endpoint-url URL --kafka ... `.

The code is that of `make up`; brokers, ClickHouse and cache are named as the functions reach them.
`--localstack-community` is for LocalStack without a licence, which keeps layers and does not use them, runs no
authorizer and refuses Kafka mappings: the functions then carry their packages, check keys themselves (they always can)
and are invoked by our own trigger. Prints where the API answers and writes `connection.json` with the keys into
TALLYSTREAM_STATE_DIR. Run again, it updates.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from event_analytics.adapters.aws_session import aws_session
from local_runtime import api_keys
from local_runtime.assembly import FAILURES
from local_runtime.build import LayerTarget
from local_runtime.connection import FILE_NAME, Connection
from local_runtime.deploy import DeployedStack, StackSettings, deploy
from local_runtime.settings import LocalSettings

COMMUNITY_PARAMETERS: Final = {"KafkaEventSource": "none"}
EXIT_FAILED: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(arguments)
    settings = LocalSettings.from_env()
    session = aws_session(given.endpoint_url)
    try:
        deployed = deploy(
            settings.repository,
            given.endpoint_url,
            session,
            stack_settings(given),
            settings.state_dir / "build",
            target=target_of(given),
        )
        keys = api_keys.load_or_mint(settings.state_dir)
        api_keys.publish(keys, session.client("secretsmanager"), deployed.keys_secret_id)
    except FAILURES as failure:
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        return EXIT_FAILED
    connection = describe(given, deployed, keys)
    connection.write(settings.state_dir)
    print(f"API: {connection.api_url}\nkeys: {settings.state_dir / FILE_NAME}")
    return 0


def stack_settings(given: argparse.Namespace) -> StackSettings:
    """What the parameters are made of."""
    settings = StackSettings(
        kafka_bootstrap=given.kafka,
        clickhouse_url=given.clickhouse_url,
        stream_epoch=given.stream_epoch,
        kafka_durability="disk",
        is_bundled=given.localstack_community,
        stack_name=given.stack_name,
        extra={"CacheUrl": given.cache_url},
    )
    extra = settings.extra | (COMMUNITY_PARAMETERS if given.localstack_community else {})
    return replace(settings, extra=extra)


def target_of(given: argparse.Namespace) -> LayerTarget:
    """AWS's own images run the functions of LocalStack; this interpreter those of the embedded endpoint."""
    host = LayerTarget.for_this_host()
    return LayerTarget.for_lambda(host.runtime, host.architecture) if given.localstack_community else host


def describe(given: argparse.Namespace, deployed: DeployedStack, keys: api_keys.ApiKeys) -> Connection:
    """How people on this machine reach the stack, whose parts know each other by other names."""
    visible = given.visible_endpoint_url or given.endpoint_url
    return Connection(
        api_url=deployed.api_url.replace(given.endpoint_url, visible, 1),
        write_key=keys.write_key,
        read_key=keys.read_key,
        admin_key=keys.admin_key,
        kafka=given.visible_kafka or given.kafka,
        clickhouse_url=given.visible_clickhouse_url or given.clickhouse_url,
        aws_endpoint=visible,
        archive_bucket=deployed.archive_bucket,
        stack_name=deployed.stack_name,
        trigger_status_url="",
        kafka_durability="disk",
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.deploy_local", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endpoint-url", required=True, help="of the emulator")
    parser.add_argument("--kafka", required=True, help="brokers as the functions reach them, host:port")
    parser.add_argument("--clickhouse-url", required=True, help="as the functions reach it")
    parser.add_argument("--cache-url", default="", help="as the functions reach it; none without")
    parser.add_argument("--stack-name", default="tallystream")
    parser.add_argument("--stream-epoch", default="1", help="another whenever the topics begin at offset 0 again")
    parser.add_argument("--localstack-community", action="store_true", help="see above")
    for name in ("endpoint-url", "kafka", "clickhouse-url"):
        parser.add_argument(f"--visible-{name}", default="", help="the same as seen from this machine, if it differs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
