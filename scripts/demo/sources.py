"""Which events the demo sends: the sample conversations, or a file in our wire format. Each can be read twice."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from scripts.convert_chitchat import Converter, load_conversations
from scripts.event_files import EventFile
from scripts.outgoing import Outgoing, prepare_events


class Source(Protocol):
    """Events to send. `odd` and `refused` describe the last complete reading."""

    @property
    def title(self) -> str:
        """What it is, for a person."""

    @property
    def odd(self) -> Counter[str]:
        """What had to be mended, by name."""

    @property
    def refused(self) -> Counter[str]:
        """Lines that cannot be sent at all, by reason."""

    def read(self) -> Iterator[Outgoing]:
        """All events, in the same order each time."""


@dataclass(slots=True)
class SampleSource:
    """The first `limit` events of the sample conversations; all of them for None."""

    limit: int | None
    odd: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _conversations: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Names the package and how much of it."""
        return "real conversations (chitchat-dataset)" + (f", first {self.limit:,} events" if self.limit else ", all")

    def read(self) -> Iterator[Outgoing]:
        """All events, in the dataset's order."""
        self._conversations = self._conversations or load_conversations()
        converter = Converter()
        yield from islice(prepare_events(converter.convert(self._conversations)), self.limit)
        self.odd = +converter.odd


@dataclass(slots=True)
class FileSource:
    """All events of one NDJSON or CSV file."""

    path: Path
    odd: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def title(self) -> str:
        """Names the file."""
        return str(self.path)

    def read(self) -> Iterator[Outgoing]:
        """All events, in file order."""
        file = EventFile(self.path)
        yield from prepare_events(file)
        self.refused = file.refused
