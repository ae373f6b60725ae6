"""What an operator asks about dead letters over HTTP -> which letters are read, and what is told of them.

One call reads a bounded number of letters, in the order in which S3 lists their names: by topic, partition and epoch,
then by the offset as text (10 before 9). What a call did not come to is told by the cursor that goes on after it.
"""

import base64
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from event_analytics.dead_letters import DEAD_LETTERS_PREFIX, LetterBody, parse_letter_name
from event_analytics.errors import Reason, Refused
from event_analytics.ports import ObjectStore
from event_analytics.questions.parameters import read_limit, refuse_unknown
from event_analytics.redrive import RedriveStep, Selection, is_selected, letter_in
from event_analytics.windows import format_instant

LETTERS_READ_MAX: Final = 200  # of one listing: 200 reads of S3 take 5 s of the function's 28
LETTERS_REDRIVEN_MAX: Final = 100  # each costs four calls of S3, 0.1 s together; the append may take 5 s more
_TEXT_BYTES_MAX: Final = 256_000  # a value is shown as text up to here; escaped twice it takes eight times that
_YEAR_10000_MS: Final = 253_402_300_800_000
_SUFFIX: Final = ".json"
_PARAMETERS: Final = frozenset({"limit", "cursor", "reason", "start", "end"})


class Listing(NamedTuple):
    """What a call asks for: up to `limit` letters, of the next `read_max` after the object of the name `after`."""

    selection: Selection
    limit: int
    read_max: int
    after: str


class RedriveOrder(NamedTuple):
    """Which letters go again: those of `names`, or if there are none those of `listing`."""

    names: list[str]
    listing: Listing
    is_dry_run: bool


class LetterPage(NamedTuple):
    """Letters by name. `next_after`: name to go on after; None where all have been looked at.

    `unreadable`: names of objects that are no letters though they are named so; they stay where they are.
    """

    letters: list[tuple[str, LetterBody]]
    next_after: str | None
    unreadable: list[str]


class _RedriveBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a redrive as it is sent."""

    ids: list[str] | None = None
    reason: str | None = None
    start: str | None = None
    end: str | None = None
    cursor: str | None = None
    dry_run: bool = False


def letter_id(name: str) -> str:
    """The name of a letter as one segment of a path: `events~003~1~17-0011aabb` without prefix, words and ending."""
    parts = name.removeprefix(DEAD_LETTERS_PREFIX).removesuffix(_SUFFIX).split("/")
    return "~".join(part.partition("=")[2] or part for part in parts)


def name_of_letter(identifier: str) -> str:
    """The name of the letter of an id.

    Raises:
        Refused: dead_letter_not_found, for what is no id of a letter.
    """
    parts = identifier.split("~")
    keys = ("topic=", "partition=", "epoch=", "")
    name = DEAD_LETTERS_PREFIX + "/".join(key + part for key, part in zip(keys, parts, strict=False)) + _SUFFIX
    if len(parts) != len(keys) or parse_letter_name(name) is None:
        raise refuse_absent()
    return name


def refuse_absent() -> Refused:
    """What to raise where there is no letter of an id."""
    return Refused(Reason.DEAD_LETTER_NOT_FOUND, "there is no dead letter of this id, or it was redriven")


def read_listing(query: Mapping[str, str]) -> Listing:
    """What the query of a listing asks for: of all letters those given up in [start, end), for this reason.

    Raises:
        Refused: parameter_unknown, limit_invalid, cursor_invalid or window_invalid.
    """
    refuse_unknown(query, _PARAMETERS)
    return _listing_of(query, read_limit(query), LETTERS_READ_MAX)


def read_redrive(body: bytes) -> RedriveOrder:
    """What the body of a redrive asks for: `{"ids": [...]}` or conditions as in a listing, none for all letters.

    Raises:
        Refused: body_unreadable, too_many_letters, dead_letter_not_found, cursor_invalid or window_invalid.
    """
    try:
        given = msgspec.json.decode(body, type=_RedriveBody)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Reason.BODY_UNREADABLE, f"expected ids or conditions, and dry_run: {error}") from None
    conditions = {
        name: value for name in ("reason", "start", "end", "cursor") if (value := getattr(given, name)) is not None
    }
    if given.ids is not None and conditions:
        raise Refused(Reason.BODY_UNREADABLE, "give ids, or conditions, not both", "ids")
    if given.ids == []:
        raise Refused(Reason.BODY_UNREADABLE, "give at least one id", "ids")
    if len(given.ids or ()) > LETTERS_REDRIVEN_MAX:
        raise Refused(Reason.TOO_MANY_LETTERS, f"give up to {LETTERS_REDRIVEN_MAX} ids in one call", "ids")
    names = list(dict.fromkeys(map(name_of_letter, given.ids or ())))
    return RedriveOrder(names, _listing_of(conditions, LETTERS_REDRIVEN_MAX, LETTERS_REDRIVEN_MAX), given.dry_run)


def read_page(objects: ObjectStore, listing: Listing) -> LetterPage:
    """The letters that a listing asks for, among the next it may read: it may hold none and yet go on."""
    found: list[tuple[str, LetterBody]] = []
    unreadable: list[str] = []
    after = listing.after
    letters_read = 0
    for entry in objects.list(DEAD_LETTERS_PREFIX, listing.after):
        if len(found) == listing.limit or letters_read == listing.read_max:
            return LetterPage(found, after, unreadable)
        after = entry.name
        body = objects.get(entry.name) if parse_letter_name(entry.name) else None
        if body is not None:
            letters_read += 1
            letter = letter_in(body)
            if letter is None:
                unreadable.append(entry.name)
            elif is_selected(letter, listing.selection):
                found.append((entry.name, letter))
    return LetterPage(found, None, unreadable)


def read_named(objects: ObjectStore, names: Iterable[str]) -> LetterPage:
    """The letters of these names, without those that are not there."""
    bodies = {name: body for name in names if (body := objects.get(name)) is not None}
    letters = {name: letter_in(body) for name, body in bodies.items()}
    found = [(name, letter) for name, letter in letters.items() if letter is not None]
    return LetterPage(found, None, [name for name, letter in letters.items() if letter is None])


def write_letter_cursor(after: str | None) -> str | None:
    """The text that a listing reads as its `cursor`."""
    return None if after is None else base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def describe_letter(name: str, letter: LetterBody) -> dict[str, Any]:
    """A letter as a listing shows it: all but the record's key and value."""
    return {
        "id": letter_id(name),
        "reason": letter.reason,
        "detail": letter.detail,
        "error_code": letter.error_code,
        "error_name": letter.error_name,
        "needs_classification": letter.needs_classification,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "epoch": letter.epoch,
        "timestamp": _instant_of(letter.timestamp_ms),
        "dead_at": _instant_of(letter.dead_ms),
        "value_bytes": None if letter.value is None else len(letter.value),
    }


