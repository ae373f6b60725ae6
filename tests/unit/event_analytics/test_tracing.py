"""W3C trace context: https://www.w3.org/TR/trace-context/"""

import gzip
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from event_analytics.dead_letters import DeadLetterWriter
from event_analytics.observability import InvocationLine
from event_analytics.ports import Outcome
from event_analytics.routing import Record
from event_analytics.spool import decode_spool, encode_spool
from event_analytics.tracing import TRACES_NOTED_MAX, Trace, mark_records, read_trace, read_traces
from functions.ingest.app import Deps, deps_of, handle_events
from functions.load import app as load
from tests.builders import ACCEPTED_US, UUID4, a_lambda_batch, a_record, a_request, an_event
from tests.fakes import FakeDurableLog, FakeEventLog, FakeEventStore, FakeKeySource, FakeObjectStore

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADER = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


def line_of_load(event: dict[str, Any]) -> InvocationLine:
    line = InvocationLine()
    letters = DeadLetterWriter(FakeObjectStore(), FakeEventLog())
    load.handle(event, load.Deps(FakeEventStore(), letters, epoch="e1", now_us=lambda: ACCEPTED_US), line)
    return line


def test_reads_a_header_and_writes_it_again() -> None:
    trace = read_trace(HEADER)

    assert trace == Trace(TRACE_ID, "00f067aa0ba902b7", "01")
    assert trace.header == HEADER


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        HEADER.upper(),
        HEADER[:-1],
        HEADER + "-more",  # version 00 has four parts
        f"ff{HEADER[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID}-00f067aa0ba902b7-01\n",
        f"00-{TRACE_ID}-00f067aa0ba902b7-0g",
    ],
)
def test_a_header_that_breaks_the_standard_is_ignored(header: str | None) -> None:
    assert read_trace(header) is None


def test_a_header_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read_trace(f"01{HEADER[2:]}-what-comes-later") == read_trace(HEADER)


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    trace = read_trace(text)

    assert trace is None or trace.header[3:] == text[3:55]


def test_the_first_record_of_each_key_carries_the_trace() -> None:
    records = [Record("events", key, b"{}", 0) for key in (b"a", b"b", b"a")]
    records.append(Record("event-changes", b"a", b"{}", 0))

    marked = mark_records(records, Trace(TRACE_ID, "00f067aa0ba902b7", "01"))

    assert [record.traceparent for record in marked] == [HEADER, HEADER, None, HEADER]
    assert [structs.replace(record, traceparent=None) for record in marked] == records


def test_a_request_of_a_trace_goes_on_under_a_span_of_ours() -> None:
    log, keys, line = FakeDurableLog(), FakeKeySource(), InvocationLine()
    request = a_request({"events": [an_event()]}, key=keys.write_key, headers={"traceparent": HEADER})

    answer = handle_events(request, deps_of(request, Deps(log, keys, lambda: ACCEPTED_US), line), line)

    carried = read_trace(log.records[0].traceparent)
    assert answer.status == 202
    assert carried is not None
    assert (carried.trace_id, carried.flags) == (TRACE_ID, "01")
    assert line.fields["trace_id"] == TRACE_ID
    assert (line.fields["parent_span_id"], line.fields["span_id"]) == ("00f067aa0ba902b7", carried.span_id)
    assert carried.span_id != "00f067aa0ba902b7"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "nonsense"}])
def test_a_request_of_no_trace_is_untouched(headers: dict[str, str]) -> None:
    deps = Deps(FakeDurableLog(), FakeKeySource(), lambda: ACCEPTED_US)
    line = InvocationLine()

    assert deps_of(a_request({}, headers=headers), deps, line) is deps
    assert not line.fields


def test_a_trace_survives_the_spool_and_costs_nothing_without_one() -> None:
    plain = Record("events", b"u", b"{}", 1)

    assert decode_spool(encode_spool([structs.replace(plain, traceparent=HEADER), plain])) == [
        structs.replace(plain, traceparent=HEADER),
        plain,
    ]
    assert b"traceparent" not in gzip.decompress(encode_spool([plain]))


def test_load_names_the_traces_of_its_batch() -> None:
    event = a_lambda_batch([a_record(0), a_record(1, key=b"u2"), a_record(2)])
    records = event["records"]["events-0"]
    records[0]["headers"] = [{"other": [1]}, {"traceparent": list(HEADER.encode())}]
    records[1]["headers"] = [{"traceparent": list(HEADER.encode())}, {"traceparent": [-61, 40]}, {"traceparent": None}]

    assert read_traces(event) == [TRACE_ID]
    assert line_of_load(event).fields["trace_ids"] == [TRACE_ID]


def test_a_batch_without_traces_says_nothing_of_them() -> None:
    event = a_lambda_batch([a_record(0)])

    assert read_traces(event) == []
    assert "trace_ids" not in line_of_load(event).fields


def test_a_line_names_a_bounded_number_of_traces() -> None:
    event = a_lambda_batch([a_record(offset) for offset in range(200)])
    for number, record in enumerate(event["records"]["events-0"], 1):
        record["headers"] = [{"traceparent": list(f"00-{number:032x}-00f067aa0ba902b7-00".encode())}]

    assert len(read_traces(event)) == TRACES_NOTED_MAX


def test_what_took_the_records_is_answered_as_without_a_trace() -> None:
    log, keys, line = FakeDurableLog(), FakeKeySource(), InvocationLine()
    log.refuse_after, log.overflow, log.troubles = 1, Outcome.SPOOLED, {"log": "down"}
    body = {"events": [an_event(), an_event(id=UUID4, timestamp="2026-09-21T14:13:20Z")]}
    request = a_request(body, key=keys.write_key, headers={"traceparent": HEADER})

    answer = handle_events(request, deps_of(request, Deps(log, keys, lambda: ACCEPTED_US), line), line)

    assert b'"spooled"' in answer.body
    assert line.fields["log_trouble"] == "down"
