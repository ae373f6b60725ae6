"""API Gateway's REQUEST authorizer: key -> caller. The scope is checked by the handler, route by route.

API Gateway keeps the policy for a minute and applies it to every route, so it names the whole stage, not one method.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from event_analytics.access import read_key_ring, usage_identifier
from event_analytics.adapters.secrets_manager import SecretsManagerSource
from event_analytics.admission import identify_key
from event_analytics.errors import Reason, Refused
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import KeySource
from event_analytics.settings import AuthorizerSettings, ObservabilitySettings


@dataclass(frozen=True)
class Deps:
    """What identifying a caller needs."""

    keys: KeySource
    now: Callable[[], datetime]


def handle(event: Mapping[str, Any], deps: Deps, line: InvocationLine) -> dict[str, Any]:
    """An IAM policy for the whole stage: Allow with the key's id and scopes as context, or Deny."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    try:
        caller = identify_key(headers.get("authorization"), deps.keys, deps.now())
    except Refused as refused:
        line.note(reason=str(refused.reason))
        if refused.reason is Reason.KEY_INVALID:
            line.count(refused_keys=1)
        return _policy("anonymous", "Deny", event["methodArn"], {})
    line.note(key_id=caller.key_id)
    context = {"key_id": caller.key_id, "scopes": " ".join(sorted(caller.scopes))}
    policy = _policy(caller.key_id, "Allow", event["methodArn"], context)
    # The usage plan counts requests under this name, which scripts.keys entered there.
    return {**policy, "usageIdentifierKey": usage_identifier(read_key_ring(deps.keys.read()), caller.key_id)}


def _policy(principal: str, effect: str, method_arn: str, context: Mapping[str, str]) -> dict[str, Any]:
    api, stage = method_arn.split("/")[:2]
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": f"{api}/{stage}/*"}
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": dict(context),
    }


@lru_cache(maxsize=1)
def _deps() -> Deps:
    settings = AuthorizerSettings.from_env()
    return Deps(keys=SecretsManagerSource(settings.keys_secret_id), now=lambda: datetime.now(UTC))


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "authorizer")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Lambda's entry point."""
    with _telemetry().invocation(context) as line:
        return handle(event, _deps(), line)
