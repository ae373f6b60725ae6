"""W3C trace context: one trace from the caller's request through Kafka to the row.

A request may bring the header `traceparent`. Its trace goes on under a span of ours: as a Kafka header of the first
record of each key, since the rest of the request travels with it, and so into the lines of ingest and of load. Nothing
is done, and nothing added, where no header comes. https://www.w3.org/TR/trace-context/#traceparent-header
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import structs

from event_analytics.ports import DurableLog, Outcome
from event_analytics.routing import Record

TRACEPARENT: Final = "traceparent"
TRACES_NOTED_MAX: Final = 50  # in one line of load: a batch of thousands of traced requests must not burst it
_SPAN_BYTES: Final = 8
# Later versions begin with the same four parts and may go on behind another hyphen; ff is forbidden.
_HEADER: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FIRST_VERSION: Final = "00"


class Trace(NamedTuple):
    """One place in a trace, all in lower-case hex: the trace, this span, and the flags that the caller set."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def header(self) -> str:
        """As `traceparent`."""
        return f"{_FIRST_VERSION}-{self.trace_id}-{self.span_id}-{self.flags}"

    def child(self, random_bytes: Callable[[int], bytes]) -> "Trace":
        """A new span of the same trace."""
        return self._replace(span_id=random_bytes(_SPAN_BYTES).hex())


def read_trace(header: str | None) -> Trace | None:
    """Where the caller is in its trace; None without a header, or with one that breaks the standard: it is ignored."""
    match = _HEADER.fullmatch(header) if header else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    return None if more and version == _FIRST_VERSION else Trace(trace_id, span_id, flags)


class TracedLog:
    """A log for one request that is part of a trace."""

    def __init__(self, log: DurableLog, trace: Trace) -> None:
        self._log = log
        self._trace = trace

    @property
    def troubles(self) -> Mapping[str, str]:
        """As `DurableLog.troubles`."""
        return self._log.troubles

    def append(self, records: Sequence[Record]) -> list[Outcome]:
        """As `DurableLog.append`."""
        return self._log.append(mark_records(records, self._trace))


def mark_records(records: Sequence[Record], trace: Trace) -> list[Record]:
    """The records, of which the first of each key carries the trace."""
    seen: set[tuple[str, bytes]] = set()
    marked = []
    for record in records:
        place = (record.topic, record.key)
        marked.append(record if place in seen else structs.replace(record, traceparent=trace.header))
        seen.add(place)
    return marked


def read_traces(event: Mapping[str, Any]) -> list[str]:
    """Ids of the traces that the records of a Kafka batch belong to, each once, in the order of the batch.

    A batch holds each header as `{name: [bytes as numbers]}`; most records have none.
    """
    carried = [headers for records in event["records"].values() for each in records if (headers := each.get("headers"))]
    found = {trace.trace_id: None for headers in carried for header in headers if (trace := _trace_of(header))}
    return list(found)[:TRACES_NOTED_MAX]


def _trace_of(header: Mapping[str, Sequence[int]]) -> Trace | None:
    value = header.get(TRACEPARENT)
    return None if value is None else read_trace(bytes(number & 0xFF for number in value).decode("latin-1"))
