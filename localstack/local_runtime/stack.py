"""Starts the parts of the embedded stack in order, watches them, and stops them so that nothing is left.

What a part is stands in `parts`, what happens between the parts (topics, tables, deploy, keys) in `assembly`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, Self

from local_runtime import connection as connection_file
from local_runtime import stack_file
from local_runtime.connection import Connection
from local_runtime.guardian import MARK_VARIABLE, Guardian
from local_runtime.parts import Part, is_healthy
from local_runtime.ports import settle_ports
from local_runtime.process import ChildProcess
from local_runtime.settings import LocalSettings
from local_runtime.stack_file import PartEntry, StackFile

READY_POLL_SECONDS = 0.02
LOCK_WAIT_SECONDS = 5.0  # a stack whose supervisor was killed is cleaned up within this time
LOCK_POLL_SECONDS = 0.05

Report = Callable[[str], None]


class StackFailed(RuntimeError):  # noqa: N818 - a name, not a grade
    """The stack did not start or did not stay; the message says which part and why. Nothing is left."""


class PartDied(StackFailed):
    """A part ended by itself. The message has its last log lines."""


class PartNotReady(StackFailed):
    """A part runs but does not serve within its time. The message has its last log lines."""


class AlreadyRunning(StackFailed):
    """Another process has this state directory's stack. `running` describes it once it has said who it is."""

    def __init__(self, running: StackFile | None) -> None:
        self.running = running
        super().__init__(f"process {running.pid} runs this stack" if running else "another start or stop is at work")


class Blueprint(Protocol):
    """What a stack is made of. The stack owns all processes; a blueprint starts none."""

    def describe_foundation(self, settings: LocalSettings, scratch_dir: Path) -> tuple[Part, ...]:
        """Return the parts that start first, at the same time."""

    def prepare(self, settings: LocalSettings, boot_id: str, report: Report) -> Connection:
        """Make the running foundation usable, and say how to reach it."""

    def describe_consumers(self, settings: LocalSettings, scratch_dir: Path) -> tuple[Part, ...]:
        """Return the parts that need what `prepare` made; they are stopped first."""

    def drain(self, settings: LocalSettings, report: Report) -> None:
        """Let no new events in and wait, within limits, until those inside have arrived."""


