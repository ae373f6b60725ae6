"""Random events as rows, with duplicates, changes and tombstones; every answer about them in plain Python."""

import json
import math
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from event_analytics.questions.event_rows import drop_nulls

START = datetime(2026, 9, 14, tzinfo=UTC)
END = START + timedelta(days=8)
ACCEPTED_US = 1_790_000_000_000_000
FOLDED = 2**53
NAMES = ("message_sent", "question_answered", "s'; --\t\\n\n\"{x:String} %s")
ERRORS = ("", "", "", "timeout", "rate\tlimited", "ünterbrochen")
VALUES: tuple[Any, ...] = (
    1, 2.5, -3, 5, True, False, "pro", "5", "", "true", None, [1], {"n": 1}, 9007199254740993, 9007199254740992, 1e20
)  # fmt: skip
Event = dict[str, Any]


def random_rows(seed: int, count: int) -> list[Event]:
    """Rows of `events` in random order: of one id some come twice, some changed, some deleted."""
    rng = random.Random(seed)
    rows: list[Event] = []
    for number in range(count):
        row = _random_row(rng, number)
        rows.append(row)
        if rng.random() < 0.2:
            rows.append(dict(row))
        if rng.random() < 0.2:
            changes = {"properties": json.dumps(_random_properties(rng)), "error": rng.choice(ERRORS)}
            rows.append({**row, **changes, "event_name": rng.choice(NAMES), "version": FOLDED + number})
        if rng.random() < 0.1:
            rows.append({**row, "version": 2 * FOLDED, "is_deleted": 1})
    rng.shuffle(rows)
    return rows


def _random_row(rng: random.Random, number: int) -> Event:
    seconds = (END - START).total_seconds()
    at = START + timedelta(milliseconds=int(rng.choice((rng.random() * seconds, rng.randrange(96) * 7_200)) * 1_000))
    return {
        "id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "user_id": rng.choice(("", f"u{int(rng.paretovariate(1)) % 50}")),
        "conversation_id": rng.choice(("", f"c{rng.randrange(60)}", f"c{rng.randrange(60)}")),
        "event_name": rng.choice(NAMES),
        "timestamp": _text_of(at),
        "error": rng.choice(ERRORS),
        "latency_ms": rng.choice((None, float(rng.randrange(200)), rng.random() * 100)),
        "properties": rng.choice(("", json.dumps(_random_properties(rng)))),
        "accepted_us": ACCEPTED_US + number,
        "version": 2**52 - ACCEPTED_US - number,
        "is_deleted": 0,
    }


def _random_properties(rng: random.Random) -> dict[str, Any]:
    document: dict[str, Any] = {name: rng.choice(VALUES) for name in ("stars", "pl'an") if rng.random() < 0.8}
    if rng.random() < 0.5:
        document["deep"] = {"er": rng.choice(VALUES)}
    return document


def _text_of(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def live_events(rows: Iterable[Event]) -> list[Event]:
    """What the rows mean: per id the row of the highest version, unless it is deleted; properties decoded."""
    newest: dict[str, Event] = {}
    for row in rows:
        if row["version"] >= newest.get(row["id"], row)["version"]:
            newest[row["id"]] = row
    return [{**row, "properties": _decoded(row)} for row in newest.values() if not row["is_deleted"]]


def _decoded(row: Event) -> Any:
    document = json.loads(row["properties"] or "null")
    return drop_nulls(document) if row["version"] >= FOLDED else document


def matching(events: Iterable[Event], query: dict[str, Any]) -> list[Event]:
    """Events that the parameters let through."""
    found = [event for event in events if query.get("start", "") <= event["timestamp"] < query.get("end", "~")]
    for name in ("event_name", "user_id", "conversation_id"):
        found = [event for event in found if query.get(name, event[name]) == event[name]]
    if "has_error" in query:
        found = [event for event in found if bool(event["error"]) is (query["has_error"] == "true")]
    for name, values in query.items():
        if name.startswith("properties."):
            path = name.split(".")[1:]
            for value in values if isinstance(values, list) else [values]:
                found = [event for event in found if holds(event["properties"], path, value)]
    return found


def holds(document: Any, path: list[str], comparison: str) -> bool:
    """Whether a property satisfies one comparison."""
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    operator, colon, value = comparison.partition(":")
    if not colon or operator not in ("eq", "ne", "gt", "gte", "lt", "lte", "exists"):
        operator, value = "eq", comparison
    if operator == "exists":
        return (document is not None) is (value == "true")
    if operator in ("eq", "ne"):
        return _equals(document, value) is (operator == "eq")
    if isinstance(document, bool) or not isinstance(document, int | float):
        return False
    compare: dict[str, Callable[[float, float], bool]] = {
        "gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "lte": lambda a, b: a <= b
    }  # fmt: skip
    return compare[operator](float(document), float(value))


def _equals(found: Any, text: str) -> bool:
    if isinstance(found, str):
        return found == text
    if isinstance(found, bool):
        return text == str(found).lower()
    if not isinstance(found, int | float):
        return False
    try:
        wanted = json.loads(text)
    except ValueError:
        return False
    return not isinstance(wanted, bool) and isinstance(wanted, int | float) and wanted == found


def quantile(values: Iterable[float], level: float) -> float | None:
    """As ClickHouse's quantileExact: a value that occurred."""
    ordered = sorted(values)
    return ordered[min(int(level * len(ordered)), len(ordered) - 1)] if ordered else None


def _latencies(events: Iterable[Event]) -> list[float]:
    return [event["latency_ms"] for event in events if event["latency_ms"] is not None]


def _grouped(events: Iterable[Event], *names: str) -> dict[tuple[str, ...], list[Event]]:
    groups: dict[tuple[str, ...], list[Event]] = defaultdict(list)
    for event in events:
        groups[tuple(event[name] for name in names)].append(event)
    return groups


def top_users(events: list[Event], limit: int, **_: Any) -> dict[str, Any]:
    counts = Counter(event["user_id"] for event in events if event["user_id"])
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0].encode()))
    return {
        "users": [{"user_id": user, "events": n} for user, n in ranked[:limit]],
        "events_total": counts.total(),
        "users_total": len(counts),
    }


