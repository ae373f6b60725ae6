"""`make invoke FUNCTION=load EVENT=tests/events/msk.json`: one call of one function of the running stack.

The event goes through the Lambda API as it stands in the file. What the function logged and what it answered
is printed; the exit code says whether it raised.
"""

import argparse
import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from event_analytics.adapters.aws_session import aws_session
from local_runtime.connection import Connection
from local_runtime.deploy import FUNCTIONS
from local_runtime.settings import LocalSettings
from scripts.failures import FileUnreadable, GaveUp, NotRunning, ScriptFailed

PAYLOAD_BYTES_MAX: Final = 6 * 1024 * 1024  # of a synchronous invocation, in AWS and so here


@dataclass(frozen=True, slots=True)
class Invoked:
    """What came back: the answer as text, the last 4 kB of the log, and the kind of error if it raised."""

    answer: str
    log_tail: str
    error: str | None


def read_event(path: Path) -> bytes:
    """The event's bytes, checked to be JSON that Lambda would take.

    Raises:
        FileUnreadable: no file, no JSON, or more than an invocation carries.
    """
    try:
        content = path.read_bytes()
        json.loads(content)
    except OSError as problem:
        raise FileUnreadable(f"{path}: {problem.strerror}") from problem
    except ValueError as problem:
        raise FileUnreadable(f"{path} is not JSON: {problem}") from problem
    if len(content) > PAYLOAD_BYTES_MAX:
        raise FileUnreadable(f"{path}: {len(content):,} bytes; an invocation carries {PAYLOAD_BYTES_MAX:,}")
    return content


def invoke(session: Any, stack_name: str, function: str, payload: bytes) -> Invoked:
    """Call the function of the stack and wait for its answer."""
    logical_id = f"{function.capitalize()}Function"
    found = session.client("cloudformation").describe_stack_resource(StackName=stack_name, LogicalResourceId=logical_id)
    answer = session.client("lambda").invoke(
        FunctionName=found["StackResourceDetail"]["PhysicalResourceId"], Payload=payload, LogType="Tail"
    )
    return Invoked(
        answer=answer["Payload"].read().decode(),
        log_tail=base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"),
        error=answer.get("FunctionError"),
    )


def run(function: str, event: Path) -> int:
    """Invoke on this checkout's stack and print what came of it; 0 when the function returned."""
    connection = Connection.read(LocalSettings.from_env().state_dir)
    if connection is None:
        raise NotRunning("no stack runs for this checkout: start it with `make up`")
    payload = read_event(event)
    try:
        invoked = invoke(aws_session(connection.aws_endpoint), connection.stack_name, function, payload)
    except (BotoCoreError, ClientError) as problem:
        raise GaveUp(f"{connection.aws_endpoint} did not run the function: {problem}") from problem
    print(invoked.log_tail.rstrip(), end="\n\n")
    print(_readable(invoked.answer))
    return 1 if invoked.error else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="make invoke", description=__doc__.splitlines()[0])
    parser.add_argument("function", choices=FUNCTIONS, help="FUNCTION=, one of the template's functions")
    parser.add_argument("event", type=Path, help="EVENT=, a JSON file such as those in tests/events/")
    given = parser.parse_args(arguments)
    try:
        return run(given.function, given.event)
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code


def _readable(answer: str) -> str:
    try:
        return json.dumps(json.loads(answer), indent=2, ensure_ascii=False)
    except ValueError:
        return answer


if __name__ == "__main__":
    sys.exit(main())
