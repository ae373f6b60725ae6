"""The keys of the embedded stack: minted once for a state directory, the same after every restart.

AWS's side of it (hashes only) is written from them at each start; how a key is made and hashed is `access`'s.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from event_analytics.access import KeyRing, mint_key, record_of
from event_analytics.key_ring import KEY_SECRET_BYTES
from local_runtime.private_files import read_private_json, write_private_json

FILE_NAME = "keys.json"


@dataclass(frozen=True)
class ApiKeys:
    """One key for each scope, and the key of their hashes."""

    hmac_key: str
    write_key: str
    read_key: str
    admin_key: str


def load_or_mint(state_dir: Path) -> ApiKeys:
    """Return the keys of this state directory, new ones at the first start. Only the owner reads the file."""
    path = state_dir / FILE_NAME
    if (content := read_private_json(path)) is not None:
        return ApiKeys(**content)
    keys = ApiKeys(
        hmac_key=secrets.token_hex(KEY_SECRET_BYTES),
        write_key=mint_key("write", secrets.token_bytes(KEY_SECRET_BYTES)),
        read_key=mint_key("read", secrets.token_bytes(KEY_SECRET_BYTES)),
        admin_key=mint_key("admin", secrets.token_bytes(KEY_SECRET_BYTES)),
    )
    write_private_json(path, asdict(keys))
    return keys


def publish(keys: ApiKeys, secrets_manager: Any, secret_id: str) -> None:
    """Make the stack know these keys and no others."""
    by_scope = {"write": keys.write_key, "read": keys.read_key, "admin": keys.admin_key}
    records = tuple(record_of(key, keys.hmac_key, (scope,)) for scope, key in by_scope.items())
    ring = msgspec.json.encode(KeyRing(keys.hmac_key, records)).decode()
    secrets_manager.put_secret_value(SecretId=secret_id, SecretString=ring)
