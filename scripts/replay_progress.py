"""How far a replay has come: a bar over the archived bytes in a terminal, a plain line every few seconds elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from event_analytics.replay_run import Progress
from scripts.progress import PLAIN_LINE_SECONDS


@contextmanager
def show_replay(
    label: str, archived_bytes: int, console: Console | None = None
) -> Iterator[Callable[[Progress], None]]:
    """Gives the function that a runner reports to. `archived_bytes`: all there is to read."""
    console = console or Console()
    if not console.is_terminal:
        yield _plain_lines(label, archived_bytes, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[events]}"))
    with Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as bars:
        task = bars.add_task(label, total=archived_bytes, events="")
        started, sent = monotonic(), 0

        def advance(progress: Progress) -> None:
            nonlocal sent
            sent += progress.records_sent
            speed = sent / max(monotonic() - started, 0.001)
            bars.update(task, advance=progress.archived_bytes, events=f"{sent:,} events, {speed:,.0f}/s")

        yield advance


def _plain_lines(label: str, archived_bytes: int, console: Console) -> Callable[[Progress], None]:
    read, sent, printed_at = 0, 0, monotonic()

    def advance(progress: Progress) -> None:
        nonlocal read, sent, printed_at
        read += progress.archived_bytes
        sent += progress.records_sent
        if monotonic() - printed_at >= PLAIN_LINE_SECONDS:
            printed_at = monotonic()
            share = read / archived_bytes if archived_bytes else 1.0
            console.print(f"{label}: {sent:,} events, {share:.0%} of the archive's bytes", highlight=False)

    return advance
