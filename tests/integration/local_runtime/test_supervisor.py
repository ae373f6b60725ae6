"""The supervisor over trivial parts, in this process: order, failures, and that nothing is left behind."""

import dataclasses
import json
import os
import signal
import socket
import stat

import pytest

from local_runtime import stack_file
from local_runtime.connection import Connection
from local_runtime.guardian import find_marked
from local_runtime.ports import PortTaken, is_free
from local_runtime.settings import PORT_SETTINGS, LocalSettings
from local_runtime.stack import AlreadyRunning, PartDied, PartNotReady, StackFailed, started
from local_runtime.stack_file import StackFile
from tests.integration.local_runtime.trivial_stack import TrivialBlueprint


@pytest.fixture
def settings(tmp_path):
    return LocalSettings(
        state_dir=tmp_path / "a state" / "dir",
        ministack_venv=tmp_path,
        aws_port=0,
        kafka_port=0,
        clickhouse_port=0,
        trigger_port=0,
    )


def silent(_line):
    return


def start(settings, blueprint, do=lambda stack: None):
    with started(settings, blueprint, silent) as stack:
        do(stack)
        stack.check()


def assert_nothing_is_left(state_dir, boot_id=None, ports=()):
    assert not (state_dir / "tmp").exists()
    assert not (state_dir / "stack.json").exists()
    assert not (state_dir / "connection.json").exists()
    assert boot_id is None or find_marked(boot_id) == []
    assert all(is_free(port) for port in ports)
    lock = stack_file.try_lock(state_dir)
    assert lock is not None
    os.close(lock)


def test_serves_in_the_block_and_leaves_nothing_after_it(settings):
    blueprint = TrivialBlueprint()

    with started(settings, blueprint, silent) as stack:
        running = StackFile.read(settings.state_dir)
        ports = [part.port for part in running.parts]
        written = Connection.read(settings.state_dir)
        modes = [stat.S_IMODE((settings.state_dir / name).stat().st_mode) for name in ("connection.json", "stack.json")]
        stack.check()

    assert [part.name for part in running.parts] == ["aws", "kafka", "trigger"]
    assert running.state == "running"
    assert running.pid == os.getpid()
    assert written == stack.connection
    assert modes == [0o600, 0o600]
    assert blueprint.calls == ["prepare", "drain"]
    assert_nothing_is_left(settings.state_dir, stack.boot_id, ports)


def test_a_second_start_on_the_same_state_says_who_runs(settings):
    with started(settings, TrivialBlueprint(), silent) as stack:
        with pytest.raises(AlreadyRunning) as refused, started(settings, TrivialBlueprint(), silent):
            pass
        stack.check()

    assert refused.value.running.pid == os.getpid()
    assert refused.value.running.boot_id == stack.boot_id


def test_two_stacks_live_side_by_side_on_their_own_state(settings, tmp_path):
    other = dataclasses.replace(settings, state_dir=tmp_path / "other")

    with (
        started(settings, TrivialBlueprint(), silent) as one,
        started(other, TrivialBlueprint(), silent) as two,
    ):
        one.check()
        two.check()
        ports = {getattr(stack.settings, name) for stack in (one, two) for name in PORT_SETTINGS}

    assert len(ports) == 8
    assert one.boot_id < two.boot_id


def test_a_part_that_dies_at_start_is_named_with_its_last_words(settings):
    blueprint = TrivialBlueprint({"kafka": "dies"})

    with pytest.raises(PartDied, match=r"(?s)^kafka ended with exit code 1\..*the disk is on fire"):
        start(settings, blueprint)

    assert blueprint.calls == []
    assert_nothing_is_left(settings.state_dir)


def test_a_part_that_does_not_serve_in_time_is_named_with_its_last_words(settings):
    with pytest.raises(PartNotReady, match=r"(?s)^aws did not serve within 2 s\..*says hello"):
        start(settings, TrivialBlueprint({"aws": "never-serves"}))

    assert_nothing_is_left(settings.state_dir)


def test_a_command_that_cannot_be_run_is_named(settings):
    class WithoutMinistack(TrivialBlueprint):
        def describe_foundation(self, settings, scratch_dir):
            aws, kafka = super().describe_foundation(settings, scratch_dir)
            return kafka, dataclasses.replace(aws, command=("/nowhere/python",))

    with pytest.raises(StackFailed, match=r"aws cannot be started: .*No such file.*/nowhere/python"):
        start(settings, WithoutMinistack())

    assert_nothing_is_left(settings.state_dir)