class Stack:
    """A stack whose supervisor is this process. `connection` is there once it has started."""

    connection: Connection

    def __init__(self, settings: LocalSettings, blueprint: Blueprint, lock: int, report: Report) -> None:
        self.settings = settings
        self.boot_id = mint_boot_id()
        self._blueprint = blueprint
        self._report = report
        self._children: dict[str, ChildProcess] = {}
        self._consumer_names: frozenset[str] = frozenset()
        self._state = stack_file.STARTING
        self._scratch_dir = _empty_folder(settings.state_dir / "tmp")
        self._log_dir = _empty_folder(settings.state_dir / "logs")
        state_files = [settings.state_dir / name for name in (connection_file.FILE_NAME, stack_file.FILE_NAME)]
        self._guardian = Guardian(self.boot_id, lock, [self._scratch_dir, *state_files])

    def start(self) -> Self:
        """Start everything, in order; returns when all of it serves."""
        self._enter(stack_file.STARTING)
        self._start_parts(self._blueprint.describe_foundation(self.settings, self._scratch_dir))
        try:
            self.connection = self._blueprint.prepare(self.settings, self.boot_id, self._report)
        except Exception:
            self.check()  # a part that died says more than the error of whoever spoke to it
            raise
        consumers = self._blueprint.describe_consumers(self.settings, self._scratch_dir)
        self._consumer_names = frozenset(part.name for part in consumers)
        self._start_parts(consumers)
        self.connection.write(self.settings.state_dir)
        self._enter(stack_file.RUNNING)
        return self

    def check(self) -> None:
        """Do nothing while every part runs.

        Raises:
            PartDied: for the first part that ended by itself.
        """
        for child in self._children.values():
            if (code := child.exit_code()) is not None:
                raise PartDied(_describe_failure(child, f"ended with exit code {code}"))
        if not self._guardian.is_alive():
            raise PartDied("the guardian ended: the stack could not be cleaned up after a crash")

    def restart(self, name: str) -> None:
        """Kill one part with SIGKILL, as a crash would, start it again and wait until it serves."""
        self.kill(name)
        self._start_parts([self._children.pop(name).part])

    def kill(self, name: str) -> None:
        """Kill one part with SIGKILL, its workers included. `check` will say so; `restart` brings it back."""
        self._children[name].kill()
        self._guardian.forget(self._children[name].pid)

    def kill_all(self) -> None:
        """Kill every part with SIGKILL: of a stack that nobody needs any more."""
        for name in self._children:
            self.kill(name)

    def redeploy(self) -> None:
        """Make a part of the foundation that forgot everything usable again, as the AWS endpoint when it was killed.

        What `prepare` makes is made again, the consumers are killed and started, and `connection.json` is rewritten:
        addresses may have changed.
        """
        for name in self._consumer_names:
            self.kill(name)
        self.connection = self._blueprint.prepare(self.settings, self.boot_id, self._report)
        self._start_parts([self._children.pop(name).part for name in self._consumer_names])
        self.connection.write(self.settings.state_dir)

    def pid_of(self, name: str) -> int:
        """Return the process id of a part."""
        return self._children[name].pid

    def log_of(self, name: str) -> str:
        """Return the last log lines of a part."""
        return self._children[name].tail()

    def close(self) -> None:
        """Stop everything, in order. Whatever interrupts or fails on the way, nothing is left afterwards."""
        was_running = self._state == stack_file.RUNNING
        try:
            self._enter(stack_file.STOPPING)
            try:
                if was_running and all(child.exit_code() is None for child in self._children.values()):
                    self._blueprint.drain(self.settings, self._report)
            finally:
                self._stop_parts()
        finally:
            self._guardian.close()
            for child in self._children.values():
                child.kill()  # the guardian has killed it; this reaps it

    def _start_parts(self, parts: Iterable[Part]) -> None:
        began = time.monotonic()
        waiting = [self._start_part(part) for part in parts]
        self._enter(self._state)
        while waiting:
            self.check()
            for child in [child for child in waiting if is_healthy(child.part.health)]:
                waiting.remove(child)
                self._report(f"{child.part.name} serves on port {child.part.port}")
            elapsed_seconds = time.monotonic() - began
            for child in waiting:
                if elapsed_seconds > child.part.start_seconds_max:
                    raise PartNotReady(_describe_failure(child, f"did not serve within {elapsed_seconds:.0f} s"))
            time.sleep(READY_POLL_SECONDS)

    def _start_part(self, part: Part) -> ChildProcess:
        try:
            child = ChildProcess(
                part, self._log_dir / f"{part.name}.log", self._scratch_dir, {MARK_VARIABLE: self.boot_id}
            )
        except OSError as error:
            raise StackFailed(f"{part.name} cannot be started: {error}") from error
        self._children[part.name] = child
        self._guardian.watch(child.pid)
        return child

    def _stop_parts(self) -> None:
        consumers = [child for name, child in self._children.items() if name in self._consumer_names]
        for child in consumers:
            child.stop()
        # With the consumers gone the rest no longer talks to each other: all may end at the same time.
        for child in self._children.values():
            child.ask_to_end()
        for child in self._children.values():
            child.stop()
            self._guardian.forget(child.pid)

    def _enter(self, state: str) -> None:
        self._state = state
        parts = [
            PartEntry(child.part.name, child.pid, child.started, child.part.port, child.part.health)
            for child in self._children.values()
        ]
        stack_file.describe_self(self.boot_id, state, parts).write(self.settings.state_dir)


@contextmanager
def started(settings: LocalSettings, blueprint: Blueprint, report: Report = print) -> Iterator[Stack]:
    """Run a stack around the block: everything serves when it begins, nothing is left when it ends.

    Raises:
        AlreadyRunning: when another process has the stack of this state directory.
        PortTaken: before anything was started.
        StackFailed: when a part does not come up; the others are stopped first.
    """
    lock = _take_lock(settings.state_dir)
    try:
        stack = Stack(settle_ports(settings), blueprint, lock, report)
        try:
            yield stack.start()
        finally:
            stack.close()
    finally:
        os.close(lock)


@contextmanager
def running(settings: LocalSettings, report: Report = print) -> Iterator[Connection]:
    """Run Tallystream around the block and yield how to reach it; as `started` with the real parts."""
    from local_runtime.assembly import Tallystream

    with started(settings, Tallystream(), report) as stack:
        yield stack.connection


def mint_boot_id() -> str:
    """Return the name of one life of the broker: later ones sort after earlier ones, no two are equal."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z{secrets.token_hex(4)}"


def _take_lock(state_dir: Path) -> int:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while (lock := stack_file.try_lock(state_dir)) is None:
        running_stack = StackFile.read(state_dir)
        if running_stack or time.monotonic() > deadline:
            raise AlreadyRunning(running_stack)
        time.sleep(LOCK_POLL_SECONDS)
    return lock


def _empty_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, parents=True)
    return path


def _describe_failure(child: ChildProcess, what: str) -> str:
    return f"{child.part.name} {what}. The end of {child.log_path}:\n{child.tail()}"
