"""A day of its own: what is sent, delivered and counted in it, and what is asked about it, with and without rollups."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, cycle, islice
from typing import Any

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.dead_letters import DeadLetterWriter
from event_analytics.errors import StoreUnavailable
from event_analytics.held_hours import LEARNED_SECONDS_MIN, HeldByWindow
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.observability import InvocationLine
from event_analytics.ports import Reading
from event_analytics.questions.catalog import BY_NAME
from event_analytics.questions.query import Conditions, Query, Select
from event_analytics.questions.question import Asked
from event_analytics.rollup import HELD_GENERATIONS
from event_analytics.rollup_building import CLOSED_AFTER_SECONDS, BuildReport, build_rollups
from event_analytics.rollup_query import rollup_parameters
from event_analytics.windows import Window
from functions.load import app as load
from tests.builders import a_lambda_batch, a_record
from tests.fakes import FakeEventLog, FakeObjectStore

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
ACCEPTED_US = 1_790_000_000_000_000
HOURS = 7  # of a day that events lie in, from 03:00 on
OPTIONS: dict[str, dict[str, Any]] = {
    "top-users": {},
    "errors": {"by": "event_name"},
    "top-conversations": {"by": "error_rate", "min_events": 2},
}
_days = count()


class Meanwhile:
    """A store before whose statement number `step` something else happens, once: another's work, or its death."""

    def __init__(self, store: ClickHouseEventStore, step: int, happens: Callable[[], object]) -> None:
        self._store = store
        self._left = step
        self._happens = happens

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._store, name)

        def after(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == -1:
                self._happens()
            return act(*arguments)

        return after


def die() -> None:
    raise StoreUnavailable("killed here")


class Day:
    """Seven hours, and what happens in them."""

    def __init__(self, store: ClickHouseEventStore) -> None:
        self.store = store
        self.start = FIRST_DAY + timedelta(days=next(_days))
        self.epoch = uuid.uuid4().hex
        self.sent: list[KafkaRecord] = []
        self.whole_answers = self.torn_answers = 0
        self.seconds = 0.0
        self.known = HeldByWindow(lambda: self.seconds)
        self.told: Counter[bool] = Counter()  # statements that were told what holds, by whether it did
        self.turns = cycle(OPTIONS)

    def at(self, hour: int, minute: int = 20) -> datetime:
        return self.start + timedelta(hours=3 + hour, minutes=minute)

    def unix(self, hour: int) -> int:
        """The Unix second that an hour starts at."""
        return int(self.at(hour, 0).timestamp())

    def create(self, identifier: uuid.UUID, user: str, hour: int, earlier_by: int = 0) -> KafkaRecord:
        """`earlier_by`: how many records that were sent before were accepted after it."""
        return self._send(
            {
                "id": str(identifier), "user_id": user, "conversation_id": f"c{hour % 3}" if user else "",
                "event_name": f"e{hour % 2}", "error": "bad" if user == "b" else None,
                "timestamp": self.at(hour).isoformat(), "accepted_us": ACCEPTED_US + len(self.sent) - earlier_by,
            }
        )  # fmt: skip

    def change(self, identifier: uuid.UUID, *, is_deleted: bool) -> KafkaRecord:
        fields = {"is_deleted": 1} if is_deleted else {"fields": ["error"], "error": "bad"}
        return self._send(
            {
                "change_id": str(uuid.uuid4()), "id": str(identifier),
                "version": ACCEPTED_US + len(self.sent), **fields,
            }
        )  # fmt: skip

    def _send(self, value: Mapping[str, Any]) -> KafkaRecord:
        record = a_record(len(self.sent), value=json.dumps(value).encode())
        self.sent.append(record)
        return record

    def deliver(self, records: Sequence[KafkaRecord], store: Any = None) -> None:
        """As Lambda does; a batch of its own epoch, so that no insert is dropped for its token."""
        writer = DeadLetterWriter(FakeObjectStore(), FakeEventLog())
        deps = load.Deps(store or self.store, writer, epoch=uuid.uuid4().hex, now_us=lambda: ACCEPTED_US)
        load.handle(a_lambda_batch(records), deps, InvocationLine())

    def build(self, store: Any = None, until: datetime | None = None) -> BuildReport:
        """Count what is dirty; it is `until`, or the day has just ended."""
        now = (until or self.start + timedelta(days=1, seconds=CLOSED_AFTER_SECONDS)).timestamp()
        return build_rollups(store or self.store, lambda: now, uuid.uuid4)

    def asked(self) -> Iterator[Asked]:
        """A question about whole hours, hours that are cut, and the whole day."""
        yield from (
            Asked(Window(start, end), Conditions(), 1_000, None, {}, b"")
            for start, end in (
                (self.at(0, 0), self.at(HOURS, 0)),
                (self.at(-1, 30), self.at(HOURS - 1, 21)),
                (self.start, self.start + timedelta(days=1)),
            )
        )

    def held(self) -> dict[int, uuid.UUID]:
        """The generation that holds, by hour (Unix seconds)."""
        (whole_day,) = (asked.window for asked in self.asked() if asked.window and asked.window.start == self.start)
        sql = f"SELECT toUnixTimestamp(hour) AS starts_at, generation FROM ({HELD_GENERATIONS})"
        rows = self.store.select(sql, rollup_parameters(whole_day))
        return {row["starts_at"]: uuid.UUID(row["generation"]) for row in rows}

    def select(self, query: Query) -> Reading:
        reading = self.store.ask(query.sql, query.parameters)
        verdicts = [bool(row["is_whole"]) for row in reading.rows[:1] if "is_whole" in row]
        self.whole_answers += verdicts == [True]
        self.torn_answers += verdicts == [False]
        return reading

    def count(self, query: Query) -> Reading:
        """As if no rollup were whole."""
        return Reading([{"is_whole": 0}], 0, 0, 0.0) if "AS is_whole" in query.sql else self.select(query)

    def let_time_pass(self) -> None:
        """So much that what is not known is found out anew."""
        self.seconds += LEARNED_SECONDS_MIN

    def select_knowing(self, query: Query) -> Reading:
        """As the query function does, which keeps what holds from one answer to the next."""
        reading = self.store.ask(query.sql, query.parameters)
        if "held_marks" in query.parameters:
            self.told[bool(reading.rows and reading.rows[0]["is_whole"])] += 1
        return reading

    def assert_exact(self, windows: int = 3) -> None:
        """Answers equal a count with FINAL, totals included: about each window of one question, in turn."""
        for asked, name in zip(islice(self.asked(), windows), self.turns, strict=False):
            question, asked_in_full = BY_NAME[name], asked._replace(options=OPTIONS[name])
            counted = question.answer(asked_in_full, Select(self.count))
            assert question.answer(asked_in_full, Select(self.select)) == counted, (name, asked.window)
            knowing = Select(self.select_knowing, self.known)
            assert question.answer(asked_in_full, knowing) == counted, (name, asked.window, "knowing what holds")
