"""Names and bytes of spooled records, and which records a failure drags along."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.routing import Record
from event_analytics.spool import (
    SPOOL_PREFIX,
    SpoolUnreadable,
    accepted_us_of,
    decode_spool,
    encode_spool,
    from_first_failure,
    spool_name,
)

RECORDS = st.lists(
    st.builds(
        Record,
        topic=st.sampled_from(["events", "event-changes"]),
        key=st.binary(max_size=20) | st.text().map(str.encode),
        value=st.binary(max_size=200) | st.text().map(str.encode),
        timestamp_ms=st.integers(0, 2**52),
        accepted_ms=st.none(),  # set on the way to Kafka, and never before
    ),
    min_size=1,
    max_size=20,
)


def keyed(*keys: str) -> list[Record]:
    return [Record("events", key.encode(), b"%d" % number, 1) for number, key in enumerate(keys)]


@given(RECORDS)
def test_records_come_back_with_the_same_bytes_key_and_timestamp(records: list[Record]) -> None:
    assert decode_spool(encode_spool(records)) == records


def test_a_line_shows_topic_key_time_and_value_as_they_are() -> None:
    line = gzip.decompress(encode_spool([Record("events", b"u1", b'{"id":"x"}', 1_790_000_000_000)]))

    assert line == b'{"topic":"events","key":"u1","timestamp_ms":1790000000000,"value":"{\\"id\\":\\"x\\"}"}\n'


BROKEN = {
    "nothing": b"",
    "no gzip": b"no gzip",
    "cut short": encode_spool([Record("events", b"a", b"1", 1)])[:-9],
    "no lines": gzip.compress(b"", mtime=0),
    "no JSON": gzip.compress(b"no json\n", mtime=0),
    "no key": gzip.compress(b'{"topic":"events","timestamp_ms":1,"value":"v"}\n', mtime=0),
    "no base64": gzip.compress(b'{"topic":"events","key":"a","timestamp_ms":1,"value_base64":"*"}\n', mtime=0),
    "no time": gzip.compress(b'{"topic":"events","key":"a","value":"v"}\n', mtime=0),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_was_not_written_here_is_unreadable(body: bytes) -> None:
    with pytest.raises(SpoolUnreadable):
        decode_spool(body)


def test_names_sort_by_acceptance_and_give_it_back() -> None:
    names = [spool_name(accepted_us, "request") for accepted_us in (999, 1_000, 1_790_000_000_000_000)]

    assert names == sorted(names)
    assert [accepted_us_of(name) for name in names] == [999, 1_000, 1_790_000_000_000_000]


@pytest.mark.parametrize("request_id", ["", "a/b c", "é" * 500])
def test_any_request_id_makes_a_name(request_id: str) -> None:
    assert accepted_us_of(spool_name(5, request_id)) == 5


@pytest.mark.parametrize("name", [SPOOL_PREFIX, f"{SPOOL_PREFIX}notes.txt", "raw/v1/0000000000000005-a.jsonl.gz"])
def test_other_names_have_no_acceptance(name: str) -> None:
    assert accepted_us_of(name) is None


@pytest.mark.parametrize(
    ("keys", "acknowledged", "again"),
    [
        ("aaa", (True, True, True), []),
        ("aaa", (True, False, False), [1, 2]),
        ("aaa", (True, False, True), [1, 2]),
        ("abab", (False, True, True, True), [0, 2]),
        ("abab", (False, False, False, False), [0, 1, 2, 3]),
        ("", (), []),
    ],
)
def test_a_failure_drags_along_what_follows_of_its_key_only(
    keys: str, acknowledged: tuple[bool, ...], again: list[int]
) -> None:
    assert from_first_failure(keyed(*keys), acknowledged) == again


def test_the_same_key_on_another_topic_is_another_place() -> None:
    records = [Record("events", b"a", b"1", 1), Record("event-changes", b"a", b"2", 1)]

    assert from_first_failure(records, [False, True]) == [0]
