"""The spool: batches on disk in their order, owned by one client, bounded, and never in the way of an event."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from contract_server import ContractServer, Fault
from tallystream import Client, EventsDropped, Limits, SpoolFailed, TallystreamError
from tallystream.background_delivery import THREAD_NAME
from tallystream.ledger import Ledger
from tallystream.leftovers import Leftovers
from tallystream.limits import Overflow
from tallystream.memory_queue import Taken
from tallystream.spool import Spool, SpoolInUse
from tallystream.spool_folder import create_spool
from tallystream.spool_source import SpoolSource
from waiting import wait_until

MakeClient = Callable[..., Client]


def batch(number: int, events: int = 2, size: int = 10) -> Taken:
    return Taken([f"{number}-{place}".ljust(size).encode() for place in range(events)], number)


def leftovers_of(folder: Path, errors: list[TallystreamError]) -> Leftovers:
    return Leftovers(folder, Ledger(None), errors.append)


def damage_pages(path: Path) -> None:
    """Leaves the first pages, which opening reads, and spoils what the events are in."""
    with path.open("r+b") as file:
        file.seek(5 * 4_096)
        file.write(b"\xff" * (path.stat().st_size - 5 * 4_096))


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


def test_a_closed_spool_keeps_what_is_left_and_an_empty_one_goes_away(
    tmp_path: Path, errors: list[TallystreamError]
) -> None:
    spool, empty = create_spool(tmp_path), create_spool(tmp_path)
    spool.append(batch(1))
    spool.close()
    empty.close()

    adopted = leftovers_of(tmp_path, errors).current

    assert adopted is not None
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


def test_a_spool_has_one_owner(tmp_path: Path, errors: list[TallystreamError]) -> None:
    spool = create_spool(tmp_path)
    spool.append(batch(1))

    with pytest.raises(SpoolInUse):
        Spool(spool.path)
    assert leftovers_of(tmp_path, errors).current is None
    spool.close()


def test_a_file_that_is_no_spool_is_set_aside(tmp_path: Path, errors: list[TallystreamError]) -> None:
    (tmp_path / "x.sqlite3").write_bytes(b"not a database" * 1_000)

    assert leftovers_of(tmp_path, errors).current is None
    assert [path.name for path in tmp_path.iterdir()] == ["x.damaged"]
    assert [error.reason for error in errors] == ["spool_damaged"]


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


def source_of(
    folder: Path, overflow: Overflow, errors: list[TallystreamError], spool_bytes: int = 60, batch_events: int = 2_000
) -> SpoolSource:
    limits = Limits(spool_bytes=spool_bytes, batch_events=batch_events)
    return SpoolSource(folder, limits, overflow, Ledger(errors.append), errors.append)


def refuse_writes(source: SpoolSource, *, refuses: bool = True) -> None:
    assert source._own is not None
    source._own._connection.execute(f"PRAGMA query_only = {'ON' if refuses else 'OFF'}")


def test_a_full_spool_leaves_newer_events_in_memory(tmp_path: Path, errors: list[TallystreamError]) -> None:
    source = source_of(tmp_path, "drop_newest", errors)
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
    source = source_of(tmp_path, "drop_oldest", errors, spool_bytes=70, batch_events=2)
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
    source = source_of(tmp_path, "drop_newest", errors, spool_bytes=10_000)
    source.save(batch(1))
    refuse_writes(source)

    source.save(batch(2))

    assert isinstance(errors[0], SpoolFailed)
    assert source.take() == batch(1)
    source.done()
    assert source.take() == batch(2), "and what could not be removed is not read twice"
    source.done()
    assert source.take() is None
    source.close()


def test_a_damaged_file_of_an_earlier_client_stands_in_nobodys_way(
    server: ContractServer, make_client: MakeClient, tmp_path: Path, errors: list[TallystreamError]
) -> None:
    server.always = Fault(status=503)
    earlier = make_client(spool=tmp_path, sync=True, limits=Limits(sync_timeout_seconds=0), on_error=None)
    for number in range(20):
        earlier.track_event("e", user_id="u", output=str(number) * 5_000)
    earlier.close(0)
    (left,) = tmp_path.rglob("*.sqlite3")
    damage_pages(left)
    server.always = None

    client = make_client(spool=tmp_path)
    own = client.track_event("e", user_id="u")

    assert client.flush(20)
    assert server.arrived[-1] == own
    assert {(type(error), error.reason) for error in errors} == {(SpoolFailed, "spool_damaged")}
    assert list(tmp_path.rglob("*.damaged"))
    stats = client.stats()
    assert stats.recovered + stats.tracked == stats.acknowledged + stats.dropped
    client.close()
    assert not list(tmp_path.rglob("*.sqlite3*"))


def test_a_file_that_is_damaged_while_it_is_ours_is_replaced(tmp_path: Path, errors: list[TallystreamError]) -> None:
    source = source_of(tmp_path, "drop_newest", errors, spool_bytes=1_000_000)
    source.save(Taken([b"x" * 100_000], 1))
    assert source._own is not None
    source._own._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    source._own._connection.execute("PRAGMA cache_size = 0")
    damage_pages(source._own.path)

    assert source.take() is None
    source.save(batch(2))
    assert source.take() == batch(2)
    assert [(type(error), error.reason, error.count) for error in errors] == [(SpoolFailed, "spool_damaged", 1)]
    source.close()


def test_a_full_spool_whose_disk_refuses_to_delete_loses_nothing(
    tmp_path: Path, errors: list[TallystreamError]
) -> None:
    source = source_of(tmp_path, "drop_oldest", errors)
    for number in range(2):
        source.save(batch(number))
    refuse_writes(source)

    source.save(batch(2))

    assert [type(error) for error in errors] == [SpoolFailed]
    assert source.saved() == 4
    refuse_writes(source, refuses=False)
    source.save_again()
    assert not source.has_unsaved
    assert [(error.reason, error.count) for error in errors[1:]] == [("spool_full", 2)]
    assert source.take() == Taken(batch(1).lines + batch(2).lines, 2)
    source.close()


def test_a_saver_goes_on_when_the_disk_does(server: ContractServer, make_client: MakeClient, tmp_path: Path) -> None:
    server.always = Fault(status=503)
    limits = Limits(batch_events=10, save_interval_ms=1, spool_bytes=3_000, queue_events=1_000)
    client = make_client(spool=tmp_path, overflow="drop_oldest", limits=limits)
    source = fill(client, 100)
    refuse_writes(source)
    for _ in range(30):
        client.track_event("e", user_id="u")
    wait_until(lambda: source.has_unsaved)

    refuse_writes(source, refuses=False)

    wait_until(lambda: client.stats().queued == 0)
    assert client.stats().tracked == client.stats().dropped + client.stats().spooled


def fill(client: Client, events: int) -> SpoolSource:
    for _ in range(events):
        client.track_event("e", user_id="u")
    wait_until(lambda: client.stats().queued == 0)
    outlet = client._delivery.outlet
    assert outlet is not None
    assert outlet.spool is not None
    return outlet.spool


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
def test_what_earlier_clients_left_counts_towards_the_limit(
    tmp_path: Path, errors: list[TallystreamError], overflow: Overflow
) -> None:
    for life in range(8):
        source = source_of(tmp_path, overflow, errors, spool_bytes=500, batch_events=1)
        for number in range(40):
            if not source.has_unsaved:
                source.save(batch(100 * life + number))
        source.close()

    left = leftovers_of(tmp_path, errors)
    assert left.bytes <= 500
    assert left.current is not None
    kept = int(left.current.read(1, 1)[0].taken.lines[0].split(b"-")[0])
    left.current.close()
    assert kept == (0 if overflow == "drop_newest" else 717), "the first, or the last 23"
    lost = sum(error.count for error in errors if error.reason == "spool_full")
    assert lost == (0 if overflow == "drop_newest" else 2 * (8 * 40 - 23))


def test_a_callback_that_hears_of_the_disk_may_close_the_client(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    server.always = Fault(status=503)

    def hear(error: TallystreamError) -> None:
        if isinstance(error, SpoolFailed):
            client.close(0.1)

    client = make_client(spool=tmp_path, on_error=hear)
    source = fill(client, 10)
    refuse_writes(source)

    client.track_event("e", user_id="u")

    wait_until(lambda: client.stats().dropped == 1)
    assert (client.stats().queued, client.stats().spooled) == (0, 10)
    wait_until(lambda: not any(thread.name == THREAD_NAME for thread in threading.enumerate()))


def test_events_in_hand_that_the_disk_refused_are_told_when_the_client_is_closed(
    server: ContractServer, make_client: MakeClient, tmp_path: Path, errors: list[TallystreamError]
) -> None:
    client = make_client(spool=tmp_path)
    source = fill(client, 1)
    assert client.flush()
    refuse_writes(source)
    server.always = Fault(drops=True)
    for _ in range(5):
        client.track_event("e", user_id="u")
    wait_until(lambda: source.has_unsaved_in_hand)
    assert client.stats().queued == 5

    assert not client.close(0.1)

    stats = client.stats()
    assert (stats.tracked, stats.acknowledged, stats.dropped, stats.queued, stats.spooled) == (6, 1, 5, 0, 0)
    assert [(error.reason, error.count) for error in errors if isinstance(error, EventsDropped)] == [("closed", 5)]


def test_a_file_whose_rows_could_not_be_deleted_stays(tmp_path: Path) -> None:
    spool = create_spool(tmp_path)
    spool.append(batch(1))
    spool._connection.execute("PRAGMA query_only = ON")

    with pytest.raises(sqlite3.OperationalError):
        spool.remove_oldest(1, 0)
    spool.close()

    assert spool.path.exists()
    assert spool.events == 2


def test_where_open_files_cannot_be_deleted_they_are_closed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystream.spool._DELETES_OPEN_FILES", False)

    create_spool(tmp_path).close()

    assert not list(tmp_path.iterdir())


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