def show_letter(name: str, letter: LetterBody) -> dict[str, Any]:
    """One letter with its record; `key` and `value` are null beside their base64 where they are long or no text."""
    return {
        **describe_letter(name, letter),
        "key": text_of(letter.key),
        "key_base64": letter.key_base64,
        "value": text_of(letter.value),
        "value_base64": letter.value_base64,
    }


def status_of_step(step: RedriveStep, done: Collection[str], *, is_dry_run: bool) -> str:
    """What became of a letter: redriven, would_redrive, no_value (nothing to send) or not_acknowledged (as before)."""
    if step.record is None:
        return "no_value"
    if is_dry_run:
        return "would_redrive"
    return "redriven" if step.letter in done else "not_acknowledged"


def text_of(content: bytes | None) -> str | None:
    """The text; None for what is none, or too long to stand beside its base64."""
    try:
        return None if content is None or len(content) > _TEXT_BYTES_MAX else content.decode()
    except UnicodeDecodeError:
        return None


def _listing_of(query: Mapping[str, str], limit: int, read_max: int) -> Listing:
    selection = Selection(query.get("reason"), _read_ms(query, "start"), before_ms=_read_ms(query, "end"))
    return Listing(selection, limit, read_max, _read_cursor(query.get("cursor")))


def _read_ms(query: Mapping[str, str], field: str) -> int | None:
    text = query.get(field)
    if text is None:
        return None
    try:
        instant = msgspec.convert(text.replace(" ", "+"), datetime)  # an unescaped + arrives as a space
    except msgspec.ValidationError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Refused(Reason.WINDOW_INVALID, f"{field} is RFC 3339 with its offset from UTC, such as Z", field)
    return int(instant.timestamp() * 1_000)


def _read_cursor(text: str | None) -> str:
    if text is None:
        return ""
    try:
        after = base64.urlsafe_b64decode(text.encode() + b"==").decode()
    except ValueError:
        after = ""
    if not after.startswith(DEAD_LETTERS_PREFIX):
        raise Refused(Reason.CURSOR_INVALID, "the cursor is not one of ours", "cursor")
    return after


def _instant_of(unix_ms: int) -> str | None:
    """RFC 3339; None for a time that is not known, or that no calendar holds: other producers may send any."""
    return format_instant(datetime.fromtimestamp(unix_ms / 1_000, UTC)) if 0 < unix_ms < _YEAR_10000_MS else None
