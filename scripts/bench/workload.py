"""The requests of the load generator: bodies that cost it next to nothing, and what must be in the tables afterwards.

A request is a template, made once, into which the number of the batch is put; ids, and so all of an event, follow from
the numbers of batch and event. `Selection` names the events of a batch that are updated or deleted later on.
"""

import json
import random
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec

from event_analytics.embeddings import pack_embedding

TEMPLATES: Final = 16  # so many batches differ in users and texts; compressors look back no further
EVENTS_PER_CONVERSATION: Final = 10
EVENTS_PER_MS: Final = 20  # how densely the events' own time runs
_TAG: Final = "@batch@"  # 24 characters of an id
_TIME: Final = "@time@"
_NAMES: Final = ("message_sent", "tool_called", "answer_rated", "session_started", "page_viewed")
_TEXT: Final = (
    "the order was late again could you tell me when it will arrive because my address has changed since last week "
    "please open settings then choose security and reset your password we sent a mail with a link that is valid for "
    "one hour thank you for waiting our team looks into it now nothing else is needed from your side today"
)
_WORDS: Final = tuple(re.findall(r"\w+", _TEXT))
_ERRORS: Final = (None,) * 19 + ("timeout",)  # one event in twenty
CHANGED_ERROR: Final = "changed"


class Shape(NamedTuple):
    """What an event is like. `dimensions`: of each of its two embeddings; 0 for none."""

    name: str
    input_words: int
    output_words: int
    has_properties: bool = True
    dimensions: int = 0


SHAPES: Final = {
    shape.name: shape
    for shape in (
        Shape("400 B", 6, 10),
        Shape("200 B", 0, 0, has_properties=False),
        Shape("1 kB", 40, 90),
        Shape("10 kB", 400, 1_450),
        Shape("384 dimensions", 6, 10, dimensions=384),
    )
}
DEFAULT_SHAPE: Final = SHAPES["400 B"]


class Selection(NamedTuple):
    """Of each batch those events whose number, modulo `of`, is one of `remainders`."""

    remainders: tuple[int, ...]
    of: int = 5

    def indexes(self, events: int) -> list[int]:
        """Their numbers within a batch of so many."""
        return [index for index in range(events) if index % self.of in self.remainders]


UPDATED: Final = Selection((0, 1))
DELETED: Final = Selection((1, 2))


class Expectation(NamedTuple):
    """What the tables must hold: events that are not deleted, and the sum of the CRC-32 of each.

    The text of an event is `id|user_id|event_name|error|output`.
    """

    events: int
    checksum: int


