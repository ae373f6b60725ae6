"""One event with more changes than its row's version counts by the microsecond. Over the real engine."""

import itertools
import json
import random
import uuid
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.change import CHANGE_COLUMNS
from event_analytics.event import ACCEPTED_US_END
from event_analytics.fold import TOMBSTONE_VERSION_MIN
from event_analytics.folding import fold_changes
from event_analytics.log_version import LOG_VERSION_SQL, VERSIONS_PER_MICROSECOND
from tests.builders import ACCEPTED_US

CAP = VERSIONS_PER_MICROSECOND - 1
SECOND_US = 1_000_000
IS_2041_US = 2_240_524_800 * SECOND_US
Row = dict[str, Any]


def create(store: ClickHouseEventStore, identifier: UUID) -> None:
    event = {
        "id": str(identifier), "user_id": "u", "conversation_id": "c", "event_name": "e", "properties": {"own": 1},
        "timestamp": "2026-09-21T14:13:19Z", "accepted_us": ACCEPTED_US,
    }  # fmt: skip
    store.insert_rows("events", json.dumps(event).encode(), uuid.uuid4().hex)


def changes_of(identifier: UUID, versions: Sequence[int]) -> list[Row]:
    """Each sets one of 40 properties and one of two fields; the last of each by version is what must be seen."""
    return [
        {
            "change_id": str(uuid.UUID(int=number)), "id": str(identifier), "version": version,
            "fields": ["properties", "error" if number % 2 else "output"], "patch": {f"k{number % 40}": number},
            "error" if number % 2 else "output": str(number),
        }
        for number, version in enumerate(versions)
    ]  # fmt: skip


def load(store: ClickHouseEventStore, changes: Sequence[Row]) -> None:
    rows = b"\n".join(json.dumps(change).encode() for change in changes)
    store.insert_rows("event_changes", rows, uuid.uuid4().hex, CHANGE_COLUMNS)
    assert fold_changes(store, [UUID(changes[0]["id"])]) == []


def seen(store: ClickHouseEventStore) -> Row:
    (row,) = store.select("SELECT error, output, properties FROM events FINAL", {})
    return {**row, "properties": json.loads(row["properties"])}


def expected(changes: Sequence[Row]) -> Row:
    row: Row = {"error": "", "output": None, "properties": {"own": 1}}
    for change in sorted(changes, key=lambda each: (each["version"], each["change_id"])):
        row |= {name: change[name] for name in ("error", "output") if name in change}
        row["properties"] |= change["patch"]
    return row


@pytest.mark.parametrize("before", [CAP - 1, CAP, CAP + 1])
def test_a_late_older_change_counts_however_many_there_are(tables: ClickHouseEventStore, before: int) -> None:
    identifier = uuid.uuid4()
    late, *others = changes_of(identifier, range(ACCEPTED_US, ACCEPTED_US + before + 1))
    late["patch"] = {"late": True}
    create(tables, identifier)
    load(tables, others)

    load(tables, [late])

    assert seen(tables)["properties"]["late"] is True
    assert tables.select("SELECT count() AS pending FROM pending_changes", {}) == [{"pending": 0}]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5))])
@pytest.mark.parametrize("gap_us", [0, 1, SECOND_US // 1_000])
def test_more_changes_than_a_microsecond_counts_converge_in_any_order_and_after_a_replay(
    tables: ClickHouseEventStore, seed: int, gap_us: int
) -> None:
    chance = random.Random(seed)
    identifier = uuid.uuid4()
    changes = changes_of(identifier, [ACCEPTED_US + number * gap_us for number in range(CAP + 12)])
    arriving = chance.sample(changes, len(changes))
    borders = [0, CAP - 4, *sorted(chance.sample(range(CAP - 3, len(changes)), 8)), len(changes)]
    for change in arriving[CAP - 4 :]:
        change["patch"] = {f"late {change['change_id']}": True}  # none of those may be missing unseen
    create(tables, identifier)

    for start, end in itertools.pairwise(borders):
        load(tables, arriving[start:end])
        assert seen(tables) == expected(arriving[:end])
    load(tables, arriving[:3])  # what comes again changes nothing

    assert seen(tables) == expected(changes)
    for table in ("events", "event_changes"):
        tables.command(f"TRUNCATE TABLE {table}")
    create(tables, identifier)
    load(tables, changes)
    assert seen(tables) == expected(changes)


def version_of(store: ClickHouseEventStore, newest: int, count: int) -> int:
    log = f"(SELECT toUInt64({newest} - number % 3) AS version, number AS change_id FROM numbers({count})) AS log"
    (row,) = store.select(f"SELECT {LOG_VERSION_SQL} AS version FROM {log}", {})
    version: int = row["version"]
    return version


def test_versions_grow_with_the_newest_change_and_with_the_number_and_end_below_those_of_hidden_rows(
    store: ClickHouseEventStore,
) -> None:
    newest = [ACCEPTED_US, ACCEPTED_US + 1, ACCEPTED_US // SECOND_US * SECOND_US + SECOND_US - 1, IS_2041_US]
    counts = [1, 2, CAP - 1, CAP, CAP + 1, CAP + 2, 100_000]
    grid = [[version_of(store, each, count) for count in counts] for each in newest]

    for earlier, row in enumerate(grid):
        assert all(less < more for less, more in itertools.pairwise(row))
        for later in grid[earlier + 1 :]:  # a superset of changes is no smaller in either
            assert all(less < more for place, less in enumerate(row) for more in later[place + 1 :])
    assert grid[-1][-1] < TOMBSTONE_VERSION_MIN
    assert version_of(store, ACCEPTED_US_END - 1, CAP + 1) < TOMBSTONE_VERSION_MIN
    assert version_of(store, ACCEPTED_US, CAP) == ACCEPTED_US * VERSIONS_PER_MICROSECOND + CAP
