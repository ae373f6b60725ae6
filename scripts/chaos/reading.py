"""What is there in the end: every id, the conversations, the report and the archive. The topics: `topics`."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import msgspec

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.archive import read_object
from event_analytics.archive_keys import RAW_PREFIX, parse_key
from local_runtime.connection import Connection
from scripts.chaos.history import State, comparable
from scripts.chaos.order import InTopic
from scripts.chaos.workload import DAY, format_instant
from scripts.failures import GaveUp
from scripts.http_calls import HttpCaller

THREADS: Final = 4
CALL_SECONDS_MAX: Final = 40.0
SAMPLE_MAX: Final = 200  # of the living events, asked for one by one as well
_PAGE: Final = 1_000
_OK, _NOT_FOUND, _GONE = 200, 404, 410


class Answers(NamedTuple):
    """`states`: each id's event; None where there is none. `deleted`: ids that are told to be deleted.

    `listed`: for each conversation its ids as the API lists them. `users`: events by user, as the report counts.
    """

    states: dict[str, State]
    deleted: set[str]
    listed: dict[str, list[str]]
    users: dict[str, int]


@dataclass
class Archived:
    """`creates`: ids of archived events; `changes`: archived changes by id; `missing`: offsets the broker has alone."""

    creates: set[str] = field(default_factory=set)
    changes: Counter[str] = field(default_factory=Counter)
    missing: list[tuple[str, int, int]] = field(default_factory=list)


class _Record(msgspec.Struct):
    id: str
    change_id: str = ""


def read_answers(connection: Connection, ids: Iterable[str], conversations: Iterable[str], seed: int) -> Answers:
    """Ask the API for everything: each conversation, each id that stands in none, and a sample of those that do.

    Raises:
        GaveUp: the API does not answer, or says two things about one event.
    """
    lists = _in_parallel(connection, conversations, _list)
    states: dict[str, State] = {event["id"]: comparable(event) for events in lists.values() for event in events}
    unlisted = [identifier for identifier in ids if identifier not in states]
    listed = sorted(states)
    sample = random.Random(seed).sample(listed, min(SAMPLE_MAX, len(listed)))  # noqa: S311 - has to repeat itself
    found = _in_parallel(connection, unlisted + sample, _read_event)
    differing = [identifier for identifier in sample if found[identifier][0] != states[identifier]]
    if differing:
        raise GaveUp(f"the conversation and GET /event/{differing[0]} disagree, {len(differing)} times in all")
    caller = _open(connection)
    window = {"start": format_instant(DAY), "end": format_instant(DAY + timedelta(days=1)), "limit": _PAGE}
    report = _ask(caller, f"/reports/top-users?{urlencode(window)}")
    caller.close()
    return Answers(
        states | {name: found[name][0] for name in unlisted},
        {name for name in unlisted if found[name][1]},
        {name: [event["id"] for event in events] for name, events in lists.items()},
        {user["user_id"]: user["events"] for user in report["users"]},
    )


def read_archive(connection: Connection, topics: Mapping[str, Sequence[InTopic]]) -> Archived:
    """Read every archived object, and hold it against the topics to see what the archive lacks."""
    found = Archived()
    offsets: dict[tuple[str, int], set[int]] = defaultdict(set)
    changes: set[tuple[str, str]] = set()
    client = aws_session(connection.aws_endpoint).client("s3")
    objects = S3ObjectStore(connection.archive_bucket, client)
    for entry in objects.list(RAW_PREFIX):
        key, body = parse_key(entry.name), objects.get(entry.name)
        if key is None or body is None:
            continue
        for archived in read_object(key, body):
            offsets[key.topic, key.partition].add(archived.offset)
            record = msgspec.json.decode(archived.value or b"", type=_Record)
            if record.change_id:
                changes.add((record.id, record.change_id))
            else:
                found.creates.add(record.id)
    client.close()
    found.changes = Counter(identifier for identifier, _ in changes)
    found.missing = [
        (topic, record.partition, record.offset)
        for topic, records in topics.items()
        for record in records
        if record.offset not in offsets[topic, record.partition]
    ]
    return found


def _in_parallel(
    connection: Connection, names: Iterable[str], read: Callable[[HttpCaller, str], Any]
) -> dict[str, Any]:
    every = list(names)

    def read_part(part: list[str]) -> dict[str, Any]:
        caller = _open(connection)
        try:
            return {name: read(caller, name) for name in part}
        finally:
            caller.close()

    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(read_part, (every[start::THREADS] for start in range(THREADS)))
        return {name: answer for part in parts for name, answer in part.items()}


def _read_event(caller: HttpCaller, identifier: str) -> tuple[State, bool]:
    answer = caller.call("GET", f"/event/{identifier}")
    if answer.status == _OK:
        return comparable(answer.document()), False
    if answer.status in (_NOT_FOUND, _GONE):
        return None, answer.status == _GONE
    raise GaveUp(f"GET /event/{identifier} answered {answer.status}: {answer.reason()}")


def _list(caller: HttpCaller, conversation: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    cursor = ""
    while True:
        query = {"limit": _PAGE, "include": "input,output", **({"cursor": cursor} if cursor else {})}
        page = _ask(caller, f"/conversations/{conversation}/events?{urlencode(query)}")
        events += page["events"]
        cursor = page["next_cursor"]
        if not cursor:
            return events


def _ask(caller: HttpCaller, path: str) -> dict[str, Any]:
    answer = caller.call("GET", path)
    if answer.status != _OK:
        raise GaveUp(f"GET {path} answered {answer.status}: {answer.reason()}")
    return answer.document()


def _open(connection: Connection) -> HttpCaller:
    return HttpCaller(connection.api_url, bearer=connection.read_key, timeout_seconds=CALL_SECONDS_MAX)
