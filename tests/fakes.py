"""Fakes of the ports, at the height of the Protocol. `tests/contract/` runs one body over each and its real twin."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from event_analytics.access import mint_key, record_of
from event_analytics.errors import LogUnavailable, StoreUnavailable
from event_analytics.ports import ObjectEntry, Outcome
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

    def lines(self, table: str) -> list[dict[str, Any]]:
        """All rows inserted into a table."""
        return [
            json.loads(line) for (name, _), rows in self.inserts.items() if name == table for line in rows.splitlines()
        ]


class FakeObjectStore:
    """Keeps objects by name, and never replaces one."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put_new(self, name: str, body: bytes) -> bool:
        is_new = name not in self.objects
        self.objects.setdefault(name, body)
        return is_new

    def get(self, name: str) -> bytes | None:
        return self.objects.get(name)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectEntry]:
        for name in sorted(self.objects, key=str.encode):
            if name.startswith(prefix) and name > after:
                yield ObjectEntry(name, len(self.objects[name]))

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)


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
