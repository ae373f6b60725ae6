"""What erasure takes out of one object in S3, by the place where the object lies. Pure; `erasure_cleaning` runs it.

An archived object keeps its name and so the offsets that it stands for: lines are left out, no gap appears, and a batch
that comes again finds its object.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from event_analytics.archive import ArchiveUnreadable, pack_lines, read_lines
from event_analytics.archive_keys import RAW_PREFIX, parse_key
from event_analytics.dead_letters import DEAD_LETTERS_PREFIX, REDRIVEN_PREFIX, read_letter
from event_analytics.erasure import Erased, Hit, id_of
from event_analytics.kafka_batch import KafkaRecord
from event_analytics.replay import route_replayed
from event_analytics.replay_journal import REPLAYS_PREFIX
from event_analytics.replay_state import decode_state
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC, Record
from event_analytics.spool import SPOOL_PREFIX, SpoolUnreadable, decode_spool, encode_spool
from event_analytics.summary_files import REPORTS_PREFIX, users_in

FORMER_PLACE: Final = "former_versions"


class Sifted(NamedTuple):
    """What of an object is erased, and its body without that; None: nothing is left, the object goes.

    `again`: records that stay although their event's id was erased. Rows of theirs may have gone with the others.
    `is_readable`: False where the object is not what its name says: it stays, and a person should look at it.
    """

    body: bytes | None
    hits: list[Hit]
    again: list[Record]
    is_readable: bool = True


Sift = Callable[[str, bytes, Erased], Sifted]


class Place(NamedTuple):
    """A part of the bucket. `is_former`: what its objects were before; one that holds anything erased goes whole."""

    name: str
    prefix: str
    sift: Sift
    is_former: bool = False


def sift_archived(name: str, body: bytes, erased: Erased) -> Sifted:
    """An archived object without the erased lines; what stays is not touched."""
    key = parse_key(name)
    if key is None:
        return Sifted(body, [], [], is_readable=False)
    kept: list[bytes] = []
    hits: list[Hit] = []
    again: list[Record] = []
    try:
        for line, record in read_lines(key, body):
            hit = erased.find(record)
            if hit is not None:
                hits.append(hit)
            else:
                kept.append(line)
                again += _again(record, erased)
    except ArchiveUnreadable:
        return Sifted(body, [], [], is_readable=False)
    return Sifted(pack_lines(kept) if hits else body, hits, again)


def sift_letter(_name: str, body: bytes, erased: Erased) -> Sifted:
    """A dead letter, which stays or goes."""
    try:
        letter = read_letter(body)
        hit = erased.find(letter)
    except (msgspec.MsgspecError, ValueError):
        return Sifted(body, [], [], is_readable=False)
    return Sifted(body, [], []) if hit is None else Sifted(None, [hit], [])


def sift_spooled(_name: str, body: bytes, erased: Erased) -> Sifted:
    """A spooled request without the erased records."""
    try:
        records = decode_spool(body)
    except SpoolUnreadable:
        return Sifted(body, [], [], is_readable=False)
    found = [(record, erased.find(record)) for record in records]
    hits = [hit for _, hit in found if hit is not None]
    kept = [record for record, hit in found if hit is None]
    return Sifted(body if not hits else encode_spool(kept) if kept else None, hits, [])


def sift_replay(_name: str, body: bytes, erased: Erased) -> Sifted:
    """A step or the end of a replay, which goes if it was one of an erased user: it names that user."""
    try:
        user_id = decode_state(body).job.user_id
    except msgspec.MsgspecError:
        return Sifted(body, [], [], is_readable=False)
    erasure = None if user_id is None else erased.erasure_of(user_id)
    return Sifted(body, [], []) if erasure is None else Sifted(None, [Hit(erasure, None)], [])


def sift_report(name: str, body: bytes, erased: Erased) -> Sifted:
    """A file of a summary, which goes if it names an erased user: it can be counted anew at any time."""
    try:
        named = users_in(name, body)
    except UnicodeDecodeError:
        return Sifted(body, [], [], is_readable=False)
    erasures = [erasure for erasure in map(erased.erasure_of, named) if erasure is not None]
    return Sifted(None, [Hit(erasure, None) for erasure in erasures], []) if erasures else Sifted(body, [], [])


PLACES: Final = (
    # Creates first: they tell which changes are erased.
    Place("archived_events", f"{RAW_PREFIX}topic={EVENTS_TOPIC}/", sift_archived),
    Place("dead_letters", DEAD_LETTERS_PREFIX, sift_letter),
    Place("redriven_letters", REDRIVEN_PREFIX, sift_letter),
    Place("spool", SPOOL_PREFIX, sift_spooled),
    Place("archived_changes", f"{RAW_PREFIX}topic={EVENT_CHANGES_TOPIC}/", sift_archived),
    Place("replays", REPLAYS_PREFIX, sift_replay),
    Place("reports", REPORTS_PREFIX, sift_report),
    Place(FORMER_PLACE, RAW_PREFIX, sift_archived, is_former=True),
    Place(FORMER_PLACE, DEAD_LETTERS_PREFIX, sift_letter, is_former=True),
    Place(FORMER_PLACE, REDRIVEN_PREFIX, sift_letter, is_former=True),
    Place(FORMER_PLACE, SPOOL_PREFIX, sift_spooled, is_former=True),
    Place(FORMER_PLACE, REPLAYS_PREFIX, sift_replay, is_former=True),
    Place(FORMER_PLACE, REPORTS_PREFIX, sift_report, is_former=True),
)


def _again(record: KafkaRecord, erased: Erased) -> list[Record]:
    identifier = id_of(record.value)
    routed = route_replayed(record) if identifier is not None and erased.has_id(identifier) else None
    return [] if routed is None else [routed]