def test_a_failure_between_the_parts_stops_what_was_started(settings):
    with pytest.raises(RuntimeError, match="the template is wrong"):
        start(settings, TrivialBlueprint(fails_to_prepare=True))

    assert_nothing_is_left(settings.state_dir)


def test_a_part_that_dies_between_is_named_and_not_the_error_of_who_spoke_to_it(settings):
    class KillsKafka(TrivialBlueprint):
        def prepare(self, settings, boot_id, report):
            kafka = StackFile.read(settings.state_dir).parts[1]
            os.kill(kafka.pid, signal.SIGKILL)
            os.waitid(os.P_PID, kafka.pid, os.WEXITED | os.WNOWAIT)
            raise ConnectionError("kafka does not answer")

    with pytest.raises(PartDied, match="kafka ended with exit code -9"):
        start(settings, KillsKafka())

    assert_nothing_is_left(settings.state_dir)


def test_a_part_that_dies_later_is_found_by_the_check_and_nothing_is_drained(settings):
    blueprint = TrivialBlueprint()

    def kill_trigger(stack):
        stack.kill("trigger")
        boot_ids.append(stack.boot_id)

    boot_ids = []
    with pytest.raises(PartDied, match="trigger ended with exit code -9"):
        start(settings, blueprint, kill_trigger)

    assert blueprint.calls == ["prepare"]
    assert_nothing_is_left(settings.state_dir, boot_ids[0])


def test_a_killed_part_can_be_started_again_on_its_port(settings):
    with started(settings, TrivialBlueprint(), silent) as stack:
        before = stack.pid_of("trigger")
        stack.restart("trigger")
        after = stack.pid_of("trigger")
        stack.check()
        listed = {part.name: part for part in StackFile.read(settings.state_dir).parts}

    assert before != after
    assert listed["trigger"].pid == after
    assert listed["trigger"].port == stack.settings.trigger_port


def test_a_part_that_ignores_sigterm_and_workers_that_left_their_group_are_ended_too(settings):
    blueprint = TrivialBlueprint({"kafka": "ignores-sigterm", "aws": "has-workers"})

    with started(settings, blueprint, silent) as stack:
        processes = find_marked(stack.boot_id)

    assert len(processes) == 5
    assert_nothing_is_left(settings.state_dir, stack.boot_id)


def test_an_interrupt_while_draining_still_ends_everything(settings):
    class Interrupted(TrivialBlueprint):
        def drain(self, settings, report):
            raise KeyboardInterrupt

    boot_ids = []
    with pytest.raises(KeyboardInterrupt):
        start(settings, Interrupted(), lambda stack: boot_ids.append(stack.boot_id))

    assert_nothing_is_left(settings.state_dir, boot_ids[0])


def test_a_dead_guardian_is_a_reason_to_stop(settings):
    def kill_guardian(stack):
        os.kill(stack._guardian._process.pid, signal.SIGKILL)
        stack._guardian._process.wait()
        boot_ids.append(stack.boot_id)

    boot_ids = []
    with pytest.raises(PartDied, match="the guardian ended"):
        start(settings, TrivialBlueprint(), kill_guardian)

    assert_nothing_is_left(settings.state_dir, boot_ids[0])


def test_taken_ports_are_named_with_their_settings_before_anything_starts(settings):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        aws_port, trigger_port = one.getsockname()[1], two.getsockname()[1]
        wanted = dataclasses.replace(settings, aws_port=aws_port, trigger_port=trigger_port)
        with pytest.raises(PortTaken) as refused, started(wanted, TrivialBlueprint(), silent):
            pass

    assert str(refused.value).splitlines() == [
        f"port {aws_port} is taken: set TALLYSTREAM_AWS_PORT (0 takes any free port)",
        f"port {trigger_port} is taken: set TALLYSTREAM_TRIGGER_PORT (0 takes any free port)",
    ]
    assert not (settings.state_dir / "logs").exists()


def test_remains_of_a_stack_that_lost_its_supervisor_and_guardian_do_not_count_as_running(settings):
    settings.state_dir.mkdir(parents=True)
    gone = stack_file.describe_self("boot", "running", []).__dict__ | {"started": "long ago"}
    (settings.state_dir / "stack.json").write_text(json.dumps(gone))

    assert StackFile.read(settings.state_dir) is None
    with started(settings, TrivialBlueprint(), silent) as stack:
        stack.check()
