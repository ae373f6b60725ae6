"""A refused batch -> all good rows in, each bad row by itself."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_analytics.errors import StoreRejected, StoreUnavailable
from event_analytics.isolation import UNKNOWN_REFUSALS_MAX, LoadRow, insert_isolated, insert_token, isolate
from tests.builders import a_record
from tests.picky_event_store import PickyEventStore

POISON = b'{"accepted_us": -1}'


class Table:
    """Takes numbers; refuses a batch with one of `bad`, with code 72 or the code given for the number."""

    def __init__(self, bad: dict[int, int]) -> None:
        self.bad = bad
        self.rows: list[int] = []
        self.attempts: list[tuple[int, ...]] = []

    def insert(self, rows: Sequence[int]) -> None:
        self.attempts.append(tuple(rows))
        for row in rows:
            if row in self.bad:
                code = self.bad[row]
                raise StoreRejected(code, f"CODE_{code}", f"row {row}", is_known=code == 72)
        self.rows += rows


@given(st.integers(0, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(n - 1, 0)), max_size=n))))
def test_every_row_is_in_or_comes_back_once_with_its_own_refusal(case: tuple[int, set[int]]) -> None:
    count, bad = case
    table = Table(dict.fromkeys(bad, 72))

    refused = isolate(range(count), table.insert)

    assert [row for row, _ in refused] == sorted(bad & set(range(count)))
    assert [error.detail for row, error in refused] == [f"row {row}" for row, _ in refused]
    assert sorted(table.rows) == sorted(set(range(count)) - bad)


def test_a_good_batch_is_one_insert_and_none_is_none() -> None:
    table = Table({})

    assert isolate(range(1_000), table.insert) == isolate([], table.insert) == []
    assert len(table.attempts) == 1


def test_one_poison_record_among_thousands_costs_two_inserts_per_halving() -> None:
    table = Table({1_234: 72})

    assert [row for row, _ in isolate(range(4_096), table.insert)] == [1_234]
    assert len(table.attempts) == 1 + 2 * 12


def test_the_same_batch_again_is_cut_into_the_same_parts() -> None:
    first, second = Table({3: 72, 77: 72}), Table({3: 72, 77: 72})
    isolate(range(100), first.insert)
    isolate(range(100), second.insert)

    assert first.attempts == second.attempts


def test_a_failure_that_passes_is_raised_through_in_the_middle_of_the_search() -> None:
    attempts = []

    def insert(rows: Sequence[int]) -> None:
        attempts.append(rows)
        if len(attempts) == 4:
            raise StoreUnavailable("down")
        raise StoreRejected(72, "CANNOT_PARSE_NUMBER", "x", is_known=True)

    with pytest.raises(StoreUnavailable, match="down"):
        isolate(range(100), insert)

    assert len(attempts) == 4


def test_a_batch_of_nothing_but_poison_of_a_known_kind_does_not_block_the_partition() -> None:
    table = Table(dict.fromkeys(range(500), 72))

    assert len(isolate(range(500), table.insert)) == 500


def test_a_few_rows_refused_for_an_unknown_reason_come_back() -> None:
    table = Table(dict.fromkeys(range(20), 1002))

    assert [error.is_known for _, error in isolate(range(20), table.insert)] == [False] * 20


def test_a_store_that_refuses_everything_for_an_unknown_reason_is_ill_and_no_row_is_at_fault() -> None:
    table = Table(dict.fromkeys(range(5_000), 1002))

    with pytest.raises(StoreUnavailable, match="none is at fault") as raised:
        isolate(range(5_000), table.insert)

    assert isinstance(raised.value.__cause__, StoreRejected)
    assert len(table.attempts) == UNKNOWN_REFUSALS_MAX + 1


def test_many_unknown_refusals_are_believed_once_a_neighbour_is_taken() -> None:
    table = Table(dict.fromkeys(range(100), 1002))

    assert len(isolate(range(5_000), table.insert)) == 100


class FullStore(PickyEventStore):
    """Refuses whatever it is sent from some insert on, as a full disk does, with a code that is said of rows too."""

    def __init__(self, full_after: int) -> None:
        super().__init__()
        self.full_after = full_after

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        if self.full_after <= len(self.tokens):
            self.tokens.append(token)
            raise StoreRejected(1001, "STD_EXCEPTION", "No space left on device", is_known=False)
        super().insert_rows(table, rows, token, columns)


@pytest.mark.parametrize("count", [1, 2, 20, 500])
def test_a_store_that_takes_nothing_at_all_makes_no_row_dead(count: int) -> None:
    rows = [LoadRow(a_record(offset), b'{"n": %d}' % offset) for offset in range(count)]
    store = FullStore(full_after=0)

    with pytest.raises(StoreUnavailable, match="surely good"):
        insert_isolated(store, "events", rows, "e1")

    assert len(store.tokens) == 2
    assert store.inserts == {}


def test_a_store_that_fills_up_in_the_middle_makes_no_row_dead() -> None:
    rows = [LoadRow(a_record(offset), b'{"n": %d}' % offset) for offset in range(7)] + [LoadRow(a_record(7), POISON)]
    store = FullStore(full_after=2)  # the batch is refused for its poison, its first half is taken

    with pytest.raises(StoreUnavailable):
        insert_isolated(store, "events", rows, "e1")


def test_a_single_row_that_is_really_bad_blocks_nothing_whatever_its_code() -> None:
    for code in (36, 49, 1001, 1002, 99_999):
        store = PickyEventStore({b"odd": code})

        (dead,) = insert_isolated(store, "events", [LoadRow(a_record(0), b"odd")], "e1")

        assert (dead.error_code, dead.needs_classification, len(store.tokens)) == (code, True, 2)


def test_a_refusal_of_a_known_kind_asks_nothing_more_of_the_store() -> None:
    store = PickyEventStore()

    insert_isolated(store, "events", [LoadRow(a_record(0), POISON)], "e1")

    assert len(store.tokens) == 1


def test_rows_are_isolated_with_a_token_of_their_own_that_a_redelivery_repeats() -> None:
    rows = [LoadRow(a_record(offset), b'{"n": %d}' % offset) for offset in range(8)]
    rows[5] = LoadRow(a_record(5), POISON)
    first, second = PickyEventStore(), PickyEventStore()

    (dead,) = insert_isolated(first, "events", rows, "e1")
    insert_isolated(second, "events", rows, "e1")

    assert (dead.record.offset, dead.reason, dead.error_code, dead.error_name, dead.needs_classification) == (
        5, "store_rejected", 72, "CANNOT_PARSE_NUMBER", False,
    )  # fmt: skip
    assert [row["n"] for row in sorted(first.lines("events"), key=lambda row: int(row["n"]))] == [0, 1, 2, 3, 4, 6, 7]
    assert first.tokens == second.tokens
    assert len(set(first.tokens)) == len(first.tokens)


def test_an_unknown_code_is_marked_for_a_person() -> None:
    store = PickyEventStore({b"odd": 36})

    (dead,) = insert_isolated(store, "events", [LoadRow(a_record(0), b"odd")], "e1")

    assert (dead.error_code, dead.error_name, dead.needs_classification) == (36, "BAD_ARGUMENTS", True)


def test_a_token_depends_on_the_records_alone() -> None:
    records = [a_record(0), a_record(1), a_record(0, partition=1)]

    assert insert_token(records, "e1") == insert_token(records[::-1], "e1")
    assert insert_token(records, "e1") != insert_token(records, "e2")
    assert insert_token(records, "e1") != insert_token(records[:2], "e1")
    assert insert_token([records[0], a_record(2)], "e1") != insert_token([records[0], records[1], a_record(2)], "e1")
