"""API keys of a deployment: `python -m scripts.keys list | create ID --scopes write[,read] | revoke ID`.

Without --secret-id: the running embedded stack's. With it: that secret on AWS, as the AWS configuration of the shell
says. A key is printed once, when it is created; only its hash is kept. Exit code 1 when the change cannot be made.
"""

import argparse
import secrets
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from event_analytics.access import KeyRing, read_key_ring
from event_analytics.adapters.aws_session import aws_session
from event_analytics.key_ring import KEY_SECRET_BYTES, KeyRingUnchanged, add_key, revoke_key
from local_runtime.settings import LocalSettings
from scripts.connection import read_connection


def main() -> int:
    """The exit code."""
    arguments = _parse_arguments()
    client, secret_id = _secret_of(arguments.secret_id)
    ring = read_key_ring(client.get_secret_value(SecretId=secret_id)["SecretString"])
    try:
        changed = _change(ring, arguments)
    except KeyRingUnchanged as problem:
        print(problem, file=sys.stderr)
        return 1
    if changed is not ring:
        client.put_secret_value(SecretId=secret_id, SecretString=msgspec.json.encode(changed).decode())
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="List, create and revoke API keys.")
    parser.add_argument("--secret-id", help="output KeysSecretId of the stack on AWS")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    create = commands.add_parser("create")
    create.add_argument("id")
    create.add_argument("--scopes", default="write", help="comma-separated: write, read, admin")
    create.add_argument("--days", type=int, help="expires after so many days; without it: never")
    commands.add_parser("revoke").add_argument("id")
    return parser.parse_args()


def _secret_of(secret_id: str | None) -> tuple[Any, str]:
    if secret_id:
        return aws_session(None).client("secretsmanager"), secret_id
    connection = read_connection(LocalSettings.from_env().state_dir)
    session = aws_session(connection.aws_endpoint)
    stacks = session.client("cloudformation").describe_stacks(StackName=connection.stack_name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
    return session.client("secretsmanager"), outputs["KeysSecretId"]


def _change(ring: KeyRing, arguments: argparse.Namespace) -> KeyRing:
    """The ring as it is afterwards; the same object where nothing changes."""
    if arguments.command == "create":
        expires_at = datetime.now(UTC) + timedelta(days=arguments.days) if arguments.days else None
        scopes = arguments.scopes.split(",")
        key, ring = add_key(ring, arguments.id, scopes, secrets.token_bytes(KEY_SECRET_BYTES), expires_at)
        print(key)
        return ring
    if arguments.command == "revoke":
        return revoke_key(ring, arguments.id)
    for record in ring.keys:
        print(f"{record.id}\t{','.join(record.scopes)}\t{record.expires_at or 'never expires'}")
    return ring


if __name__ == "__main__":
    sys.exit(main())