def latency(events: list[Event], limit: int, by: str = "event_name", **_: Any) -> dict[str, Any]:
    names = by.split(",")
    usable = [
        e for e in events if e["latency_ms"] is not None and ("conversation_id" not in by or e["conversation_id"])
    ]
    rows = []
    for key, group in _grouped(usable, *names).items():
        levels = {f"p{level}_ms": quantile(_latencies(group), level / 100) for level in (50, 95, 99)}
        rows.append({**dict(zip(names, key, strict=True)), "events": len(group), **levels})
    rows.sort(key=lambda row: [(0 if by == "event_name" else -row["p95_ms"])] + [row[name].encode() for name in names])
    return {"latency": rows[:limit]}


def errors(events: list[Event], limit: int, by: str = "event_name", **_: Any) -> dict[str, Any]:
    rows = []
    for (key,), group in _grouped(events, by).items():
        failed = sum(bool(event["error"]) for event in group)
        more = {"events": len(group), "error_rate": failed / len(group)} if by == "event_name" else {}
        rows.append({by: key, "errors": failed, **more})
    rows = sorted((row for row in rows if row.get("error") != ""), key=lambda row: (-row["errors"], row[by].encode()))
    total = sum(bool(event["error"]) for event in events)
    return {"errors": rows[:limit], "events_total": len(events), "errors_total": total}


def top_conversations(
    events: list[Event], limit: int, by: str = "error_rate", min_events: int = 1, **_: Any
) -> dict[str, Any]:
    rows = []
    for (conversation_id,), group in _grouped((e for e in events if e["conversation_id"]), "conversation_id").items():
        times, failed = [event["timestamp"] for event in group], sum(bool(event["error"]) for event in group)
        row = {"conversation_id": conversation_id, "events": len(group), "errors": failed}
        row |= {"error_rate": failed / len(group), "p95_ms": quantile(_latencies(group), 0.95)}
        rows.append({**row, "started_at": min(times), "ended_at": max(times)})
    ranks: dict[str, Callable[[Event], tuple[float, ...]]] = {
        "error_rate": lambda row: (-row["error_rate"], -row["events"]),
        "errors": lambda row: (-row["errors"], -row["events"]),
        "events": lambda row: (-row["events"],),
        "latency": lambda row: (math.inf if row["p95_ms"] is None else -row["p95_ms"],),
    }
    shown = [row for row in rows if row["events"] >= int(min_events)]
    return {"conversations": sorted(shown, key=lambda row: (*ranks[by](row), row["conversation_id"]))[:limit]}


def volume(events: list[Event], start: str, end: str, interval: str, **_: Any) -> dict[str, Any]:
    step = {"minute": 60, "hour": 3_600, "day": 86_400}[interval]
    groups: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        groups[_seconds(event["timestamp"]) // step * step].append(event)
    first, last = (_seconds(text) // step * step for text in (start, _before(end)))
    return {
        "interval": interval,
        "totals": {name: value for name, value in _point(0, events).items() if name != "start"},
        "series": [_point(at, groups.get(at, [])) for at in range(first, last + 1, step)],
    }


def _point(at: int, group: list[Event]) -> dict[str, Any]:
    failed = sum(bool(event["error"]) for event in group)
    return {
        "start": _text_of(datetime.fromtimestamp(at, tz=UTC)),
        "events": len(group),
        "users": len({event["user_id"] for event in group} - {""}),
        "errors": failed,
        "error_rate": failed / len(group) if group else 0,
        "p50_ms": quantile(_latencies(group), 0.5),
        "p95_ms": quantile(_latencies(group), 0.95),
    }


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _before(text: str) -> str:
    return (datetime.fromisoformat(text) - timedelta(milliseconds=1)).isoformat()


def listed(events: list[Event], order: str = "desc", include: Iterable[str] = (), **_: Any) -> list[dict[str, Any]]:
    """Events as an answer shows them, in their order. `include`: names of wide fields, null where an event has none."""
    ordered = sorted(events, key=lambda event: (event["timestamp"], event["id"]), reverse=order == "desc")
    names = ("id", "event_name", "timestamp", "latency_ms", "properties")
    return [
        {name: event[name] for name in names}
        | {name: event[name] or None for name in ("user_id", "conversation_id", "error")}
        | {"conversation_metadata": None}
        | {name: event.get(name) for name in include}
        for event in ordered
    ]


REPORTS: dict[str, Callable[..., dict[str, Any]]] = {
    "top-users": top_users,
    "latency": latency,
    "errors": errors,
    "top-conversations": top_conversations,
    "volume": volume,
}
