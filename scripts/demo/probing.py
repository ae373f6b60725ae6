"""How long after its 202 an event shows in an answer. Polls `GET /event/{id}`, oldest acknowledged first."""

from collections import deque
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic, sleep
from typing import Final

from scripts.batch_answers import Outcome
from scripts.demo.reading import Reader
from scripts.failures import ScriptFailed

POLL_SECONDS: Final = 0.02  # the error of a measurement, while its own load stays small
WAITING_MAX: Final = 1_000  # one event of each batch; older ones are let go
FINISH_SECONDS: Final = 30.0  # after the last batch


@dataclass(slots=True)
class VisibilityProbe:
    """Follows the last event of every settled batch on a thread and a connection of its own.

    A figure is an upper bound: events are looked for one after the other. `seconds` is complete after `finish`. A probe
    that is not started notes nothing.
    """

    reader: Reader
    seconds: list[float] = field(default_factory=list)
    trouble: str = ""
    _waiting: deque[tuple[str, float]] = field(default_factory=lambda: deque(maxlen=WAITING_MAX))
    _no_more: Event = field(default_factory=Event)
    _thread: Thread | None = None

    def start(self) -> None:
        """Begins to poll."""
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def note(self, outcomes: list[Outcome]) -> None:
        """Takes the last accepted event of a batch that was settled this moment."""
        if self._thread is None:
            return
        taken = [outcome.event.id for outcome in outcomes if outcome.is_taken]
        if taken:
            self._waiting.append((taken[-1], monotonic()))

    def finish(self) -> None:
        """Returns when every noted event has shown, or after FINISH_SECONDS."""
        self._no_more.set()
        if self._thread is not None:
            self._thread.join(FINISH_SECONDS)
        self._waiting.clear()

    def abandon(self) -> None:
        """Ends without waiting for events to show; harmless after `finish`."""
        self._waiting.clear()
        self.finish()

    def _run(self) -> None:
        try:
            while self._waiting or not self._no_more.is_set():
                if not self._waiting or not self._look(*self._waiting[0]):
                    sleep(POLL_SECONDS)
        except IndexError:  # finish let go of what never showed
            self.trouble = f"an event did not show within {FINISH_SECONDS:.0f} s"
        except ScriptFailed as problem:
            self.trouble = str(problem)
        finally:
            self.reader.close()

    def _look(self, event_id: str, acknowledged_at: float) -> bool:
        if self.reader.event(event_id) is None:
            return False
        self.seconds.append(monotonic() - acknowledged_at)
        self._waiting.popleft()
        return True
