"""The read API as the demo needs it: asked over HTTP, patient with passing troubles, nothing computed."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from event_analytics.questions.parameters import LIMIT_MAX
from event_analytics.windows import WINDOW_DAYS_MAX
from scripts.failures import EndpointWrong, GaveUp, KeyRefused
from scripts.http_calls import SERVER_ERROR, Answer, HttpCaller, NoAnswer

REQUEST_TIMEOUT_SECONDS: Final = 35.0  # the gateway answers within 29
PATIENCE_SECONDS: Final = 30.0  # a part that restarts is back within this time
PAUSE_SECONDS: Final = 0.3
REPORT_MS_MAX: Final = WINDOW_DAYS_MAX * 86_400_000
USERS_MAX: Final = LIMIT_MAX
EVENT_NAMES_MAX: Final = LIMIT_MAX
EVENTS_PER_PAGE: Final = 1_000
ROWS_SHOWN: Final = 5

_OK, _KEY_MISSING, _KEY_REFUSED, _NOT_FOUND, _GONE, _SLOWER = 200, 401, 403, 404, 410, 429


def format_time(timestamp_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(timestamp_ms / 1_000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Window(NamedTuple):
    """A half-open interval of event times, in Unix milliseconds."""

    start_ms: int
    end_ms: int

    def parameters(self) -> dict[str, str]:
        """As the reports take it."""
        return {"start": format_time(self.start_ms), "end": format_time(self.end_ms)}

    def latest(self) -> "Window":
        """Its last part that one report may cover."""
        return Window(max(self.start_ms, self.end_ms - REPORT_MS_MAX), self.end_ms)


@dataclass(slots=True)
class Reader:
    """Asks one API with a read key. Not for use by two threads at once."""

    api_url: str
    read_key: str
    _caller: HttpCaller = field(init=False)

    def __post_init__(self) -> None:
        """Opens nothing yet: the connection comes with the first call."""
        self._caller = HttpCaller(self.api_url, bearer=self.read_key, timeout_seconds=REQUEST_TIMEOUT_SECONDS)

    def event(self, event_id: str) -> dict[str, Any] | None:
        """One event; None while it is not visible, and when it was deleted."""
        answer = self._get(f"/event/{quote(event_id, safe='')}", {})
        return answer.document() if answer.status == _OK else None

    def conversation(self, conversation_id: str) -> list[dict[str, Any]]:
        """All events of a conversation in the API's order, page by page, with what was put out."""
        path = f"/conversations/{quote(conversation_id, safe='')}/events"
        return self._rows(path, {"limit": str(EVENTS_PER_PAGE), "include": "output"}, "events")

    def count_by_user(self, window: Window) -> Counter[str]:
        """Events of each user inside the window, all users: what one answer cannot hold is asked in halves."""
        if not window.end_ms > window.start_ms:
            return Counter()
        if window.end_ms - window.start_ms <= REPORT_MS_MAX:
            report = self.top_users(window, USERS_MAX)
            if int(report.get("users_total", 0)) <= USERS_MAX:
                return Counter({str(row["user_id"]): int(row["events"]) for row in report.get("users") or []})
            if window.end_ms - window.start_ms == 1:
                raise GaveUp(f"more than {USERS_MAX:,} users in one millisecond: no report can list them")
        middle = (window.start_ms + window.end_ms) // 2
        return self.count_by_user(Window(window.start_ms, middle)) + self.count_by_user(Window(middle, window.end_ms))

    def top_users(self, window: Window, limit: int = ROWS_SHOWN) -> dict[str, Any]:
        """The report of the first so many users."""
        return self._document("/reports/top-users", {**window.parameters(), "limit": str(limit)})

    def latency(self, window: Window) -> list[dict[str, Any]]:
        """Latency percentiles by event name."""
        parameters = {**window.parameters(), "limit": str(EVENT_NAMES_MAX)}
        return list(self._document("/reports/latency", parameters).get("latency") or [])

    def close(self) -> None:
        """Closes the connection."""
        self._caller.close()

    def _rows(self, path: str, parameters: dict[str, str], name: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            document = self._document(path, parameters | cursor)
            rows += document.get(name) or []
            if not document.get("next_cursor"):
                return rows
            cursor = {"cursor": str(document["next_cursor"])}

    def _document(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        answer = self._get(path, parameters)
        return answer.document() if answer.status == _OK else {}

    def _get(self, path: str, parameters: dict[str, str]) -> Answer:
        deadline, target = monotonic() + PATIENCE_SECONDS, path + ("?" + urlencode(parameters) if parameters else "")
        while True:
            try:
                answer = self._caller.call("GET", target)
                trouble = answer.reason() if answer.status == _SLOWER or answer.status >= SERVER_ERROR else ""
            except NoAnswer as problem:
                trouble = str(problem)
            if not trouble:
                return _judge(answer, path)
            if monotonic() > deadline:
                raise GaveUp(f"GET {path} did not answer within {PATIENCE_SECONDS:.0f} s: {trouble}")
            sleep(PAUSE_SECONDS)


def _judge(answer: Answer, path: str) -> Answer:
    if answer.status in (_KEY_MISSING, _KEY_REFUSED):
        raise KeyRefused(f"GET {path}: {answer.status} ({answer.reason()}), it needs a key with the scope `read`")
    if answer.status not in (_OK, _NOT_FOUND, _GONE):
        raise EndpointWrong(f"GET {path}: {answer.status} ({answer.reason()})")
    return answer
