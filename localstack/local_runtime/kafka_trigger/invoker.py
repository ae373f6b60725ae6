"""Lambda Invoke over any endpoint: one call, one verdict.

Tells apart who is to blame (the function, the concurrency limit, the endpoint), because only a function's own
error says something about the records. When to try again is decided in `runner`.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, Protocol

FUNCTION_SECONDS_MAX = 900  # Lambda's longest function
# Above the function's own limit: a read that gives up first would start a second run beside the first.
READ_TIMEOUT_SECONDS = FUNCTION_SECONDS_MAX + 10
CONNECT_TIMEOUT_SECONDS = 5
LOCAL_REGION = "us-east-1"
LOCAL_KEY = "test"  # what emulators take for account 000000000000
ERROR_TEXT_MAX = 400  # characters of a function's error that stand in log and status
THROTTLING_CODES = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
HTTP_TOO_MANY_REQUESTS = 429


class Blame(Enum):
    """Whose fault a failed invocation is."""

    FUNCTION = "function error"
    THROTTLED = "throttled"
    ENDPOINT = "endpoint"


class InvokeFailed(Exception):  # noqa: N818 - a name, not a grade
    """The invocation did not succeed; the same batch has to be sent again."""

    def __init__(self, blame: Blame, reason: str) -> None:
        super().__init__(f"{blame.value}: {reason[:ERROR_TEXT_MAX]}")
        self.blame = blame


class Invoker(Protocol):
    """Port to Lambda. Called from several threads at once."""

    def invoke(self, function: str, payload: bytes) -> None:
        """Run the function with this event; return only when it succeeded.

        Raises:
            InvokeFailed: anything else.
        """


class LambdaInvoker:
    """Invoke through boto3: signed as AWS wants it, and every emulator takes that too."""

    def __init__(self, endpoint_url: str | None, connections_max: int) -> None:
        self._client = make_client("lambda", endpoint_url, connections_max)

    def invoke(self, function: str, payload: bytes) -> None:
        """Implement `Invoker.invoke`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.invoke(FunctionName=function, Payload=payload)
            body = answer["Payload"].read()
        except ClientError as error:
            raise InvokeFailed(_blame(error.response), str(error)) from error
        except (BotoCoreError, OSError) as error:
            raise InvokeFailed(Blame.ENDPOINT, str(error)) from error
        if answer.get("FunctionError"):
            raise InvokeFailed(Blame.FUNCTION, _describe_function_error(answer["FunctionError"], body))


def make_client(service: str, endpoint_url: str | None, connections_max: int = 10) -> Any:
    """Return a boto3 client; with an endpoint of one's own it needs no AWS account."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        # The runner retries, with the batch as the unit; a retry in here would hide it from the counts.
        retries={"total_max_attempts": 1},
        max_pool_connections=connections_max,
        tcp_keepalive=True,
    )
    if endpoint_url is None:
        return boto3.client(service, config=config)
    return boto3.client(
        service,
        endpoint_url=endpoint_url,
        region_name=LOCAL_REGION,
        aws_access_key_id=LOCAL_KEY,
        aws_secret_access_key=LOCAL_KEY,
        config=config,
    )


def _blame(response: dict[str, Any]) -> Blame:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = response.get("Error", {}).get("Code")
    is_throttled = status == HTTP_TOO_MANY_REQUESTS or code in THROTTLING_CODES
    return Blame.THROTTLED if is_throttled else Blame.ENDPOINT


def _describe_function_error(kind: str, body: bytes) -> str:
    try:
        answer = json.loads(body)
        return f"{kind}: {answer['errorType']}: {answer['errorMessage']}"
    except (ValueError, KeyError, TypeError):
        return f"{kind}: {body[:ERROR_TEXT_MAX].decode('utf-8', 'replace')}"
