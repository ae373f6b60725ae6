"""Looks for a text in everything that is kept: every row of every table, and every object with all that it ever was."""

import base64
import gzip
import re
from collections.abc import Iterator
from typing import Any

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore

_BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")
_TABLES = """
SELECT name FROM system.tables WHERE database = currentDatabase() AND NOT startsWith(name, '.') ORDER BY name
"""


def tables_with(store: ClickHouseEventStore, text: str) -> dict[str, int]:
    """How many rows hold the text, by table: rows of every version, those that a deletion has only masked too."""
    found = {}
    for table in [row["name"] for row in store.select(_TABLES, {})]:
        holds = "position(formatRow('Values', *), {text:String}) > 0"
        sql = f"SELECT count() AS rows FROM {table} WHERE {holds} SETTINGS apply_deleted_mask = 0"
        found[table] = int(store.select(sql, {"text": text})[0]["rows"])
    sql = "SELECT count() AS rows FROM system.mutations WHERE position(command, {text:String}) > 0"
    found["mutations"] = int(store.select(sql, {"text": text})[0]["rows"])
    return {place: rows for place, rows in found.items() if rows}


def is_in(body: bytes, text: str) -> bool:
    """Whether an object's body holds the text: as it is, unpacked, or inside base64."""
    plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
    if text.encode() in plain:
        return True
    return any(text.encode() in part for part in _decoded(plain))


def _decoded(plain: bytes) -> Iterator[bytes]:
    for match in _BASE64.findall(plain):
        try:
            yield base64.b64decode(match + b"=" * (-len(match) % 4))
        except ValueError:
            continue


def objects_of_bucket(client: Any, bucket: str) -> Iterator[tuple[str, bytes]]:
    """Names and bodies of all objects of a bucket, former versions included."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for entry in page.get("Versions", []):
            answer = client.get_object(Bucket=bucket, Key=entry["Key"], VersionId=entry["VersionId"])
            yield entry["Key"], answer["Body"].read()
