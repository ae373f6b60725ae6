"""`up`, `status` and `down` as processes over trivial parts: exit codes, words, a supervisor killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local_runtime import stack_file
from local_runtime.guardian import find_marked
from local_runtime.ports import is_free
from local_runtime.stack_file import StackFile

SCRIPT = Path(__file__).with_name("trivial_stack.py")
WAIT_SECONDS = 20.0


def wait_until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (met := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true"
        time.sleep(0.02)
    return met


def run(command, state_dir):
    return subprocess.run(
        [sys.executable, SCRIPT, command, state_dir], capture_output=True, text=True, timeout=60, check=False
    )


@contextlib.contextmanager
def up(state_dir, behaviours=None):
    command = [sys.executable, SCRIPT, "up", state_dir, json.dumps(behaviours or {})]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def has_state(state_dir, state):
    running = StackFile.read(state_dir)
    return running if running and running.state == state else None


def is_gone(state_dir):
    lock = stack_file.try_lock(state_dir)
    if lock is None:
        return False
    os.close(lock)
    return True


def assert_nothing_is_left(state_dir, running):
    assert find_marked(running.boot_id) == []
    assert all(is_free(part.port) for part in running.parts)
    assert sorted(path.name for path in state_dir.iterdir()) == ["logs", "stack.lock"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_up_serves_until_a_signal_and_then_stops_in_order(tmp_path, signum):
    with up(tmp_path) as process:
        lines = []
        while not lines or not lines[-1].startswith("serving"):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        running = has_state(tmp_path, "running")
        process.send_signal(signum)
        output, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 0
    assert errors == ""
    assert any("api_url" in line for line in lines)
    assert output.splitlines()[-2:] == [
        "stopping in order; Ctrl-C again skips the wait for what is still on its way",
        "stopped",
    ]
    assert_nothing_is_left(tmp_path, running)


def test_a_second_up_says_what_runs_and_ends_well_and_down_stops_it(tmp_path):
    with up(tmp_path) as process:
        running = wait_until(lambda: has_state(tmp_path, "running"))
        second = run("up", tmp_path)
        status = run("status", tmp_path)
        down = run("down", tmp_path)
        process.communicate(timeout=WAIT_SECONDS)

    assert second.returncode == 0
    assert f"process {running.pid} runs this stack" in second.stdout
    assert "http://127.0.0.1:" in second.stdout
    assert status.returncode == 0, status
    assert [line.split()[0] for line in status.stdout.splitlines()][:4] == ["part", "aws", "kafka", "trigger"]
    assert (down.returncode, down.stdout.splitlines()[-1]) == (0, "stopped")
    assert process.returncode == 0
    assert_nothing_is_left(tmp_path, running)


def test_status_and_down_say_when_nothing_runs(tmp_path):
    status, down = run("status", tmp_path), run("down", tmp_path)

    assert (status.returncode, status.stdout) == (3, "not running\n")
    assert (down.returncode, down.stdout) == (0, "not running\n")


def test_a_part_that_dies_while_serving_ends_the_command_with_its_name(tmp_path):
    with up(tmp_path) as process:
        running = wait_until(lambda: has_state(tmp_path, "running"))
        os.kill(running.parts[1].pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 1
    assert errors.startswith("kafka ended with exit code -9. The end of ")
    assert "says hello" in errors
    assert_nothing_is_left(tmp_path, running)


def test_status_names_the_part_that_does_not_answer(tmp_path):
    with up(tmp_path) as process:
        running = wait_until(lambda: has_state(tmp_path, "running"))
        os.kill(running.parts[2].pid, signal.SIGSTOP)
        status = run("status", tmp_path)
        os.kill(running.parts[2].pid, signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_SECONDS)

    assert status.returncode == 1
    assert next(line for line in status.stdout.splitlines() if "no answer" in line).startswith("trigger")


@pytest.mark.parametrize("state", ["starting", "running"])
def test_a_killed_supervisor_leaves_no_process_port_or_temp_folder(tmp_path, state):
    behaviours = {"aws": "has-workers", "trigger": "never-serves" if state == "starting" else "serves"}
    with up(tmp_path, behaviours) as process:
        running = wait_until(lambda: (found := has_state(tmp_path, state)) and len(found.parts) == 3 and found)
        assert wait_until(lambda: len(find_marked(running.boot_id)) == 5)
        process.kill()
        process.communicate()
        wait_until(lambda: is_gone(tmp_path))

    assert_nothing_is_left(tmp_path, running)


def test_up_right_after_a_killed_up_waits_for_the_remains_and_serves(tmp_path):
    with up(tmp_path) as first:
        before = wait_until(lambda: has_state(tmp_path, "running"))
        first.kill()
        first.wait()
        with up(tmp_path) as second:
            after = wait_until(lambda: has_state(tmp_path, "running"))
            second.send_signal(signal.SIGTERM)
            second.communicate(timeout=WAIT_SECONDS)

    assert second.returncode == 0
    assert before.boot_id < after.boot_id
    assert_nothing_is_left(tmp_path, after)


def test_an_interrupt_before_everything_serves_stops_what_was_started(tmp_path):
    with up(tmp_path, {"trigger": "never-serves"}) as process:
        running = wait_until(lambda: (found := has_state(tmp_path, "starting")) and len(found.parts) == 3 and found)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 130
    assert errors == "interrupted: everything is stopped\n"
    assert_nothing_is_left(tmp_path, running)
