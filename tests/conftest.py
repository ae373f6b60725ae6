"""What integration, contract and end-to-end tests share: one embedded stack for the whole run of a process."""

import dataclasses
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

from local_runtime import lag
from local_runtime.assembly import Tallystream
from local_runtime.connection import Connection
from local_runtime.memory_folder import find_memory_folder
from local_runtime.settings import PORT_SETTINGS, LocalSettings
from local_runtime.stack import Stack, started
from tests.long_forms import CASES
from tests.scheduling import StackScheduling, check_may_start_stack

DELIVERED_SECONDS_MAX = 100.0  # seconds are enough; other tests and programs may have most of the machine


@dataclass(frozen=True)
class EmbeddedStack:
    """The running stack of this test run, and what a test may do to it. `settings` holds its real ports."""

    supervisor: Stack

    @property
    def connection(self) -> Connection:
        """How to reach it: URLs, keys, bucket."""
        return self.supervisor.connection

    @property
    def settings(self) -> LocalSettings:
        """Its settings; every port is the one in use."""
        return self.supervisor.settings

    def restart(self, part: str) -> None:
        """`kill -9` a part (trigger, clickhouse) and start it again; returns when it serves.

        The broker forgets its topics and MiniStack its functions: end with these a stack of the test's own.
        """
        self.supervisor.restart(part)

    def restart_trigger(self) -> None:
        """`kill -9` the Kafka trigger, in whatever it does, and start it again; returns when it reads."""
        self.supervisor.restart("trigger")

    def wait_until_delivered(self) -> None:
        """Wait until load and archive have taken every record that is in Kafka now."""
        deadline = time.monotonic() + DELIVERED_SECONDS_MAX
        while left := lag.wait_until_drained(self.connection.trigger_status_url):
            assert time.monotonic() < deadline, f"not delivered: {left}\n{self.supervisor.log_of('trigger')}"


# No deadline per example: how long one takes says how busy the machine is.
hypothesis.settings.register_profile("tallystream", deadline=None)


def pytest_configure() -> None:
    """Keep temporary folders in memory where there is room: most of what stacks write is code that they unpack."""
    hypothesis.settings.load_profile("tallystream")
    if folder := find_memory_folder():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> StackScheduling:
    """Divide the tests as `scheduling` says where `-n` asks for several processes."""
    return StackScheduling(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say of each long form that passed how many cases it had: a slow machine has time for fewer."""
    for report in terminalreporter.getreports("passed"):
        for told in (value for name, value in report.user_properties if name == CASES):
            terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {told}")


@pytest.fixture(scope="session")
def local_settings(tmp_path_factory: pytest.TempPathFactory) -> LocalSettings:
    """Settings of a stack for tests: free ports, a state of its own, the checkout's environments and layer cache."""
    free_ports = dict.fromkeys(PORT_SETTINGS, 0)
    state_dir = tmp_path_factory.mktemp("stack")
    # The daily summary as often as a schedule may fire, so that a test sees it fire.
    parameters = {"ReportSchedule": "rate(1 minute)"}
    return dataclasses.replace(LocalSettings.from_env(), state_dir=state_dir, parameters=parameters, **free_ports)


@pytest.fixture(scope="session")
def stack(local_settings: LocalSettings) -> Iterator[EmbeddedStack]:
    """The embedded stack, started at the first test that asks for it and stopped after the last test."""
    check_may_start_stack()
    with started(local_settings, Tallystream()) as supervisor:
        yield EmbeddedStack(supervisor)
        supervisor.check()
