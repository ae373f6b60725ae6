"""The stack that is measured: Tallystream on free ports with a state of its own, which goes when the block ends."""

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from local_runtime import lag, stack_file
from local_runtime.assembly import Tallystream
from local_runtime.settings import KAFKA_MEMORY, PORT_SETTINGS, LocalSettings
from local_runtime.stack import Stack, started
from scripts.bench.workload import CHECK_SQL, Expectation
from scripts.failures import GaveUp

POLL_SECONDS: Final = 0.1
DELIVERED_SECONDS_MAX: Final = 180.0

Say = Callable[[str], None]


class Target:
    """A running stack, as the sections see it. `store`: the engine behind it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.connection = stack.connection
        self.store = ClickHouseEventStore(stack.connection.clickhouse_url)

    def count_rows(self) -> int:
        """Rows of events in the engine, which are the events as long as no id came twice."""
        return int(self.store.select("SELECT count() AS events FROM events", {})[0]["events"])

    def wait_until_rows(self, rows: int) -> float:
        """The moment, by the monotonic clock, at which the engine was seen to hold so many rows.

        Raises:
            GaveUp: it does not in time.
        """
        deadline = time.monotonic() + DELIVERED_SECONDS_MAX
        while (found := self.count_rows()) < rows:
            if time.monotonic() > deadline:
                raise GaveUp(f"the engine holds {found} of {rows} events; the trigger says {self.lags()}")
            time.sleep(POLL_SECONDS)
        return time.monotonic()

    def read_contents(self) -> Expectation:
        """What the tables hold."""
        row = self.store.select(CHECK_SQL, {})[0]
        return Expectation(int(row["events"]), int(row["checksum"]))

    def wait_until_exact(self, expected: Expectation) -> float:
        """The moment, by the monotonic clock, at which the tables were seen to hold exactly this.

        Raises:
            GaveUp: they do not in time.
        """
        deadline = time.monotonic() + DELIVERED_SECONDS_MAX
        found = self.read_contents()
        while found != expected:
            if time.monotonic() > deadline:
                raise GaveUp(f"the tables hold {found}, sent was {expected}; the trigger says {self.lags()}")
            time.sleep(POLL_SECONDS)
            found = self.read_contents()
        return time.monotonic()

    def committed(self, mapping: str) -> int:
        """Records that a mapping has delivered so far."""
        return lag.read_committed(self.connection.trigger_status_url).get(mapping, 0)

    def wait_until_committed(self, mapping: str, records: int) -> None:
        """Return once a mapping has delivered so many.

        Raises:
            GaveUp: it does not in time.
        """
        deadline = time.monotonic() + DELIVERED_SECONDS_MAX
        while (found := self.committed(mapping)) < records:
            if time.monotonic() > deadline:
                raise GaveUp(f"{mapping} delivered {found} of {records} records")
            time.sleep(POLL_SECONDS)

    def lags(self) -> Mapping[str, int | None]:
        """Records not delivered yet, by mapping, as of the trigger's last look."""
        return lag.read_lag(self.connection.trigger_status_url)

    def wait_until_delivered(self) -> float:
        """The moment at which load and archive had everything.

        Raises:
            GaveUp: they do not in time.
        """
        deadline = time.monotonic() + DELIVERED_SECONDS_MAX
        while left := lag.wait_until_drained(self.connection.trigger_status_url):
            if time.monotonic() > deadline:
                raise GaveUp(f"not delivered: {left}")
        return time.monotonic()


@contextmanager
def measured_stack(
    settings: LocalSettings, folder: Path, say: Say, blueprint: Tallystream | None = None
) -> Iterator[Target]:
    """A fresh stack on a broker in memory for as long as the block lasts; its state in `folder` is removed.

    Raises:
        StackFailed: it did not start.
        GaveUp: another bench of this checkout runs.
    """
    _clear(folder)
    ports: dict[str, Any] = dict.fromkeys(PORT_SETTINGS, 0)
    own = dataclasses.replace(settings, state_dir=folder, kafka_storage=KAFKA_MEMORY, **ports)
    try:
        with started(own, blueprint or Tallystream(), say) as stack:
            yield Target(stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Remove what a bench left there that was killed."""
    lock = stack_file.try_lock(folder)
    if lock is None:
        raise GaveUp(f"another bench runs in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    os.close(lock)
