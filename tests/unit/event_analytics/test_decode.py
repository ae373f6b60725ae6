"""Request body -> raw JSON of each event."""

import base64
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.decode import BODY_BYTES_MAX, media_type_of, read_body, split_events
from event_analytics.errors import Refused

JSON = "application/json"
NDJSON = "application/x-ndjson"


def reason_of(refused: pytest.ExceptionInfo[Refused]) -> str:
    return str(refused.value.reason)


def envelope(*items: object) -> bytes:
    return json.dumps({"events": items}).encode()


def test_cuts_an_envelope_into_the_text_of_each_event() -> None:
    assert split_events(b'{"events": [{"a": 1.0},{"b":2}]}', JSON) == [b'{"a": 1.0}', b'{"b":2}']


def test_cuts_ndjson_at_line_breaks_and_skips_empty_lines() -> None:
    assert split_events(b'{"a":1}\n\n{"b":2}\r\n', NDJSON) == [b'{"a":1}', b'{"b":2}\r']


@pytest.mark.parametrize("broken", [b"NaN", b'"\\ud800"', b'"a\x01"', b'"\xff"', b"-Infinity"])
def test_a_broken_event_leaves_its_neighbours_readable(broken: bytes) -> None:
    items = split_events(b'{"events":[{"a":1},{"b":%b},{"c":3}]}' % broken, JSON)

    assert len(items) == 3
    assert [json.loads(items[0]), json.loads(items[2])] == [{"a": 1}, {"c": 3}]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "body_unreadable"),
        (b'"text"', "body_unreadable"),
        (b"[]", "body_unreadable"),
        (b"{}", "body_unreadable"),
        (b'{"events": {}}', "body_unreadable"),
        (b'{"events": [], "source": "x"}', "unknown_field"),
        (b'{"events": []}', "no_events"),
        (envelope(*[{}] * 5_001), "too_many_events"),
        (b'{"events":[' + b'{"a":' * 60_000 + b"1" + b"}" * 60_000 + b"]}", "json_too_deep"),
    ],
)
def test_refuses_a_body_that_holds_no_events(body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        split_events(body, JSON)

    assert reason_of(refused) == reason


def test_takes_5_000_events() -> None:
    assert len(split_events(envelope(*[{}] * 5_000), JSON)) == 5_000


@pytest.mark.parametrize("content_type", [None, "application/json", "Application/JSON; charset=utf-8"])
def test_json_is_the_default_type(content_type: str | None) -> None:
    assert media_type_of(content_type) == JSON


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/jsonl"])
def test_ndjson_goes_by_its_usual_names(content_type: str) -> None:
    assert media_type_of(content_type) == NDJSON


@pytest.mark.parametrize("content_type", ["text/csv", "application/x-www-form-urlencoded", "", "/"])
def test_other_types_are_refused_unless_none_is_named(content_type: str) -> None:
    if not content_type:
        assert media_type_of(content_type) == JSON
        return
    with pytest.raises(Refused) as refused:
        media_type_of(content_type)

    assert reason_of(refused) == "unsupported_content_type"
    assert refused.value.status == 415


def test_reads_text_and_base64_alike() -> None:
    text = '{"ü": 1}'

    plain = read_body(text, is_base64=False, content_encoding=None)
    encoded = read_body(base64.b64encode(text.encode()).decode(), is_base64=True, content_encoding="gzip")

    assert plain == encoded == text.encode()


@pytest.mark.parametrize(
    ("body", "is_base64", "encoding", "reason"),
    [
        (base64.b64encode(gzip.compress(b"{}", mtime=0)).decode(), True, "gzip", "unsupported_encoding"),
        (gzip.compress(b"{}", mtime=0).decode("utf-8", "replace"), False, "gzip", "unsupported_encoding"),
        ("{}", False, "br", "unsupported_encoding"),
        ("not base64", True, None, "body_unreadable"),
        ("", False, None, "body_unreadable"),
        (None, False, None, "body_unreadable"),
        (" \n", False, None, "body_unreadable"),
        ("x" * (BODY_BYTES_MAX + 1), False, None, "body_too_large"),
        ("ü" * (BODY_BYTES_MAX // 2 + 1), False, None, "body_too_large"),
    ],
)
def test_refuses_a_body_it_cannot_read(body: str | None, is_base64: bool, encoding: str | None, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        read_body(body, is_base64=is_base64, content_encoding=encoding)

    assert reason_of(refused) == reason


def test_takes_4_000_000_bytes() -> None:
    assert len(read_body("x" * BODY_BYTES_MAX, is_base64=False, content_encoding=None)) == BODY_BYTES_MAX


@given(st.binary(max_size=300), st.sampled_from([JSON, NDJSON]))
def test_no_bytes_whatever_raise_anything_but_a_refusal(body: bytes, media_type: str) -> None:
    try:
        items = split_events(body, media_type)
    except Refused as refused:
        assert refused.status in (400, 413)
    else:
        assert items
