"""How far a long step has come: a bar in a terminal, a plain line every few seconds elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

PLAIN_LINE_SECONDS: Final = 5.0  # a log file wants few lines

Advance = Callable[[int], None]


@contextmanager
def show_progress(label: str, total: int | None, console: Console | None = None) -> Iterator[Advance]:
    """Gives a function that takes how many more are done. `total` None: the end is not known."""
    console = console or Console()
    if not console.is_terminal:
        yield _plain_lines(label, total, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[speed]}"), console=console) as progress:
        task = progress.add_task(label, total=total, speed="")
        started, done = monotonic(), 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            speed = done / max(monotonic() - started, 0.001)
            progress.update(task, advance=more, speed=f"{speed:,.0f}/s")

        yield advance


def _plain_lines(label: str, total: int | None, console: Console) -> Advance:
    done, printed_at = 0, monotonic()

    def advance(more: int) -> None:
        nonlocal done, printed_at
        done += more
        if monotonic() - printed_at < PLAIN_LINE_SECONDS and done != total:
            return
        printed_at = monotonic()
        console.print(f"{label}: {done:,}" + (f" of {total:,}" if total is not None else ""), highlight=False)

    return advance
