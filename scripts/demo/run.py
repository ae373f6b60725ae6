"""One run against a stack that answers: send, wait until all of it shows, ask, hold the answers against the tally."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from rich.console import Console

from local_runtime.connection import Connection
from scripts.batch_answers import Outcome
from scripts.demo import checking, printing
from scripts.demo.archive import ArchiveState
from scripts.demo.probing import VisibilityProbe
from scripts.demo.reading import ROWS_SHOWN, Reader, Window
from scripts.demo.sources import Source
from scripts.demo.tally import Tally, survey_events
from scripts.demo.waiting import wait_until_archived, wait_until_quiet, wait_until_visible
from scripts.failures import FileUnreadable
from scripts.progress import show_progress
from scripts.send_events import Sender, SendResult, describe_result

CONVERSATIONS_WITHOUT_USER_MAX: Final = 25  # asked one by one, so not all of them


@dataclass(slots=True)
class DemoRun:
    """One run. `checks` grows as answers come in; the exit code follows from them."""

    connection: Connection
    source: Source
    console: Console
    list_archive: Callable[[], ArchiveState]
    keeps_running: bool
    tally: Tally = field(default_factory=Tally)
    checks: list[checking.Check] = field(default_factory=list)

    def execute(self) -> bool:
        """Whether every answer equals what was sent.

        Raises:
            ScriptFailed: the run could not be finished.
        """
        reader = Reader(self.connection.api_url, self.connection.read_key)
        probe = VisibilityProbe(Reader(self.connection.api_url, self.connection.read_key))
        try:
            survey = survey_events(self.source.read())
            self._say(f"{survey.total:,} events: {self.source.title}")
            before = reader.count_by_user(Window(survey.start_ms, survey.end_ms))
            archived_before = self.list_archive()
            if not before:
                probe.start()
            result = self._send(survey.total, probe)
            if not result.taken:
                refused = dict(result.rejected + self.source.refused)
                raise FileUnreadable(f"no event of {self.source.title} was accepted; refused: {refused or 'none'}")
            window = Window(self.tally.start_ms, self.tally.end_ms)
            waited_seconds = self._wait(reader, window)
            probe.finish()
            archived = wait_until_archived(self.list_archive, archived_before.records + result.taken)
            self._ask_reports(reader, window, before)
            conversation_id = self._ask_events(reader)
            self.checks.append(checking.check_archive(archived_before.records, archived.records, result.taken))
            self._print_figures(result, archived, probe, waited_seconds)
            self._print_next_steps(window, conversation_id)
            return not any(check.problem for check in self.checks)
        finally:
            probe.abandon()
            reader.close()

    def _send(self, total: int, probe: VisibilityProbe) -> SendResult:
        with show_progress("sending", total, self.console) as advance:

            def settle(outcomes: list[Outcome]) -> None:
                self.tally.record(outcomes)
                probe.note(outcomes)
                advance(len(outcomes))

            sender = Sender(self.connection.api_url, self.connection.write_key, on_settled=settle)
            return sender.send(self.tally.watch(self.source.read()))

    def _wait(self, reader: Reader, window: Window) -> float:
        """Seconds until all showed. Only with all records through do counts prove that none counts twice."""
        started = monotonic()
        with show_progress("visible", self.tally.by_user.total(), self.console) as advance:
            wait_until_visible(lambda: reader.count_by_user(window), self.tally.by_user, advance)
        seconds = monotonic() - started
        wait_until_quiet(self.connection.trigger_status_url)
        return seconds

    def _ask_reports(self, reader: Reader, window: Window, before: Mapping[str, int]) -> None:
        after = reader.count_by_user(window)
        self.checks += checking.check_counts(self.tally.by_user, before, after)
        latest = window.latest()
        report, latency = reader.top_users(latest), reader.latency(latest)
        in_latest = after if latest == window else reader.count_by_user(latest)
        self.checks.append(checking.check_top_users(report, in_latest, ROWS_SHOWN))
        if latest == window and (not before or checking.is_repeat(self.tally.by_user, before)):
            self.checks += checking.check_latency(latency, self.tally.latencies)
        printing.print_top_users(self.console, report, self.tally.by_user)
        printing.print_latency(self.console, latency)

    def _ask_events(self, reader: Reader) -> str:
        for conversation_id in self.tally.conversations_without_user()[:CONVERSATIONS_WITHOUT_USER_MAX]:
            self._check_conversation(reader, conversation_id)
        chosen = self.tally.choose_timeline()
        if chosen is None:
            return ""
        rows = self._check_conversation(reader, chosen)
        printing.print_timeline(self.console, chosen, rows)
        sent = self.tally.accepted_sample(chosen)
        shown = next((event for event in sent if event.latency_ms is not None), sent[-1])
        got = reader.event(shown.id)
        self.checks.append(checking.check_event(json.loads(shown.line), got))
        printing.print_event(self.console, got)
        return chosen

    def _check_conversation(self, reader: Reader, conversation_id: str) -> Sequence[Mapping[str, Any]]:
        rows = reader.conversation(conversation_id)
        self.checks.append(checking.check_timeline(self.tally.accepted_sample(conversation_id), rows))
        return rows

    def _print_figures(
        self, result: SendResult, archived: ArchiveState, probe: VisibilityProbe, waited_seconds: float
    ) -> None:
        figures = (
            ("sent over HTTP", describe_result(result)),
            ("all visible", f"{waited_seconds:.1f} s after the last acknowledgement"),
        )
        bucket = self.connection.archive_bucket
        printing.print_figures(self.console, archived, bucket, probe, figures)
        rejected = result.rejected + self.source.refused
        printing.print_checks(self.console, self.checks, rejected, self.source.odd)

    def _print_next_steps(self, window: Window, conversation_id: str) -> None:
        api_url, key = self.connection.api_url, self.connection.read_key
        parameters = window.latest().parameters()
        printing.print_next_steps(
            self.console, api_url, key, parameters, conversation_id, keeps_running=self.keeps_running
        )

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False)
