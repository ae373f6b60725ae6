"""Fakes of the ports, at the height of the Protocol. `tests/contract/` runs one body over each and its real twin."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from event_analytics.access import mint_key, record_of
from event_analytics.errors import LogUnavailable, StoreUnavailable
from event_analytics.ports import ASK_SECONDS_MAX, FormerVersion, ObjectEntry, Outcome, Reading
from event_analytics.routing import Record


class FakeEventLog:
    """Keeps what is appended. `refuse_after`: acknowledges only so many records; `is_down`: reaches no broker."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.refuse_after: int | None = None
        self.is_down = False

    def append(self, records: Sequence[Record]) -> list[bool]:
        if self.is_down:
            raise LogUnavailable("no broker")
        taken = len(records) if self.refuse_after is None else self.refuse_after
        self.records.extend(records[:taken])
        return [index < taken for index in range(len(records))]


class FakeDurableLog:
    """Takes what it is given. `refuse_after`: how many records it takes; `overflow`: what becomes of the rest."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.refuse_after: int | None = None
        self.overflow = Outcome.RETRY
        self.troubles: dict[str, str] = {}

    def append(self, records: Sequence[Record]) -> list[Outcome]:
        taken = len(records) if self.refuse_after is None else self.refuse_after
        self.records.extend(records[:taken])
        return [Outcome.ACCEPTED if index < taken else self.overflow for index in range(len(records))]


class FakeEventStore:
    """Keeps inserts by token; answers selects with prepared rows, in order."""

    def __init__(self) -> None:
        self.inserts: dict[tuple[str, str], bytes] = {}
        self.answers: list[list[dict[str, Any]]] = []
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.is_down = False

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        if self.is_down:
            raise StoreUnavailable("down")
        self.inserts.setdefault((table, token), rows)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        if self.is_down:
            raise StoreUnavailable("down")
        self.asked.append((sql, parameters))

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        if self.is_down:
            raise StoreUnavailable("down")
        self.asked.append((sql, parameters))
        return self.answers.pop(0) if self.answers else []

    def ask(self, sql: str, parameters: Mapping[str, Any], seconds_max: float = ASK_SECONDS_MAX) -> Reading:
        rows = self.select(sql, parameters)
        return Reading(rows, rows_read=len(rows), bytes_read=0, elapsed_ms=0.0)

    def lines(self, table: str) -> list[dict[str, Any]]:
        """All rows inserted into a table."""
        return [
            json.loads(line) for (name, _), rows in self.inserts.items() if name == table for line in rows.splitlines()
        ]


class FakeObjectStore:
    """Keeps objects by name, and what they were before. All were written at `written_at`."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.written_at = datetime.now(UTC)
        self.past: dict[FormerVersion, bytes] = {}
        self._versions = itertools.count()

    def put_new(self, name: str, body: bytes) -> bool:
        is_new = name not in self.objects
        self.objects.setdefault(name, body)
        return is_new

    def get(self, name: str) -> bytes | None:
        return self.objects.get(name)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        for name in sorted(self.objects, key=str.encode):
            if name.startswith(prefix) and name > after:
                yield ObjectEntry(name, len(self.objects[name]), self.written_at)

    def delete(self, name: str) -> None:
        self._keep_version(name)
        self.objects.pop(name, None)

    def rewrite(self, name: str, edit: Callable[[bytes], bytes]) -> bool:
        if name not in self.objects:
            return False
        edited = edit(self.objects[name])
        if edited != self.objects[name]:
            self._keep_version(name)
            self.objects[name] = edited
        return True

    def former(self, prefix: str, after: str = "") -> Iterator[FormerVersion]:
        for former in sorted(self.past, key=lambda each: each.name.encode()):
            if former.name.startswith(prefix) and former.name > after:
                yield former

    def get_former(self, former: FormerVersion) -> bytes | None:
        return self.past.get(former)

    def forget(self, former: FormerVersion) -> None:
        self.past.pop(former, None)

    def _keep_version(self, name: str) -> None:
        if name in self.objects:
            self.past[FormerVersion(name, str(next(self._versions)))] = self.objects[name]


class FakeTopicOffsets:
    """Ends by topic, and what groups have reached by group and topic; what is not told is 0 in partition 0."""

    def __init__(self) -> None:
        self.end_of: dict[str, int] = {}
        self.reached_by: dict[tuple[str, str], int] = {}
        self.is_down = False

    def ends(self, topic: str) -> dict[int, int]:
        if self.is_down:
            raise LogUnavailable("no broker")
        return {0: self.end_of.get(topic, 0)}

    def reached(self, group: str, topic: str) -> dict[int, int]:
        if self.is_down:
            raise LogUnavailable("no broker")
        return {0: self.reached_by.get((group, topic), 0)}


class FakeKeySource:
    """A ring with one key per scope: `write_key`, `read_key`, `admin_key`."""

    HMAC_KEY = "test-hmac-key"

    def __init__(self) -> None:
        self.write_key, self.read_key, self.admin_key = (
            mint_key(scope, bytes([index]) * 32) for index, scope in enumerate(("write", "read", "admin"))
        )
        keys = {"write": self.write_key, "read": self.read_key, "admin": self.admin_key}
        records = [record_of(key, self.HMAC_KEY, [scope]) for scope, key in keys.items()]
        self.secret = json.dumps(
            {
                "hmac_key": self.HMAC_KEY,
                "keys": [{"id": r.id, "hash": r.hash, "scopes": r.scopes, "expires_at": None} for r in records],
            }
        )

    def read(self) -> str:
        return self.secret

    def reread(self) -> str:
        return self.secret


class FakeAnswerCache:
    """Keeps values by key and their time to live; `is_down`: knows nothing and keeps nothing."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.ttls_ms: dict[str, int] = {}
        self.claims: set[str] = set()
        self.is_down = False

    def get(self, key: str) -> bytes | None:
        return None if self.is_down else self.values.get(key)

    def put(self, key: str, value: bytes, ttl_ms: int) -> None:
        if not self.is_down:
            self.values[key], self.ttls_ms[key] = value, ttl_ms

    def claim(self, key: str, ttl_ms: int) -> bool:
        is_free = self.is_down or key not in self.claims
        self.claims.add(key)
        return is_free

    def release(self, key: str) -> None:
        self.claims.discard(key)
