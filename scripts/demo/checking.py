"""Answers held against the tally. Pure: every check says what it expected, what it got, and how strict it could be."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scripts.outgoing import Outgoing, read_time_ms

RANKS_TOLERANCE: Final = 2  # definitions of a percentile differ by a rank, not by more
PROBLEMS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison. `problem` is empty when it holds."""

    name: str
    expected: str
    got: str
    problem: str = ""
    note: str = ""


def is_repeat(sent: Mapping[str, int], before: Mapping[str, int]) -> bool:
    """Whether exactly these counts were there before a run: it sends what an earlier run has sent."""
    return bool(sent) and dict(before) == dict(sent)


def check_counts(sent: Mapping[str, int], before: Mapping[str, int], after: Mapping[str, int]) -> list[Check]:
    """Counts in = counts out, user by user.

    In a window that was empty, or that an equal run filled, the counts must be equal. Where other events lie in the
    same window, a user's count must lie between the larger and the sum of both: ids tell no more from outside.
    """
    named_before = {user: n for user, n in before.items() if user}
    named_after = {user: n for user, n in after.items() if user}
    if not named_before or is_repeat(sent, named_before):
        note = "the same ids again: nothing was counted twice" if named_before else "user by user"
        lowest = highest = Counter(sent)
    else:
        note = f"{sum(named_before.values()):,} events of other runs lie in this window: held as limits"
        lowest, highest = Counter(sent) | Counter(named_before), Counter(sent) + Counter(named_before)
    wrong = [
        user
        for user in sorted(lowest.keys() | named_after.keys())
        if not lowest[user] <= named_after.get(user, 0) <= highest[user]
    ]
    problem = "; ".join(f"{user}: {lowest[user]} in, {named_after.get(user, 0)} out" for user in wrong[:PROBLEMS_SHOWN])
    more = f" and {len(wrong) - PROBLEMS_SHOWN} more users" if len(wrong) > PROBLEMS_SHOWN else ""
    events_in, events_out = sum(lowest.values()), sum(named_after.values())
    return [
        Check("events, user by user", f"{events_in:,}", f"{events_out:,}", problem + more, note),
        Check("users", f"{len(lowest):,}", f"{len(named_after):,}", _unless(len(lowest) == len(named_after))),
    ]


def count_missing(sent: Mapping[str, int], after: Mapping[str, int]) -> Counter[str]:
    """How many events of each user do not show yet."""
    return Counter(sent) - Counter(after)


def check_top_users(report: Mapping[str, Any], after: Mapping[str, int], limit: int) -> Check:
    """The `limit` rows of the report are the largest counts, largest first."""
    got = [int(row["events"]) for row in report.get("users") or []]
    expected = sorted((n for user, n in after.items() if user), reverse=True)[:limit]
    return Check("top users", _numbers(expected), _numbers(got), _unless(got == expected))


def check_latency(rows: Sequence[Mapping[str, Any]], latencies: Mapping[str, Sequence[float]]) -> list[Check]:
    """The p95 of each event name has the rank of a p95 among the latencies sent."""
    by_name = {str(row["event_name"]): row for row in rows}
    checks = []
    for name, values in sorted(latencies.items()):
        row = by_name.get(name) or {}
        got, counted = row.get("p95_ms"), row.get("events", 0)
        counts = (f"{len(values):,}", f"{counted:,}", _unless(counted == len(values)))
        checks.append(Check(f"latencies of {name}", *counts))
        low, high = _rank_limits(sorted(values), 0.95)
        holds = isinstance(got, (int, float)) and low <= got <= high
        shown = f"{got:,.0f} ms" if isinstance(got, (int, float)) else "no answer"
        expected = f"{low:,.0f} ms" if low == high else f"{low:,.0f} to {high:,.0f} ms"
        checks.append(Check(f"p95 latency of {name}", expected, shown, _unless(holds)))
    return checks


def _rank_limits(ordered: Sequence[float], share: float) -> tuple[float, float]:
    last = len(ordered) - 1
    middle = int(share * last)
    return ordered[max(middle - RANKS_TOLERANCE, 0)], ordered[min(middle + RANKS_TOLERANCE, last)]


def check_timeline(sent: Sequence[Outgoing], got: Sequence[Mapping[str, Any]]) -> Check:
    """A conversation's events are those sent, each once, in the order of their times."""
    expected, found = {event.id for event in sent}, [str(row.get("id")) for row in got]
    times = [read_time_ms(row.get("timestamp")) or 0 for row in got]
    problems = [
        f"{len(expected - set(found))} events are missing" if expected - set(found) else "",
        f"{len(set(found) - expected)} events were never sent" if set(found) - expected else "",
        "an event comes twice" if len(found) != len(set(found)) else "",
        "not in the order of time" if times != sorted(times) else "",
    ]
    return Check("one timeline", f"{len(expected)} events", f"{len(found)} events", "; ".join(filter(None, problems)))


def check_event(sent: Mapping[str, Any], got: Mapping[str, Any] | None) -> Check:
    """Every text that was sent comes back as it was."""
    names = [name for name in ("event_name", "user_id", "conversation_id", "input", "output") if sent.get(name)]
    wrong = [name for name in names if (got or {}).get(name) != sent[name]]
    problem = f"differs in {', '.join(wrong)}" if got and wrong else "" if got else "not found"
    return Check("one event by id", f"{len(names)} fields", f"{len(names) - len(wrong)} fields", problem)


def check_archive(before: int, after: int, accepted: int) -> Check:
    """Each accepted event is an archived record; more of them where a request was sent again or still travelled."""
    problem = f"{accepted - (after - before):,} are missing" if after - before < accepted else ""
    note = "" if after - before == accepted else "some were sent or delivered again" if not problem else ""
    return Check("records archived", f"{accepted:,}", f"{after - before:,}", problem, note)


def _unless(holds: bool) -> str:  # noqa: FBT001 - reads as a sentence where it is called
    return "" if holds else "differs"


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(f"{value:,}" for value in values) or "none"
