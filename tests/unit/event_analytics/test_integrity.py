"""What is wrong with an id, told from the archive's creates and ClickHouse's rows."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from event_analytics.fold import TOMBSTONE_VERSION_MIN
from event_analytics.integrity import (
    ROWS_AT_ONCE,
    ArchivedCreate,
    Difference,
    KeyFields,
    Kind,
    Report,
    StoredRow,
    group_rows,
    judge,
    parts_of,
    read_change,
    read_create,
)
from tests.builders import ACCEPTED_MS, ACCEPTED_US, UUID4, UUID7, a_record

ID = UUID(UUID4)
HERE = KeyFields("u1", "c1", ACCEPTED_MS)
THERE = KeyFields("u1", "c1", ACCEPTED_MS + 7_200_000)
SOMEBODY = KeyFields("u2", "c1", ACCEPTED_MS)
FOLDED = ACCEPTED_US * 4_096


def create(accepted: int, fields: KeyFields = HERE) -> ArchivedCreate:
    return ArchivedCreate(ID, accepted, fields)


def live(accepted: int, fields: KeyFields = HERE, version: int = 1) -> StoredRow:
    return StoredRow(fields, accepted, version, is_deleted=False)


def deleted(accepted: int, fields: KeyFields = HERE) -> StoredRow:
    return StoredRow(fields, accepted, FOLDED, is_deleted=True)


def hidden(accepted: int, fields: KeyFields) -> StoredRow:
    return StoredRow(fields, accepted, TOMBSTONE_VERSION_MIN + 2**52 - accepted, is_deleted=True)


CASES = {
    "nothing is stored": ([create(10)], [], (Kind.MISSING, False)),
    "as archived": ([create(10)], [live(10)], (None, False)),
    "sent twice, counted once": ([create(10), create(20)], [live(10)], (None, False)),
    "a later row that a change was folded into": ([create(10), create(20)], [live(20, version=FOLDED)], (None, False)),
    "deleted by a change": ([create(10)], [deleted(10)], (None, False)),
    "deleted under both keys": ([create(10)], [deleted(10), deleted(20, THERE)], (None, True)),
    "two rows count": ([create(10), create(20, THERE)], [live(10), live(20, THERE)], (Kind.CONFLICTING, True)),
    "the later one counts": ([create(10), create(20, THERE)], [hidden(10, HERE), live(20, THERE)],
                             (Kind.CONFLICTING, True)),
    "the first one counts": ([create(10), create(20, THERE)], [live(10), hidden(20, THERE)], (None, True)),
    "an earlier hour's counts": ([create(20, THERE)], [live(10), hidden(20, THERE)], (None, True)),
    "a later hour's counts": ([create(10)], [hidden(10, HERE), live(20, THERE)], (Kind.CONFLICTING, True)),
    "both are hidden": ([create(10), create(20, THERE)], [hidden(10, HERE), hidden(20, THERE)], (Kind.MISSING, True)),
    "the first is deleted, the other hidden": ([create(10), create(20, THERE)], [deleted(10), hidden(20, THERE)],
                                               (None, True)),
    "the first is deleted, a later one counts": ([create(20, THERE)], [deleted(10), live(20, THERE)],
                                                 (Kind.CONFLICTING, True)),
    "a later one is deleted, the first counts": ([create(10)], [live(10), deleted(20, THERE)],
                                                 (Kind.CONFLICTING, True)),
    "another user's row counts": ([create(10), create(20, SOMEBODY)], [live(20, SOMEBODY)], (Kind.CONFLICTING, True)),
    "the first user's row counts": ([create(10), create(20, SOMEBODY)], [live(10)], (None, True)),
    "accepted at one moment": ([create(10), create(10, SOMEBODY)], [live(10, SOMEBODY)], (None, True)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_id_is_judged_by_all_that_is_known_of_it(case: str) -> None:
    creates, rows, expected = CASES[case]

    assert judge(creates, rows) == expected
    assert judge(creates[::-1], rows[::-1]) == expected


def test_a_create_is_read_from_its_record_and_other_records_hold_none() -> None:
    assert read_create(a_record()) == ArchivedCreate(UUID(UUID7), ACCEPTED_US, HERE)
    assert read_create(a_record(value=None)) is None
    assert read_create(a_record(value=b'{"change_id":"x"}')) is None


def test_a_change_is_read_from_its_record_and_other_records_hold_none() -> None:
    value = json.dumps({"change_id": UUID7, "id": UUID4, "version": 5}).encode()

    assert read_change(a_record(value=value)) == (ID, UUID(UUID7))
    assert read_change(a_record(value=b"\xff")) is None


def test_rows_are_grouped_by_id() -> None:
    row = {**HERE._asdict(), "id": UUID4, "accepted_us": 1, "version": 2, "is_deleted": 0}

    assert group_rows([row, {**row, **THERE._asdict()}]) == {ID: [live(1, version=2), live(1, THERE, version=2)]}


@pytest.mark.parametrize(("rows", "parts"), [(0, 1), (1, 1), (ROWS_AT_ONCE, 1), (ROWS_AT_ONCE + 1, 2)])
def test_many_rows_are_read_in_parts(rows: int, parts: int) -> None:
    assert parts_of(rows) == parts


def test_all_differences_count_and_the_first_of_each_kind_are_listed() -> None:
    report = Report(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
    clean_before = report.is_clean
    for number in range(5):
        report.add(Difference(Kind.MISSING, "events", UUID(int=number)), listed_max=2)
    report.add(Difference(Kind.EXTRA, "events", UUID(int=9)), listed_max=2)

    assert (clean_before, report.is_clean) == (True, False)
    assert (report.missing, report.extra, report.conflicting) == (5, 1, 0)
    assert report.ids(Kind.MISSING) == [UUID(int=0), UUID(int=1)]
    assert report.ids(Kind.EXTRA) == [UUID(int=9)]
