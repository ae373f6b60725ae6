"""Nothing is sent with a time that Kafka's retention could take, and what is read bears the time of acceptance."""

import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.adapters.kafka_bulk import headers_of
from event_analytics.archive import plan_archive, read_object
from event_analytics.archive_keys import hour_of, parse_key
from event_analytics.erasure import Erased, Erasure, hash_user
from event_analytics.kafka_batch import KafkaRecord, read_records
from event_analytics.record_times import RECORD_AGE_MS_MAX, accepted_ms_of, date_records
from event_analytics.replay import Pass
from event_analytics.routing import Record
from tests.builders import ACCEPTED_MS

ROOT = Path(__file__).parents[3]
RETENTION_MS_MIN = 3_600_000  # TopicRetentionHours of template.yaml is at least 1
NOW_MS = ACCEPTED_MS
DAY_MS = 86_400_000

# Who makes a producer of Kafka's, and why none of its records can be too old.
PRODUCERS = {
    "layers/event_analytics/python/event_analytics/adapters/kafka_event_log.py": "dates what it appends",
    "localstack/local_runtime/kafka_trigger/destinations.py": "names no time: kafka-python takes that of sending",
    "localstack/local_runtime/kafka_trigger/bench.py": "likewise",
    "scripts/bench/rivals/ingest_models.py": "likewise; for figures only, into a topic of its own",
    "scripts/bench/rivals/librdkafka_produce.py": "for figures only, of events made for it",
}
MAKES_PRODUCER = re.compile(r"\bKafkaProducer\(|[= ]Producer\(")

times = st.integers(0, NOW_MS + DAY_MS) | st.integers(NOW_MS - 2 * RECORD_AGE_MS_MAX, NOW_MS)
lists_of_records = st.lists(st.builds(lambda time: Record("events", b"k", b"{}", time), times), max_size=20)


def as_lambda_has_it(offset: int, record: Record) -> dict[str, object]:
    """A record as a poller hands it over."""
    return {
        "topic": record.topic,
        "partition": 0,
        "offset": offset,
        "timestamp": record.timestamp_ms,
        "timestampType": "CREATE_TIME",
        "key": base64.b64encode(record.key).decode(),
        "value": base64.b64encode(record.value).decode(),
        "headers": [{name: list(value)} for name, value in headers_of(record)],
    }


@given(lists_of_records)
def test_what_is_sent_is_never_old_and_is_read_with_its_time_of_acceptance(records: list[Record]) -> None:
    sent = date_records(records, NOW_MS)
    read = read_records({"records": {"events-0": [as_lambda_has_it(*each) for each in enumerate(sent)]}})

    assert all(record.timestamp_ms >= NOW_MS - RECORD_AGE_MS_MAX for record in sent)
    assert [record.timestamp_ms for record in read] == [record.timestamp_ms for record in records]
    assert [(record.topic, record.key, record.value) for record in sent] == [("events", b"k", b"{}")] * len(records)


def test_what_has_just_been_accepted_is_sent_as_it_is() -> None:
    fresh = [Record("events", b"k", b"{}", NOW_MS - age) for age in (0, 1, RECORD_AGE_MS_MAX)]

    assert date_records(fresh, NOW_MS) is fresh


def test_records_are_sent_young_enough_for_the_shortest_retention() -> None:
    assert RECORD_AGE_MS_MAX * 10 < RETENTION_MS_MIN


@pytest.mark.parametrize("value", [b"", b"x", b"1e3", b"12345678901234", "\uff11".encode(), b" 1", b"1\n"])
def test_a_header_of_somebody_elses_is_ignored(value: bytes) -> None:
    signed = [number - 256 if number > 127 else number for number in value]

    assert accepted_ms_of(NOW_MS, [{"traceparent": [48]}, {"accepted_ms": signed}]) == NOW_MS


def as_read_later(record: Record) -> list[KafkaRecord]:
    """What a function gets of a record that was sent long after it was accepted."""
    (sent,) = date_records([record], NOW_MS)
    assert sent.timestamp_ms == NOW_MS
    return read_records({"records": {"events-0": [as_lambda_has_it(0, sent)]}})


def test_a_record_drained_days_late_is_archived_and_replayed_by_its_time_of_acceptance() -> None:
    accepted_ms = NOW_MS - 9 * DAY_MS
    (archived,) = plan_archive(as_read_later(Record("events", b"u1", b"{}", accepted_ms)), "e1")
    key = parse_key(archived.name)

    assert key is not None
    assert key.hour == hour_of(accepted_ms)
    (record,) = read_object(key, archived.body)
    assert Pass("events", accepted_ms, accepted_ms + 1).has(record.timestamp_ms)


def test_an_unreadable_record_that_is_sent_again_after_the_erasure_is_erased_all_the_same() -> None:
    erasure = Erasure(hash_user("alice"), (NOW_MS - DAY_MS) * 1_000)
    erased = Erased({erasure.user_hash: erasure})

    (before,) = as_read_later(Record("events-replay", b"alice", b"{", NOW_MS - 2 * DAY_MS))
    (since,) = as_read_later(Record("events-replay", b"alice", b"{", NOW_MS - DAY_MS // 2))

    assert not erased.keeps(before)
    assert erased.keeps(since)


def test_a_trace_does_not_hide_the_time_of_acceptance() -> None:
    (sent,) = date_records([Record("events", b"k", b"{}", 5, "00-trace")], NOW_MS)

    assert [name for name, _ in headers_of(sent)] == ["traceparent", "accepted_ms"]
    assert read_records({"records": {"events-0": [as_lambda_has_it(0, sent)]}})[0].timestamp_ms == 5


def test_no_producer_is_made_but_those_that_are_known_to_send_nothing_old() -> None:
    files = [
        file for folder in ("layers", "functions", "scripts", "localstack") for file in (ROOT / folder).rglob("*.py")
    ]
    found = {str(file.relative_to(ROOT)) for file in files if MAKES_PRODUCER.search(file.read_text("utf-8"))}

    assert found == PRODUCERS.keys()
