"""The spool: batches on disk in their order, owned by one client, bounded, and never in the way of an event."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from contract_server import ContractServer, Fault
from tallystream import Client, EventsDropped, Limits, SpoolFailed, TallystreamError
from tallystream.ledger import Ledger
from tallystream.memory_queue import Taken
from tallystream.sources import SpoolSource
from tallystream.spool import Spool, SpoolInUse
from tallystream.spool_folder import adopt_spools, create_spool
from waiting import wait_until

MakeClient = Callable[..., Client]


def batch(number: int, events: int = 2, size: int = 10) -> Taken:
    return Taken([f"{number}-{place}".ljust(size).encode() for place in range(events)], number)


def test_batches_come_back_in_their_order_within_the_bounds(tmp_path: Path) -> None:
    spool = create_spool(tmp_path)
    for number in range(5):
        spool.append(batch(number))

    rows = spool.read(events_max=5, bytes_max=1_000)
    spool.remove(rows[-1].seq)

    assert [row.taken for row in rows] == [batch(0), batch(1)]
    assert (spool.events, spool.bytes) == (6, 63)
    assert [row.taken.position for row in spool.read(1, 1)] == [2], "at least one"
    spool.close()


def test_a_closed_spool_keeps_what_is_left_and_an_empty_one_goes_away(tmp_path: Path) -> None:
    spool, empty = create_spool(tmp_path), create_spool(tmp_path)
    spool.append(batch(1))
    spool.close()
    empty.close()

    (adopted,) = adopt_spools(tmp_path)

    assert [row.taken for row in adopted.read(10, 1_000)] == [batch(1)]
    adopted.remove(adopted.read(10, 1_000)[-1].seq)
    adopted.close()
    assert not list(tmp_path.iterdir())


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    spool = create_spool(tmp_path / "folder")
    spool.append(batch(1))

    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "folder").iterdir()} == {0o600}
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    spool.close()


def test_a_spool_has_one_owner(tmp_path: Path) -> None:
    spool = create_spool(tmp_path)
    spool.append(batch(1))

    with pytest.raises(SpoolInUse):
        Spool(spool.path)
    assert adopt_spools(tmp_path) == []
    spool.close()


def test_a_file_that_is_no_spool_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "x.sqlite3").write_bytes(b"not a database" * 1_000)

    assert adopt_spools(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["x.damaged"]


def test_a_drained_spool_gives_its_disk_space_back(tmp_path: Path) -> None:
    spool = create_spool(tmp_path)
    for number in range(12):
        spool.append(batch(number, events=1, size=1_000_000))
    rows = spool.read(100, 100_000_000)
    spool.remove(rows[-1].seq)

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000
    spool.append(batch(13))
    assert [row.taken for row in spool.read(10, 1_000)] == [batch(13)], "and what comes later is read"
    spool.close()


def source_of(spool: Spool, overflow: str, errors: list[TallystreamError], spool_bytes: int = 60) -> SpoolSource:
    return SpoolSource(spool, [], Limits(spool_bytes=spool_bytes), overflow, Ledger(errors.append))  # type: ignore[arg-type]


def test_a_full_spool_leaves_newer_events_in_memory(tmp_path: Path, errors: list[TallystreamError]) -> None:
    source = source_of(create_spool(tmp_path), "drop_newest", errors)
    for number in range(3):
        source.save(batch(number))

    assert source.has_unsaved
    assert source.take() == Taken(batch(0).lines + batch(1).lines, 1)
    source.done()
    source.save_again()
    assert not source.has_unsaved
    assert source.take() == batch(2)
    assert not errors
    source.close()


def test_a_full_spool_gives_up_the_oldest_but_for_what_is_on_its_way(
    tmp_path: Path, errors: list[TallystreamError]
) -> None:
    spool = create_spool(tmp_path)
    source = SpoolSource(spool, [], Limits(spool_bytes=70, batch_events=2), "drop_oldest", Ledger(errors.append))
    for number in range(3):
        source.save(batch(number))
    assert source.take() == batch(0)
    source.save(batch(3))
    source.save(batch(4))
    source.done()

    assert source.take() == batch(3)
    source.done()
    assert source.take() == batch(4)
    dropped = [error for error in errors if isinstance(error, EventsDropped)]
    assert [(error.reason, error.count) for error in dropped] == [("spool_full", 2), ("spool_full", 2)]
    source.close()


def test_events_that_the_disk_refuses_are_sent_from_memory(tmp_path: Path, errors: list[TallystreamError]) -> None:
    spool = create_spool(tmp_path)
    source = source_of(spool, "drop_newest", errors, spool_bytes=10_000)
    source.save(batch(1))
    spool._connection.execute("PRAGMA query_only = ON")

    source.save(batch(2))

    assert isinstance(errors[0], SpoolFailed)
    assert source.take() == batch(1)
    source.done()
    assert source.take() == batch(2), "and what could not be removed is not read twice"
    source.done()
    assert source.take() is None
    source.close()


def test_without_a_folder_to_write_events_are_sent_from_memory(
    server: ContractServer, make_client: MakeClient, errors: list[TallystreamError], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    client = make_client(spool=tmp_path / "file")

    client.track_event("e", user_id="u")

    assert client.flush()
    assert len(server.events) == 1
    assert isinstance(errors[0], SpoolFailed)


def test_with_the_api_away_events_go_to_disk_and_memory_stays_small(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    server.always = Fault(drops=True)
    client = make_client(spool=tmp_path, limits=Limits(queue_events=100, batch_events=50, save_interval_ms=1))
    sent = 0
    for _ in range(20):
        sent += sum(bool(client.track_event("e", user_id="u")) for _ in range(50))
        wait_until(lambda: client.stats().queued == 0)

    assert client.stats().spooled == sent == 1_000
    server.always = None
    assert client.flush(30)
    assert client.stats().spooled == 0
    assert len(server.events) == 1_000


def test_the_spool_of_a_killed_process_can_be_read_with_any_sqlite(tmp_path: Path) -> None:
    spool = create_spool(tmp_path)
    spool.append(batch(7))
    path = spool.path
    spool.close()

    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT events, body FROM batches").fetchall() == [(2, b"\n".join(batch(7).lines))]
    connection.close()
