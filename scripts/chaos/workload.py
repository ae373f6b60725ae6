"""The operations of a run, from a seed: the same seed sends the same. Pure.

Each lane is one sender with ids of its own, so the order of operations per id is known. Users are shared by all lanes.
"""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

CREATE, UPDATE, DELETE = "create", "update", "delete"
DAY: Final = datetime(2005, 1, 1, tzinfo=UTC)  # all events lie within it, so that one report covers them
USERS: Final = 40
EVENTS_PER_CONVERSATION: Final = 30
BATCH_MAX: Final = 40
_DAY_MS: Final = 86_400_000
_NAMES: Final = ("message_sent", "question_answered", "search")
_TEXTS: Final = (None, "", "timeout", "ü 👋", 'quoted "text"\n')


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `fields`: the whole event of a create, what an update sets, nothing for a delete."""

    kind: str
    id: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What one HTTP call carries; `path` "" means the call of a single operation."""

    operations: tuple[Operation, ...]
    path: str


class Workload:
    """The requests of one lane."""

    def __init__(self, seed: int, lane: int, operations: int) -> None:
        self._random = random.Random(f"{seed}/{lane}")  # noqa: S311 - has to repeat itself
        self.lane = lane
        self._operations = operations
        self._creates: list[Operation] = []  # sent, or among those to be sent
        self._late: list[Operation] = []  # creates whose changes went ahead of them
        self._sent: list[Operation] = []

    def requests(self) -> Iterator[Request]:
        """All of them, in order; creates that are late at the end come last."""
        count = 0
        while count < self._operations:
            size = 1 if self._random.random() < 0.5 else self._random.randint(2, BATCH_MAX)  # noqa: PLR2004 - half
            request = self._request(min(size, self._operations - count))
            count += len(request.operations)
            yield request
        if self._late:
            yield Request(tuple(self._late), "/events")

    def _request(self, size: int) -> Request:
        if size > 1 and self._random.random() < 0.5:  # noqa: PLR2004 - half
            return Request(tuple(self._create() for _ in range(size)), "/events")
        operations = tuple(self._operation() for _ in range(size))
        return Request(operations, "" if size == 1 else "/batch")

    def _operation(self) -> Operation:
        kinds = ("create", "late create", "ahead", "update", "delete", "again")
        kind = self._random.choices(kinds, weights=(30, 8, 8, 36, 6, 12))[0]
        if kind == "late create" and self._late:
            return self._note(self._late.pop(self._random.randrange(len(self._late))))
        if kind == "again" and self._sent:
            return self._note(self._random.choice(self._sent[-500:]))
        if kind in ("update", "delete") and self._creates:
            return self._change(kind, self._random.choice(self._creates[-200:]).id)
        if kind == "ahead":
            event = self._new_event()
            self._late.append(event)
            return self._change(UPDATE, event.id)
        return self._create()

    def _create(self) -> Operation:
        return self._note(self._new_event())

    def _change(self, kind: str, identifier: str) -> Operation:
        return self._note(Operation(kind, identifier, self._new_fields() if kind == UPDATE else {}))

    def _note(self, operation: Operation) -> Operation:
        self._sent.append(operation)
        return operation

    def _new_event(self) -> Operation:
        at_ms = self._random.randrange(_DAY_MS)
        identifier = self._new_id(int(DAY.timestamp() * 1_000) + at_ms)
        conversation = len(self._creates) // EVENTS_PER_CONVERSATION
        fields: dict[str, Any] = {
            "id": identifier,
            "user_id": f"u{int(self._random.paretovariate(1)) % USERS}",
            "conversation_id": f"lane{self.lane}-{conversation}",
            "event_name": self._random.choice(_NAMES),
            "timestamp": format_instant(DAY + timedelta(milliseconds=at_ms)),
            "input": self._random.choice(_TEXTS),
            "properties": self._new_object(),
        }
        event = Operation(CREATE, identifier, fields)
        self._creates.append(event)
        return event

    def _new_id(self, at_ms: int) -> str:
        """Half of them random, half of version 7, of which a few lie about their time."""
        chance = self._random.random()
        if chance < 0.5:  # noqa: PLR2004 - half
            return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        lie_ms = 10**10 if chance < 0.55 else 0  # noqa: PLR2004 - a twentieth
        bits = (at_ms - lie_ms) << 80 | self._random.getrandbits(80)
        return str(uuid.UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))

    def _new_fields(self) -> dict[str, Any]:
        choices: dict[str, Any] = {
            "error": self._random.choice(_TEXTS),
            "latency_ms": self._random.choice((None, 1.5, self._random.randrange(1_000))),
            "output": self._random.choice(_TEXTS),
            "event_name": self._random.choice(_NAMES),
            "properties": self._new_object(),
        }
        names = self._random.sample(sorted(choices), self._random.randint(1, 3))
        return {name: choices[name] for name in names}

    def _new_object(self) -> dict[str, Any]:
        leaves = (None, self._random.randrange(9), "x", {"d": self._random.randrange(9), "e": None})
        return {name: self._random.choice(leaves) for name in self._random.sample("abc", self._random.randint(0, 3))}


def format_instant(instant: datetime) -> str:
    """RFC 3339 with milliseconds."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
