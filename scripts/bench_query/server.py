"""A stack of ClickHouse alone, over tables of the benchmark's own."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.clickhouse_schema import apply_pending
from local_runtime.connection import Connection
from local_runtime.parts import Part, describe_clickhouse
from local_runtime.settings import PORT_SETTINGS, LocalSettings
from local_runtime.stack import started
from scripts.migrate import MIGRATIONS

STATEMENT_SECONDS_MAX = 3_600  # a week of a billion events, merged on a busy machine
Say = Callable[[str], None]


class ClickHouseAlone:
    """The blueprint: one part, no consumers, nothing to drain."""

    def describe_foundation(self, settings: LocalSettings, scratch_dir: Path) -> tuple[Part, ...]:
        """As `Blueprint.describe_foundation`."""
        return (describe_clickhouse(settings, scratch_dir),)

    def prepare(self, settings: LocalSettings, _boot_id: str, report: Say) -> Connection:
        """The tables, as the migrations make them."""
        apply_pending(ClickHouseEventStore(settings.clickhouse_url), MIGRATIONS, lambda name: report(f"{name} applied"))
        nowhere = dict.fromkeys((field.name for field in dataclasses.fields(Connection)), "")
        return Connection(**{**nowhere, "clickhouse_url": settings.clickhouse_url})

    def describe_consumers(self, _settings: LocalSettings, _scratch_dir: Path) -> tuple[Part, ...]:
        """None."""
        return ()

    def drain(self, _settings: LocalSettings, _report: Say) -> None:
        """Nothing is under way."""


@contextmanager
def serving(settings: LocalSettings, folder: Path, say: Say) -> Iterator[ClickHouseEventStore]:
    """A ClickHouse on a free port whose tables lie in `folder`, for as long as the block lasts.

    Raises:
        StackFailed: another run uses the folder, or the server does not start.
    """
    free_ports: dict[str, Any] = dict.fromkeys(PORT_SETTINGS, 0)
    own = dataclasses.replace(settings, state_dir=folder, **free_ports)
    with started(own, ClickHouseAlone(), say) as stack:
        yield ClickHouseEventStore(stack.connection.clickhouse_url, wait_seconds_max=STATEMENT_SECONDS_MAX)
