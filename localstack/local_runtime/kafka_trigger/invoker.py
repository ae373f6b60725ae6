"""Lambda Invoke over any endpoint: one call, one outcome.

Tells apart who is to blame (the function, the concurrency limit, the endpoint), because only a function's own
error says something about the records. What comes next is decided in `retry`.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from local_runtime.kafka_trigger.retry import Outcome, Verdict

FUNCTION_SECONDS_MAX = 900  # Lambda's longest function
# Above the function's own limit: a read that gives up first would start a second run beside the first.
READ_TIMEOUT_SECONDS = FUNCTION_SECONDS_MAX + 10
CONNECT_TIMEOUT_SECONDS = 5
LOCAL_REGION = "us-east-1"
LOCAL_KEY = "test"  # what emulators take for account 000000000000
ERROR_TEXT_MAX = 400  # characters of a function's error that stand in log and status
THROTTLING_CODES = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
HTTP_TOO_MANY_REQUESTS = 429
HTTP_OK = 200


class Invoker(Protocol):
    """Port to Lambda. Called from several threads at once."""

    def invoke(self, function: str, payload: bytes) -> Outcome:
        """Run the function with this event, wait for its end and say what came of it."""


class LambdaInvoker:
    """Invoke through boto3: signed as AWS wants it, and every emulator takes that too."""

    def __init__(self, endpoint_url: str | None, connections_max: int) -> None:
        self._client = make_client("lambda", endpoint_url, connections_max)

    def invoke(self, function: str, payload: bytes) -> Outcome:
        """Implement `Invoker.invoke`."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.invoke(FunctionName=function, Payload=payload)
            body = answer["Payload"].read()
        except ClientError as error:
            return _describe_refusal(error.response, str(error))
        except (BotoCoreError, OSError) as error:
            return Outcome(Verdict.UNREACHABLE, reason=_shorten(str(error)))
        kind = answer.get("FunctionError")
        return Outcome(
            Verdict.FUNCTION_ERROR if kind else Verdict.SUCCEEDED,
            body,
            reason=_describe_function_error(kind, body) if kind else "",
            request_id=answer["ResponseMetadata"].get("RequestId") or "",
            status_code=answer.get("StatusCode", HTTP_OK),
            executed_version=answer.get("ExecutedVersion") or "$LATEST",
            function_error=kind,
        )


def make_client(service: str, endpoint_url: str | None, connections_max: int = 10) -> Any:
    """Return a boto3 client; with an endpoint of one's own it needs no AWS account."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        # `retry` decides, with the batch as the unit; a retry in here would hide it from the counts.
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


def _describe_refusal(response: dict[str, Any], reason: str) -> Outcome:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = response.get("Error", {}).get("Code")
    is_throttled = status == HTTP_TOO_MANY_REQUESTS or code in THROTTLING_CODES
    return Outcome(Verdict.THROTTLED if is_throttled else Verdict.UNREACHABLE, reason=_shorten(reason))


def _shorten(text: str) -> str:
    return text[:ERROR_TEXT_MAX]


def _describe_function_error(kind: str, body: bytes) -> str:
    try:
        answer = json.loads(body)
        return _shorten(f"{kind}: {answer['errorType']}: {answer['errorMessage']}")
    except (ValueError, KeyError, TypeError):
        return f"{kind}: {_shorten(body.decode('utf-8', 'replace'))}"
