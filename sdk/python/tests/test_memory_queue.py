"""The queue between calls and sending: bounded, and each way of being full."""

import threading
from collections.abc import Callable

import pytest

from contract_server import ContractServer, Fault
from tallystream import Client, EventsDropped, Limits, TallystreamError
from tallystream.limits import Overflow
from tallystream.memory_queue import MemoryQueue
from waiting import wait_until


def a_queue(overflow: Overflow = "drop_newest", **limits: int) -> MemoryQueue:
    return MemoryQueue(Limits(**limits), overflow, lambda: None)


def lines_of(queue: MemoryQueue) -> list[bytes]:
    taken = queue.take(1_000, 1_000_000)
    return taken.lines if taken else []


def test_gives_lines_in_their_order_within_the_bounds_and_at_least_one() -> None:
    queue = a_queue()
    for line in (b"1", b"22", b"333", b"4444"):
        queue.put(line)

    assert queue.take(2, 1_000) == ([b"1", b"22"], 2)
    assert queue.take(10, 1) == ([b"333"], 3)
    assert queue.take(10, 5) == ([b"4444"], 4)
    assert queue.take(10, 10) is None
    assert (len(queue), queue.bytes) == (0, 0)


@pytest.mark.parametrize("limits", [{"queue_events": 3}, {"queue_bytes": 3}])
def test_a_full_queue_drops_the_newest_or_the_oldest_and_counts_them(limits: dict[str, int]) -> None:
    newest, oldest = a_queue("drop_newest", **limits), a_queue("drop_oldest", **limits)

    assert [newest.put(line) for line in (b"1", b"2", b"3", b"4", b"5")] == [True, True, True, False, False]
    assert all(oldest.put(line) for line in (b"1", b"2", b"3", b"4", b"5"))

    assert (lines_of(newest), newest.dropped) == ([b"1", b"2", b"3"], 2)
    assert (lines_of(oldest), oldest.dropped) == ([b"3", b"4", b"5"], 2)


def test_a_line_that_no_queue_of_this_size_holds_is_dropped() -> None:
    queue = a_queue("drop_oldest", queue_bytes=3)

    assert not queue.put(b"12345")
    assert queue.dropped == 1


def test_a_caller_that_chose_to_block_waits_for_room() -> None:
    queue = a_queue("block", queue_events=1)
    queue.put(b"1")
    thread = threading.Thread(target=queue.put, args=(b"2",))
    thread.start()

    assert lines_of(queue) == [b"1"]
    thread.join(5)
    assert lines_of(queue) == [b"2"]
    assert queue.dropped == 0


def test_a_blocked_caller_is_let_go_when_the_queue_closes() -> None:
    queue = a_queue("block", queue_events=1)
    queue.put(b"1")
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(queue.put(b"2")))
    thread.start()
    queue.close()
    thread.join(5)

    assert taken == [False]
    assert not queue.put(b"3")


def test_the_carrier_is_roused_by_the_first_line_and_by_a_whole_batch_only() -> None:
    roused: list[int] = []
    queue = MemoryQueue(Limits(batch_events=3, batch_bytes=1_000), "drop_newest", lambda: roused.append(len(queue)))

    for _ in range(5):
        queue.put(b"x")
    queue.put(b"y" * 2_000)

    assert roused == [1, 3, 6]


def test_dropped_events_are_told_once_together(
    server: ContractServer, make_client: Callable[..., Client], errors: list[TallystreamError]
) -> None:
    server.faults.append(Fault(seconds=0.3))
    client = make_client(limits=Limits(batch_events=5, queue_events=20, flush_interval_ms=1))
    client.track_event("e", user_id="u")
    wait_until(lambda: server.writes)

    ids = [client.track_event("e", user_id="u", output=str(number)) for number in range(30)]

    assert client.flush()
    (dropped,) = [error for error in errors if isinstance(error, EventsDropped)]
    assert (dropped.reason, dropped.count, dropped.retriable) == ("queue_full", 10, False)
    assert client.stats().dropped == 10
    assert server.arrived[1:] == ids[:20]
