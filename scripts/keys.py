"""API keys of a deployment: `python -m scripts.keys list | create ID --scopes write[,read] | revoke ID`.

Without --stack-name: the running embedded stack's. With it: that stack on AWS, as the AWS configuration of the shell
says. A key is printed once, when it is created; only its hash is kept. It works within seconds, and one that is revoked
is dead within two minutes. To rotate: create one under a new id, give it to the callers, revoke the old one.

Exit code 1 when the change cannot be made.
"""

import argparse
import secrets
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from event_analytics.access import KeyRecord, KeyRing, read_key_ring, usage_identifier
from event_analytics.adapters.aws_session import aws_session
from event_analytics.key_ring import KEY_SECRET_BYTES, KeyRingUnchanged, add_key, revoke_key
from local_runtime.settings import LocalSettings
from scripts.connection import read_connection


def main(words: list[str] | None = None) -> int:
    """The exit code."""
    arguments = _parse_arguments(words)
    session, outputs = _stack_of(arguments.stack_name)
    client, secret_id = session.client("secretsmanager"), outputs["KeysSecretId"]
    ring = read_key_ring(client.get_secret_value(SecretId=secret_id)["SecretString"])
    plan = UsagePlan(session.client("apigateway"), outputs["KeyUsagePlanId"])
    try:
        changed, shown = _change(ring, arguments)
    except KeyRingUnchanged as problem:
        print(problem, file=sys.stderr)
        return 1
    if arguments.command == "create":
        plan.enter(arguments.id, usage_identifier(ring, arguments.id))  # first: a key that is shown must not be refused
    if changed is not ring:
        client.put_secret_value(SecretId=secret_id, SecretString=msgspec.json.encode(changed).decode())
    if arguments.command == "revoke":
        plan.leave(arguments.id)
    print(shown)
    return 0


class UsagePlan:
    """API Gateway's list of what it counts requests for: each key of ours under its usage identifier."""

    def __init__(self, client: Any, plan_id: str) -> None:
        self._client = client
        self._plan_id = plan_id

    def enter(self, key_id: str, identifier: str) -> None:
        """Return once the requests of the key count in the plan."""
        self.leave(key_id)  # what a creation that failed half-way had entered: nothing stands there twice
        name = self._name_of(key_id)
        entered = self._client.create_api_key(name=name, value=identifier, enabled=True)["id"]
        self._client.create_usage_plan_key(usagePlanId=self._plan_id, keyId=entered, keyType="API_KEY")

    def leave(self, key_id: str) -> None:
        """Return once nothing is counted for the key; it need not be there."""
        name = self._name_of(key_id)
        pages = self._client.get_paginator("get_api_keys").paginate(nameQuery=name)  # of all names that begin so
        for entered in [each["id"] for page in pages for each in page["items"] if each["name"] == name]:
            self._client.delete_api_key(apiKey=entered)

    def _name_of(self, key_id: str) -> str:
        return f"{self._plan_id}-{key_id}"


def _parse_arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="List, create and revoke API keys.")
    parser.add_argument("--stack-name", help="the stack on AWS; without it: the embedded one")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    create = commands.add_parser("create")
    create.add_argument("id")
    create.add_argument("--scopes", default="write", help="comma-separated: write, read, admin")
    create.add_argument("--days", type=_days, help="expires after so many days; without it: never")
    commands.add_parser("revoke").add_argument("id")
    return parser.parse_args(words)


def _days(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:  # 0 would be never, and less a key that is dead when it is shown
        raise argparse.ArgumentTypeError("a number of days, 1 or more")
    return int(text)


def _stack_of(stack_name: str | None) -> tuple[Any, dict[str, str]]:
    """A session where the stack is, and the stack's outputs."""
    session = aws_session(None)
    if stack_name is None:
        connection = read_connection(LocalSettings.from_env().state_dir)
        session, stack_name = aws_session(connection.aws_endpoint), connection.stack_name
    stacks = session.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return session, {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}


def _change(ring: KeyRing, arguments: argparse.Namespace) -> tuple[KeyRing, str]:
    """The ring as it is afterwards (the same object where nothing changes), and what to show."""
    if arguments.command == "create":
        expires_at = datetime.now(UTC) + timedelta(days=arguments.days) if arguments.days else None
        scopes = arguments.scopes.split(",")
        key, changed = add_key(ring, arguments.id, scopes, secrets.token_bytes(KEY_SECRET_BYTES), expires_at)
        return changed, key
    if arguments.command == "revoke":
        return revoke_key(ring, arguments.id), f"{arguments.id} is dead within two minutes"
    records = (f"{each.id}\t{','.join(each.scopes)}\t{_describe_end(each)}" for each in ring.keys)
    return ring, "\n".join(records)


def _describe_end(record: KeyRecord) -> str:
    if not record.has_clear_end:
        return f"refused: its expiry {record.expires_at} has no time zone"
    return str(record.expires_at or "never expires")


if __name__ == "__main__":
    sys.exit(main())
