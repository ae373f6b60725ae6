"""Dead letters -> which of them go back to Kafka, as what, and where the letter lies afterwards.

They go to `events-replay`, whichever topic they came from: that lane carries events and changes, and what it carries is
not archived a second time. Redriving twice is harmless: an event counts by its id, a change by its change_id.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from event_analytics.dead_letters import (
    DEAD_LETTERS_PREFIX,
    LetterBody,
    LetterName,
    hour_entry,
    letter_name,
    parse_letter_name,
    read_letter,
)
from event_analytics.erasure_index import ErasureIndex
from event_analytics.ports import EventLog, ObjectStore
from event_analytics.routing import EVENTS_REPLAY_TOPIC, Record


class Selection(NamedTuple):
    """Which letters are meant; every condition that is given must hold. They were given up in [since_ms, before_ms)."""

    reason: str | None = None
    since_ms: int | None = None
    name: str | None = None
    before_ms: int | None = None


class RedriveStep(NamedTuple):
    """One letter: the record to append, and where to move the letter once it is acknowledged.

    `record` is None where there is nothing to append: the original had no value. `entry`: the letter's among those of
    its hour, which goes.
    """

    letter: str
    record: Record | None
    moved_to: str
    entry: str


def names_in_order(names: Iterable[str], selection: Selection) -> list[str]:
    """Names of the letters that may be meant, in the order in which their topics had the records.

    What is no dead letter is left out. Names as strings would sort offset 10 before offset 9.
    """
    parsed = (parse_letter_name(name) for name in names if selection.name in (None, name))
    return [letter_name(name) for name in sorted(name for name in parsed if name is not None)]


def is_selected(letter: LetterBody, selection: Selection) -> bool:
    """Whether reason and time are those meant."""
    is_reason = selection.reason is None or letter.reason == selection.reason
    is_late = selection.since_ms is None or letter.dead_ms >= selection.since_ms
    return is_reason and is_late and (selection.before_ms is None or letter.dead_ms < selection.before_ms)


def plan_redrive(name: str, letter: LetterBody) -> RedriveStep:
    """What to do with one letter; key, value and timestamp are the original's."""
    value = letter.value
    record = None
    if value is not None:
        record = Record(EVENTS_REPLAY_TOPIC, letter.key or b"", value, letter.timestamp_ms)
    return RedriveStep(name, record, redriven_name(name), hour_entry(name, letter.dead_ms))


def redriven_name(name: str) -> str:
    """Where a letter lies once it is redriven.

    Raises:
        ValueError: the name is no dead letter's.
    """
    parsed = parse_letter_name(name)
    if parsed is None:
        raise ValueError(f"no dead letter: {name}")
    return letter_name(LetterName(*parsed[:-1], is_redriven=True))


def letter_in(body: bytes) -> LetterBody | None:
    """The letter inside an object; None for one that somebody else put under a letter's name, or that is damaged."""
    try:
        letter = read_letter(body)
        _ = letter.key, letter.value  # their base64 is decoded here
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return letter


def _leave(_name: str) -> None:
    """Nobody wants to know."""


def select_letters(
    objects: ObjectStore, selection: Selection, note_unreadable: Callable[[str], None] = _leave
) -> Iterator[tuple[str, LetterBody]]:
    """Names and letters in the order of their origins. All names are in memory, one letter is.

    `note_unreadable`: gets the name of each object that is no letter, which stays where it is.
    """
    for name in names_in_order((entry.name for entry in objects.list(DEAD_LETTERS_PREFIX)), selection):
        body = objects.get(name)
        if body is not None:  # else somebody redrove it meanwhile
            letter = letter_in(body)
            if letter is None:
                note_unreadable(name)
            elif is_selected(letter, selection):
                yield name, letter


def redrive(objects: ObjectStore, log: EventLog, steps: Sequence[RedriveStep]) -> list[RedriveStep]:
    """Append the records and move the letters of those that are acknowledged; these steps come back.

    A crash in between leaves the letter where it was: its record goes twice, and counts once. What was erased is not
    sent, and its letter is left to the erasure.

    Raises:
        LogUnavailable: no broker could be reached; no letter is moved.
    """
    erased = ErasureIndex().read(objects)
    sendable = [(step, step.record) for step in steps if step.record is not None and erased.keeps(step.record)]
    acknowledged = log.append([record for _, record in sendable])
    done = [step for (step, _), is_acknowledged in zip(sendable, acknowledged, strict=True) if is_acknowledged]
    for step in done:
        body = objects.get(step.letter)
        if body is not None:
            objects.put_new(step.moved_to, body)
            objects.delete(step.letter)
            objects.delete(step.entry)
    return done
