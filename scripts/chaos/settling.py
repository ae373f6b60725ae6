"""Waits until everything that was acknowledged has arrived: topics read, spool drained, pending changes folded."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.spool import SPOOL_PREFIX
from local_runtime import lag
from local_runtime.connection import Connection
from scripts.failures import GaveUp

SETTLE_SECONDS_MAX: Final = 900.0  # a killed drain keeps its lease for 100 s; a busy machine reads on slowly
POLL_SECONDS: Final = 0.5
_JOBS: Final = {"jobs": ["fold_pending", "drain_spool", "build_rollups"]}
_FUNCTION: Final = "ReportFunction"

Say = Callable[[str], None]


def settle(connection: Connection, say: Say, seconds_max: float = SETTLE_SECONDS_MAX) -> None:
    """Return once no mapping lags, the spool is empty and a fold pass ran after both.

    Raises:
        GaveUp: something is still left after the time; the message says what.
    """
    deadline = time.monotonic() + seconds_max
    session = aws_session(connection.aws_endpoint)
    spool = S3ObjectStore(connection.archive_bucket, session.client("s3"))
    while True:
        left = _lagging(connection.trigger_status_url)
        problem = run_report(session, connection.stack_name)
        spooled = sum(1 for _ in spool.list(SPOOL_PREFIX))
        if not left and not problem and not spooled and not _lagging(connection.trigger_status_url):
            run_report(session, connection.stack_name)  # what the drain published may have been changes
            return
        state = f"{left or 'no lag'}, {spooled} objects in the spool{', ' if problem else ''}{problem}"
        say(f"settling: {state}")
        if time.monotonic() > deadline:
            raise GaveUp(f"not settled after {seconds_max:.0f} s: {state}")
        time.sleep(POLL_SECONDS)


def run_report(session: Any, stack_name: str) -> str:
    """Invoke the scheduled jobs once; what went wrong, "" if nothing did."""
    found = session.client("cloudformation").describe_stack_resource(StackName=stack_name, LogicalResourceId=_FUNCTION)
    name = found["StackResourceDetail"]["PhysicalResourceId"]
    try:
        answer = session.client("lambda").invoke(FunctionName=name, Payload=json.dumps(_JOBS).encode())
    except (BotoCoreError, ClientError) as error:
        return f"{type(error).__name__}: {error}"
    text = str(answer["Payload"].read().decode("utf-8", "replace"))
    return text[:300] if "FunctionError" in answer else ""


def _lagging(status_url: str) -> dict[str, int | None]:
    lag.wait_until_drained(status_url)
    seen = lag.read_lag(status_url)
    return {name: records for name, records in seen.items() if records != 0} if seen else {"trigger": None}