class Workload:
    """Batches of one shape and size. `started_ms`: the time of the first event, Unix milliseconds."""

    def __init__(self, shape: Shape, events_per_request: int, started_ms: int) -> None:
        self.events_per_request = events_per_request
        self._shape = shape
        self._started_ms = started_ms

    @cached_property
    def _documents(self) -> list[list[dict[str, Any]]]:
        chance = random.Random(20_261_122)  # noqa: S311 - events to measure with
        return [
            [self._document(chance, template, index) for index in range(self.events_per_request)]
            for template in range(TEMPLATES)
        ]

    @cached_property
    def _templates(self) -> list[bytes]:
        return [
            json.dumps({"events": batch}, separators=(",", ":")).replace(f'"{_TIME}"', _TIME).encode()
            for batch in self._documents
        ]

    def _document(self, chance: random.Random, template: int, index: int) -> dict[str, Any]:
        shape = self._shape
        document: dict[str, Any] = {
            "id": f"{_TAG}{index:012x}",
            "user_id": f"user-{template:02d}{chance.randrange(500):03d}",
            "conversation_id": f"{_TAG}c{index // EVENTS_PER_CONVERSATION:03d}",
            "event_name": chance.choice(_NAMES),
            "timestamp": _TIME,
            "error": chance.choice(_ERRORS),
            "latency_ms": round(chance.lognormvariate(6, 1), 1),
            "input": " ".join(chance.choices(_WORDS, k=shape.input_words)) or None,
            "output": " ".join(chance.choices(_WORDS, k=shape.output_words)) or None,
            "properties": {"plan": chance.choice(("free", "pro")), "stars": index % 5}
            if shape.has_properties
            else None,
            **{name: _embedding(chance, shape.dimensions) for name in ("input_embeddings", "output_embeddings")},
        }
        return {name: value for name, value in document.items() if value is not None}

    def tag(self, batch: int) -> bytes:
        """The first 24 characters of the ids of a batch: a UUIDv7 of its time and its number."""
        ms = f"{self.time_ms(batch):012x}"
        number = f"{batch:06x}"
        return f"{ms[:8]}-{ms[8:]}-7{number[:3]}-8{number[3:]}-".encode()

    def time_ms(self, batch: int) -> int:
        """The time of the events of a batch, Unix milliseconds."""
        return self._started_ms + batch * self.events_per_request // EVENTS_PER_MS

    def id_of(self, batch: int, index: int) -> str:
        """The id of one event."""
        return f"{self.tag(batch).decode()}{index:012x}"

    def creates(self, batch: int) -> bytes:
        """The body of `POST /events`."""
        return self._filled(self._templates[batch % TEMPLATES], batch)

    def _filled(self, template: bytes, batch: int) -> bytes:
        time = str(self.time_ms(batch)).encode()
        return template.replace(_TAG.encode(), self.tag(batch)).replace(_TIME.encode(), time)

    def events(self, batch: int) -> list[bytes]:
        """The raw JSON of each event of a batch."""
        return [
            bytes(raw) for raw in msgspec.json.decode(self.creates(batch), type=dict[str, list[msgspec.Raw]])["events"]
        ]

    def updates(self, batches: Sequence[int]) -> bytes:
        """The body of `POST /batch` that sets error, latency and a property of what is UPDATED in these batches."""
        return self._operations(batches, self._updates)

    def deletes(self, batches: Sequence[int]) -> bytes:
        """The body of `POST /batch` that deletes what is DELETED in these batches."""
        return self._operations(batches, self._deletes)

    def _operations(self, batches: Sequence[int], template: bytes) -> bytes:
        filled = [template.replace(_TAG.encode(), self.tag(batch)) for batch in batches]
        return b'{"operations":[%b]}' % b",".join(filled)

    @cached_property
    def _updates(self) -> bytes:
        fields = {"error": CHANGED_ERROR, "latency_ms": 12.5, "properties": {"reviewed": True}}
        return self._listed(UPDATED, {"op": "update", "id": "", **fields})

    @cached_property
    def _deletes(self) -> bytes:
        return self._listed(DELETED, {"op": "delete", "id": ""})

    def _listed(self, selection: Selection, operation: dict[str, Any]) -> bytes:
        indexes = selection.indexes(self.events_per_request)
        listed = [{**operation, "id": f"{_TAG}{index:012x}"} for index in indexes]
        return json.dumps(listed, separators=(",", ":")).encode()[1:-1]

    def expect(self, batches: int, *, are_updated: bool = False, are_deleted: bool = False) -> Expectation:
        """What the tables hold after so many batches, and after what was done to them."""
        updated = set(UPDATED.indexes(self.events_per_request)) if are_updated else set()
        deleted = set(DELETED.indexes(self.events_per_request)) if are_deleted else set()
        tails = [list(_tails(documents, updated, deleted)) for documents in self._documents]
        checksum = 0
        for batch in range(batches):
            tag = self.tag(batch)
            checksum += sum(zlib.crc32(tag + tail) for tail in tails[batch % TEMPLATES])
        return Expectation(sum(len(tails[batch % TEMPLATES]) for batch in range(batches)), checksum)


CHECK_SQL: Final = """
SELECT count() AS events,
    sum(CRC32(concat(toString(id), '|', user_id, '|', event_name, '|', error, '|', ifNull(output, '')))) AS checksum
FROM events FINAL
"""


def _tails(documents: Sequence[dict[str, Any]], updated: set[int], deleted: set[int]) -> Iterator[bytes]:
    """The text of each event that is left, without the tag of its batch."""
    for index, document in enumerate(documents):
        if index not in deleted:
            error = CHANGED_ERROR if index in updated else document.get("error", "")
            fields = (document["user_id"], document["event_name"], error, document.get("output", ""))
            yield "|".join((f"{index:012x}", *fields)).encode()


def _embedding(chance: random.Random, dimensions: int) -> str | None:
    return (
        pack_embedding([chance.uniform(-1, 1) for _ in range(dimensions)], "input_embeddings") if dimensions else None
    )


def in_groups(numbers: Iterator[int], size: int, make: Callable[[Sequence[int]], bytes]) -> Iterator[bytes]:
    """One body for each so many batches."""
    while group := list(islice(numbers, size)):
        yield make(group)
