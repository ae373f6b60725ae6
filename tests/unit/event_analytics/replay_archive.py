"""An archive for replay tests: creates and changes of a few people over a few hours, and a clock that tests turn."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

from event_analytics.archive import plan_archive
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.replay_run import Runner
from event_analytics.replay_state import ReplayJob
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_REPLAY_TOPIC, EVENTS_TOPIC, Record
from tests.builders import ACCEPTED_MS
from tests.fakes import FakeEventLog, FakeObjectStore

HOUR_MS = 3_600_000
START_MS = ACCEPTED_MS // HOUR_MS * HOUR_MS
ALL_TIME = {"start": "1970-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}


class Clock:
    """Unix seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = START_MS / 1_000
        self.slept: list[float] = []

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1_000, tz=UTC).isoformat()


def a_create(offset: int, number: int, at_ms: int, **fields: object) -> KafkaRecord:
    """A create of event `number`; with `partition` or `user_id`, `conversation_id`, `event_name` of its own."""
    partition = int(str(fields.pop("partition", 0)))
    event = {"id": str(UUID(int=number)), "user_id": "u1", "conversation_id": "c1", "event_name": "search", **fields}
    value = json.dumps({"accepted_us": at_ms * 1_000, **event}, separators=(",", ":")).encode()
    return KafkaRecord(EVENTS_TOPIC, partition, offset, at_ms, str(event["user_id"]).encode(), value)


def a_change(offset: int, number: int, at_ms: int, partition: int = 0) -> KafkaRecord:
    """A change of event `number`."""
    value = b'{"change_id":"%b","id":"%b"}' % (str(UUID(int=offset)).encode(), str(UUID(int=number)).encode())
    return KafkaRecord(EVENT_CHANGES_TOPIC, partition, offset, at_ms, str(UUID(int=number)).encode(), value)


def archive_of(*batches: Iterable[KafkaRecord], epoch: str = "e1") -> FakeObjectStore:
    """The archive after these batches were delivered."""
    objects = FakeObjectStore()
    for batch in batches:
        for archived in plan_archive(batch, epoch):
            objects.put_new(archived.name, archived.body)
    return objects


def cut_with_overlaps(records: list[KafkaRecord], random_cuts: random.Random) -> list[list[KafkaRecord]]:
    """Batches that hold every record at least once, cut and delivered again as a rebalance does."""
    batches, start = [], 0
    while start < len(records):
        end = start + random_cuts.randint(1, 7)
        batches.append(records[max(0, start - random_cuts.choice((0, 0, 1, 4))) : end])
        start = end
    random_cuts.shuffle(batches)
    return batches


def a_runner(objects: FakeObjectStore, log: FakeEventLog, clock: Clock, **fields: object) -> Runner:
    return Runner(**{"objects": objects, "log": log, "now": clock.now, "sleep": clock.sleep, "holder": "r1", **fields})  # type: ignore[arg-type]


def expected_records(records: Iterable[KafkaRecord], job: ReplayJob) -> Counter[Record]:
    """What a replay sends, said as plainly as possible."""
    records = list(records)
    creates = [r for r in records if r.topic == EVENTS_TOPIC and job.start_ms <= r.timestamp_ms < job.end_ms]
    changes = [r for r in records if r.topic == EVENT_CHANGES_TOPIC]
    asked = {
        name: value
        for name in ("user_id", "conversation_id", "event_name")
        if (value := getattr(job, name)) is not None
    }
    if asked:
        creates = [r for r in creates if asked.items() <= json.loads(r.value or b"").items()]
        ids = {json.loads(r.value or b"")["id"] for r in creates}
        changes = [r for r in changes if json.loads(r.value or b"")["id"] in ids]
    else:
        changes = [r for r in changes if job.start_ms <= r.timestamp_ms < job.end_ms]
    return Counter(Record(EVENTS_REPLAY_TOPIC, r.key or b"", r.value or b"", r.timestamp_ms) for r in creates + changes)


def after(calls: int) -> Callable[[], bool]:
    """Says True from the given call on."""
    left = iter(range(calls))
    return lambda: next(left, None) is None
