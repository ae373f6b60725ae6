"""`tallystream send`: a file of events -> the API, in order per user, resumable, counted once however often it runs."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tallystream.cli.exits import OK, SOME_FAILED
from tallystream.cli.files import STDIN, Row, read_rows
from tallystream.cli.lanes import BATCH_EVENTS, LANES, BulkSender
from tallystream.cli.lines import Numbered, Refused, prepare_lines
from tallystream.cli.options import json_option, target_options
from tallystream.cli.resuming import Prefix, ProgressFile, Reached
from tallystream.cli.target import find_target
from tallystream.encoding import EVENT_BYTES_MAX
from tallystream.errors import FailedEvent
from tallystream.limits import Limits
from tallystream.transport import Transport
from tallystream.version import USER_AGENT
from tallystream.writing import read_clock_ms

NOTE_SECONDS: Final = 1.0  # how often the progress file is written: what a cut run sends again, which counts once
PLAIN_LINE_SECONDS: Final = 5.0  # a log wants few lines


@click.command()
@click.argument("file")
@click.option("--errors", "errors_path", help="Where refused lines go; default: FILE.errors.ndjson.")
@click.option("--from-start", is_flag=True, help="Send all again, even if a cut run could be resumed.")
@click.option("--connections", default=LANES, show_default=True, type=click.IntRange(1, 32))
@click.option(
    "--batch", default=BATCH_EVENTS, show_default=True, type=click.IntRange(1, 5_000), help="Events a request."
)
@json_option
@target_options
@click.pass_context
def send(
    context: click.Context, /, url: str | None, key: str | None, *, is_json: bool, file: str, **options: Any
) -> None:
    """Send FILE (NDJSON or CSV, also .gz; - is the standard input).

    A run that was cut off goes on where it stopped. Lines without an id get one of their content, so that sending a
    file twice changes no count.
    """
    target = find_target(url, key, "write")
    limits = Limits(batch_events=options["batch"], batch_bytes=max(EVENT_BYTES_MAX, 1_000_000))
    run = Run(file, target.url, options["errors_path"], from_start=options["from_start"])
    transport = Transport(target.url, target.key, USER_AGENT, timeout_seconds=limits.request_timeout_seconds)
    sender = BulkSender(lambda: transport, limits, run.note_failure, options["connections"])
    started = time.monotonic()
    try:
        with _show_progress(run, sender):
            sender.send(run.lines(sender))
    except BaseException:
        run.note(sender)
        raise
    finally:
        run.close()
        transport.close()
    run.finish()
    context.exit(_sum_up(run, sender, time.monotonic() - started, is_json=is_json))


class Run:
    """One file on its way: what is skipped, what was refused, how far it is."""

    def __init__(self, name: str, url: str, errors_path: str | None, *, from_start: bool) -> None:
        self._name = name
        self._errors_path = Path(errors_path or f"{'stdin' if name == STDIN else name}.errors.ndjson")
        self._errors: IO[str] | None = None
        self._progress: ProgressFile | None = None
        self._started_ms = read_clock_ms()
        if name != STDIN and Path(name).is_file():
            rows = None if from_start else read_rows(name)
            self._progress = ProgressFile.open(Path(name), Reached(url, self._started_ms), rows)
            self._started_ms = self._progress.progress.started_ms
        self._prefix = Prefix()
        self._noted_at = 0.0
        self._lock = threading.Lock()  # lanes tell of refusals while the main thread notes
        self._refusals: list[tuple[int, str]] = []
        self.skipped = 0
        self.settled_refused = Counter(self._progress.progress.refused if self._progress else {})

    @property
    def resumes_after(self) -> int:
        """The line up to which an earlier run came; 0 for a new one."""
        return self._progress.progress.watermark if self._progress else 0

    @property
    def errors_path(self) -> Path:
        """Where refused lines are."""
        return self._errors_path

    @property
    def refused(self) -> Counter[str]:
        """Lines that were refused, by reason; those of the run before as well."""
        return self.settled_refused + Counter(reason for _, reason in self._refusals)

    def lines(self, sender: BulkSender) -> Iterator[Numbered]:
        """The lines to send, and now and then a note of how far they are."""
        resumes_after = self.resumes_after
        for line in prepare_lines(self._hashed(read_rows(self._name)), self._started_ms):
            if line.number <= resumes_after:
                self.skipped += 1
            elif isinstance(line, Refused):
                self._write_error(line.number, line.reason, "", None, line.text)
            else:
                yield line
            if time.monotonic() - self._noted_at > NOTE_SECONDS:
                self.note(sender)

    def _hashed(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            if self._progress is not None:
                self._prefix.add(row)
            yield row

    def note(self, sender: BulkSender) -> None:
        """Remembers how far the run is."""
        self._noted_at = time.monotonic()
        if self._progress is None:
            return
        watermark = max(sender.numbers().watermark, self.resumes_after)
        with self._lock:
            self.settled_refused.update(reason for number, reason in self._refusals if number <= watermark)
            self._refusals = [each for each in self._refusals if each[0] > watermark]
        self._progress.note(watermark, self._prefix.up_to(watermark), self.settled_refused)

    def note_failure(self, number: int, failed: FailedEvent) -> None:
        """Keeps what the API refused."""
        self._write_error(number, failed.reason, failed.message, failed.field, failed.line.decode("utf-8", "replace"))

    def finish(self) -> None:
        """Forgets how far it is: all of it is settled."""
        if self._progress is not None:
            self._progress.remove()

    def close(self) -> None:
        """Closes the file of refused lines."""
        if self._errors is not None:
            self._errors.close()

    def _write_error(self, number: int, reason: str, message: str, field: str | None, text: str) -> None:
        entry = {"line": number, "reason": reason, "field": field, "message": message, "text": text}
        with self._lock:
            self._refusals.append((number, reason))
            if self._errors is None:
                mode = "a" if self.resumes_after else "w"
                self._errors = self._errors_path.open(mode, encoding="utf-8")
            self._errors.write(json.dumps({name: value for name, value in entry.items() if value}) + "\n")
            self._errors.flush()


@contextlib.contextmanager
def _show_progress(run: Run, sender: BulkSender) -> Iterator[None]:
    console = Console(stderr=True)
    if run.resumes_after:
        console.print(f"resuming after line {run.resumes_after:,}", highlight=False)
    if not console.is_terminal:
        yield
        return
    columns = (TextColumn("sending"), BarColumn(pulse_style="cyan"), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, get_time=time.monotonic) as progress:
        task = progress.add_task("", total=None)
        stop = _every(0.2, lambda: progress.update(task, description=_describe(sender)))
        try:
            yield
        finally:
            stop()


def _describe(sender: BulkSender) -> str:
    stats = sender.stats()
    return f"{stats.acknowledged:,} events" + (f", {stats.rejected:,} refused" if stats.rejected else "")


def _every(seconds: float, act: Any) -> Any:
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(seconds):
            act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def stop() -> None:
        ended.set()
        thread.join()
        act()

    return stop


def _sum_up(run: Run, sender: BulkSender, seconds: float, *, is_json: bool) -> int:
    stats = sender.stats()
    refused = run.refused.total()
    summary = {
        "acknowledged": stats.acknowledged,
        "refused": refused,
        "skipped": run.skipped,
        "reasons": dict(sorted(run.refused.items())),
        "errors_file": str(run.errors_path) if refused else None,
        "requests": stats.requests,
        "failed_requests": stats.failed_requests,
        "seconds": round(seconds, 3),
    }
    if is_json:
        click.echo(json.dumps(summary))
    else:
        rate = stats.acknowledged / seconds if seconds else 0.0
        click.echo(f"{stats.acknowledged:,} acknowledged in {seconds:.1f} s, {rate:,.0f} events/s", nl=False)
        click.echo(f"; {run.skipped:,} were sent by the run before" if run.skipped else "")
        if refused:
            reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(run.refused.items()))
            click.echo(f"{refused:,} refused ({reasons}): see {run.errors_path}", err=True)
    return SOME_FAILED if refused else OK
