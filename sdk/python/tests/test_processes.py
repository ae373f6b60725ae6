"""Processes that end, are killed, or fork: what they had saved arrives, and counts once."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from contract_server import KEY, ContractServer, Fault
from programs import run_program, start_program
from tallystream import Client, Limits
from tallystream.memory_queue import Taken
from tallystream.spool_folder import create_spool
from waiting import wait_until

MakeClient = Callable[..., Client]
TRACKS = """
    import sys, time
    from tallystream import Client, Limits
    url, key, spool, events = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    client = Client(url, key, spool=spool if spool != "None" else False,
                    limits=Limits(batch_events=100, flush_interval_ms=20, save_interval_ms=5, exit_timeout_seconds=1))
    for number in range(events):
        client.track_event("e", user_id=f"u{number % 7}", output=str(number))
"""
UNTIL_SAVED = """
    while client.stats().queued:
        time.sleep(0.005)
    print("saved", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_had_saved_is_sent_on_the_next_start_in_order(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    # The first request is served and its answer never read; the second hangs; then the process is killed.
    server.faults.extend([Fault(drops=True, takes=True), Fault(seconds=3, drops=True)])
    killed = start_program(TRACKS + UNTIL_SAVED, server.url, KEY, tmp_path, 1_000)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "saved\n"
    wait_until(lambda: len(server.writes) >= 2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    client = make_client(spool=tmp_path)
    own = client.track_event("e", user_id="u0", output="after")

    assert client.flush(20)
    assert len(server.events) == 1_001
    assert sum(user.events for user in client.top_users().users) == 1_001
    assert client.stats().recovered == 1_000
    assert server.arrived[-1] == own
    first_arrivals = list(dict.fromkeys(server.arrived))
    assert [server.events[identifier]["output"] for identifier in first_arrivals[:-1]] == list(map(str, range(1_000)))
    assert len(list(tmp_path.rglob("*.sqlite3"))) == 1, "the file of the killed process is gone"


def test_a_process_that_ends_with_the_api_away_leaves_at_once_and_the_next_one_sends(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    server.always = Fault(drops=True)
    run_program(TRACKS + "    time.sleep(0.2)\n", server.url, KEY, tmp_path, 250, seconds=15)
    server.always = None

    client = make_client(spool=tmp_path)

    assert client.flush(20)
    assert len(server.events) == 250


@pytest.mark.parametrize("spool", ["disk", "memory"])
def test_a_process_that_ends_sends_what_it_has(server: ContractServer, tmp_path: Path, spool: str) -> None:
    run_program(TRACKS, server.url, KEY, tmp_path if spool == "disk" else None, 250)

    assert len(server.events) == 250
    assert set(server.deliveries.values()) == {1}
    assert not list(tmp_path.rglob("*.sqlite3*")), "an empty spool is deleted"


def test_a_process_that_ends_without_a_spool_waits_for_a_bounded_time(server: ContractServer) -> None:
    server.always = Fault(drops=True)

    program = start_program(TRACKS, server.url, KEY, None, 10)
    _, err = program.communicate(timeout=15)

    assert program.returncode == 0
    assert "EventsDropped: 10 events" in err


def test_events_of_an_exit_handler_are_sent(server: ContractServer) -> None:
    code = """
    import atexit, sys
    from tallystream import Client
    client = Client(sys.argv[1], sys.argv[2], spool=False)
    atexit.unregister(print)
    def last_words():
        client.track_event("stopped", user_id="u")
    atexit.register(last_words)
    """
    run_program(code, server.url, KEY)

    assert [event["event_name"] for event in server.events.values()] == ["stopped"]


def test_parent_and_child_of_a_fork_send_their_own(server: ContractServer, tmp_path: Path) -> None:
    code = """
    import os, sys, warnings
    from tallystream import Client, Limits
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: that is what is tested
    client = Client(sys.argv[1], sys.argv[2], spool=sys.argv[3], limits=Limits(flush_interval_ms=50))
    for number in range(100):
        client.track_event("before", user_id="parent")
    child = os.fork()
    name = "child" if child == 0 else "parent"
    for number in range(100):
        client.track_event("after", user_id=name)
    assert client.flush(20), client.stats()
    if child == 0:
        assert client.stats().acknowledged == 100, client.stats()
        client.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert client.stats().acknowledged == 200, client.stats()
    """
    run_program(code, server.url, KEY, tmp_path)

    users = [event["user_id"] for event in server.events.values()]
    assert (users.count("parent"), users.count("child")) == (200, 100)
    assert set(server.deliveries.values()) == {1}


def test_a_decorated_function_counts_in_the_child_of_a_fork_and_a_batch_may_hold_a_fork(server: ContractServer) -> None:
    code = """
    import os, sys, warnings
    from tallystream import Client, Limits
    warnings.simplefilter("ignore", DeprecationWarning)
    client = Client(sys.argv[1], sys.argv[2], spool=False, limits=Limits(flush_interval_ms=50))
    @client.timed("called", user_id="u")
    def call():
        pass
    call()
    assert client.flush(20)
    with client.batch():
        child = os.fork()
        for _ in range(3):
            call()
    assert client.stats().acknowledged == (3 if child == 0 else 4), client.stats()
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    """
    run_program(code, server.url, KEY)

    assert len(server.events) == 7


def test_workers_of_multiprocessing_send_before_they_end(server: ContractServer) -> None:
    code = """
    import multiprocessing, sys, warnings
    from tallystream import Client
    warnings.simplefilter("ignore", DeprecationWarning)
    client = Client(sys.argv[1], sys.argv[2], spool=False)
    def work(number):
        client.track_event("worked", user_id=f"u{number}")
    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=work, args=(number,)) for number in range(4)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
    """
    run_program(code, server.url, KEY)

    assert sorted(event["user_id"] for event in server.events.values()) == ["u0", "u1", "u2", "u3"]


def test_clients_side_by_side_do_not_take_each_others_spool(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    server.faults.append(Fault(seconds=0.5))
    first = make_client(spool=tmp_path)
    ids = [first.track_event("e", user_id="u") for _ in range(10)]
    wait_until(lambda: server.writes)

    second = make_client(spool=tmp_path)
    ids.append(second.track_event("e", user_id="u"))

    assert second.flush()
    assert first.flush()
    assert second.stats().recovered == 0
    assert sorted(server.arrived) == sorted(ids)


def test_many_files_of_earlier_processes_are_sent_with_few_file_handles(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    server.always = Fault(drops=True)
    first = make_client(spool=tmp_path, sync=True, limits=Limits(sync_timeout_seconds=0))
    first.track_event("e", user_id="u", output="0")
    first.close(0)
    server.always = None
    (path,) = tmp_path.rglob("*.sqlite3")
    folder = path.parent
    for number in range(1, 60):
        left = create_spool(folder)
        left.append(Taken([json.dumps({"id": f"{number:036}", "output": str(number)}).encode()], 1))
        left.close()
    code = """
    import resource, sys
    from tallystream import Client
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    errors = []
    client = Client(sys.argv[1], sys.argv[2], spool=sys.argv[3], on_error=errors.append)
    assert client.flush(20), client.stats()
    assert client.stats().recovered == 60, client.stats()
    assert not errors, errors
    """
    run_program(code, server.url, KEY, tmp_path)

    assert [server.events[identifier]["output"] for identifier in server.arrived] == list(map(str, range(60)))
    assert not list(tmp_path.rglob("*.sqlite3*"))


def test_without_sqlite_events_are_sent_from_memory(server: ContractServer, tmp_path: Path) -> None:
    code = """
    import sys
    sys.modules["_sqlite3"] = None
    from tallystream import Client, SpoolFailed
    for spool in (False, None, sys.argv[3]):
        errors = []
        client = Client(sys.argv[1], sys.argv[2], spool=spool, on_error=errors.append)
        client.track_event("e", user_id="u")
        assert client.flush(20), client.stats()
        assert [type(error) for error in errors] == ([SpoolFailed] if spool else []), errors
        assert client.close()
    """
    run_program(code, server.url, KEY, tmp_path)

    assert len(server.events) == 3


@pytest.mark.parametrize("sync", [True, False])
def test_a_python_that_cannot_send_is_told_and_no_caller_hears_it(server: ContractServer, sync: bool) -> None:
    code = """
    import sys
    sys.modules["_ssl"] = None
    from tallystream import Client, EventsDropped, RequestRefused
    errors = []
    client = Client(sys.argv[1], sys.argv[2], spool=False, sync=sys.argv[3] == "True", on_error=errors.append)
    client.track_event("e", user_id="u")
    assert not client.flush(20)
    assert isinstance(errors[0], RequestRefused) and errors[0].reason == "setup_failed", errors
    assert not client.close(1)
    assert isinstance(errors[-1], EventsDropped), errors
    stats = client.stats()
    assert (stats.tracked, stats.dropped, stats.queued) == (1, 1, 0), stats
    """
    run_program(code, server.url, KEY, sync)


def test_a_full_disk_costs_no_event(server: ContractServer, tmp_path: Path) -> None:
    # The server hangs at first, so that nothing but the disk could take the events.
    server.faults.append(Fault(seconds=1.0))
    code = """
    import resource, sys
    from tallystream import Client, Limits, SpoolFailed
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    errors = []
    client = Client(sys.argv[1], sys.argv[2], spool=sys.argv[3], on_error=errors.append,
                    limits=Limits(batch_events=100, save_interval_ms=5, flush_interval_ms=5))
    for number in range(2_000):
        client.track_event("e", user_id="u", output=str(number), input="x" * 200)
    assert client.flush(20), client.stats()
    assert any(isinstance(error, SpoolFailed) for error in errors), errors
    assert client.stats().dropped == 0
    """
    program = start_program(code, server.url, KEY, tmp_path)
    _, err = program.communicate(timeout=30)

    assert program.returncode == 0, err
    arrived = list(dict.fromkeys(server.arrived))
    assert [server.events[identifier]["output"] for identifier in arrived] == list(map(str, range(2_000)))


def test_a_child_that_ends_leaves_its_parents_spool_alone(
    server: ContractServer, make_client: MakeClient, tmp_path: Path
) -> None:
    server.always = Fault(status=503)
    # Without threads, whose frames would keep the parent's objects alive in the child.
    code = """
    import gc, os, sys
    from tallystream import Client, Limits
    client = Client(sys.argv[1], sys.argv[2], spool=sys.argv[3], sync=True, limits=Limits(sync_timeout_seconds=0))
    def track():
        with client.batch():
            for number in range(100):
                client.track_event("e", user_id="u")
        assert client.stats().spooled
    track()
    if os.fork() == 0:
        del client
        gc.collect()
        sys.exit(0)
    os.wait()
    track()
    print("saved", flush=True)
    sys.stdin.read()
    """
    killed = start_program(code, server.url, KEY, tmp_path)
    assert killed.stdout is not None
    assert killed.stdout.readline() == "saved\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    server.always = None

    client = make_client(spool=tmp_path)

    assert client.flush(20)
    assert len(server.events) == 200
