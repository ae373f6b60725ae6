"""Files of Kafka records, which the bench prepares before a clock runs: 4 bytes of length, then a list in msgpack."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

_LENGTH_BYTES: Final = 4


class Prepared(NamedTuple):
    """One record to produce. `timestamp_ms`: Unix milliseconds."""

    key: bytes
    value: bytes
    timestamp_ms: int


def write_records(path: Path, batches: Iterable[list[Prepared]]) -> int:
    """Replace the file; returns how many records it holds."""
    total = 0
    with path.open("wb") as file:
        for batch in batches:
            packed = msgspec.msgpack.encode(batch)
            file.write(len(packed).to_bytes(_LENGTH_BYTES, "big") + packed)
            total += len(batch)
    return total


def read_records(path: Path) -> Iterator[list[Prepared]]:
    """The batches of a file."""
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            yield msgspec.msgpack.decode(file.read(int.from_bytes(length, "big")), type=list[Prepared])
