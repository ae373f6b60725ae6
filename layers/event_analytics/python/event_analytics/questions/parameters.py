"""What a question may be told, parameter by parameter: how it is described, and how its text is read.

A value that cannot be read is refused by name; so is a parameter that the question does not know, or that is given
twice where one value is taken: nothing that a caller wrote may silently answer another question.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from event_analytics.errors import Reason, Refused
from event_analytics.event import TEXT_KEY_LENGTH_MAX

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 10_000  # rows of one answer; below its 4 MB for every report
WAIT_MS_MAX: Final = 5_000  # a caller who waits holds a function; most events show within two seconds
VALUE_LENGTH_MAX: Final = 2_000  # characters of one value: longer than every cursor
PROPERTY_PREFIX: Final = "properties."
NAME_SHOWN: Final = 80  # characters of an unknown name that a refusal repeats


class Kind(StrEnum):
    """What the text of a value must be."""

    TEXT = "text"  # of a key field: 1..128 characters
    NUMBER = "number"  # whole, from minimum to maximum
    FLAG = "flag"  # true or false
    CHOICE = "choice"  # one of the choices
    CHOICES = "choices"  # some of the choices, separated by commas
    WINDOW = "window"  # read by `windows`
    INSTANT = "instant"  # as above
    CURSOR = "cursor"  # read by `cursors`
    ID = "id"  # of an event
    VECTOR = "vector"  # read by `body`
    COMPARISON = "comparison"  # read by `filters`; the name ends in a path, and may come again


class Parameter(NamedTuple):
    """One query parameter. `default`: what counts where it is absent, None for nothing."""

    name: str
    kind: Kind
    description: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    minimum: int = 1
    maximum: int = LIMIT_MAX
    reason: Reason = Reason.PARAMETER_INVALID


LIMIT: Final = Parameter(
    "limit", Kind.NUMBER, "Most rows of the answer.", default=str(LIMIT_DEFAULT), reason=Reason.LIMIT_INVALID
)
CURSOR: Final = Parameter("cursor", Kind.CURSOR, "`next_cursor` of the page before, for the same question.")
WINDOW: Final = (
    Parameter("window", Kind.WINDOW, "Length of the time before now: a number and m, h or d.", default="24h"),
    Parameter("start", Kind.INSTANT, "First instant, RFC 3339 with its offset. Instead of window."),
    Parameter("end", Kind.INSTANT, "First instant after the last, RFC 3339; now where absent. Needs start."),
)
EVENT_NAME: Final = Parameter("event_name", Kind.TEXT, "Only events of this name.")
USER_ID: Final = Parameter("user_id", Kind.TEXT, "Only events of this user.")
CONVERSATION_ID: Final = Parameter("conversation_id", Kind.TEXT, "Only events of this conversation.")
HAS_ERROR: Final = Parameter("has_error", Kind.FLAG, "Only events with an error (true), or without one (false).")
PROPERTIES: Final = Parameter(
    PROPERTY_PREFIX,
    Kind.COMPARISON,
    "Followed by a dotted path of up to 8 names. The value compares the property there: `VALUE` or `eq:VALUE`, "
    "`ne:VALUE`, `gt:`, `gte:`, `lt:`, `lte:` and a number, `exists:true` or `exists:false`. May come several times; "
    "all must hold.",
)
FILTERS: Final = (EVENT_NAME, USER_ID, CONVERSATION_ID, HAS_ERROR, PROPERTIES)
INCLUDE: Final = Parameter(
    "include",
    Kind.CHOICES,
    "What each event holds besides, separated by commas: all of it costs reading and answers grow.",
    choices=("input", "output", "embeddings"),
)


def read_values(
    parameters: Sequence[Parameter], query: Mapping[str, str], repeated: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Name -> value of every parameter that is given or has a default; what other modules read stays text.

    Raises:
        Refused: parameter_unknown, parameter_repeated, text_invalid, or what a parameter's own reason says.
    """
    known = {parameter.name: parameter for parameter in parameters}
    refuse_unknown(query, known)
    _refuse_repeated(repeated)
    for name, texts in {**{name: [text] for name, text in query.items()}, **repeated}.items():
        for text in (name, *texts):
            check_text(text, name)
    given = {name: query.get(name, parameter.default) for name, parameter in known.items()}
    return {name: read_value(known[name], text) for name, text in given.items() if text is not None}


def refuse_unknown(query: Iterable[str], known: Iterable[str]) -> None:
    """Return if every parameter is known: a misspelt filter must not answer another question.

    Raises:
        Refused: parameter_unknown.
    """
    names = sorted(known)
    for name in sorted(query):
        is_path = name.startswith(PROPERTY_PREFIX) and PROPERTY_PREFIX in names
        if name not in names and not is_path:
            message = f"known here: {', '.join(names) or 'none'}"
            raise Refused(Reason.PARAMETER_UNKNOWN, message, _printable(name))


def _refuse_repeated(repeated: Mapping[str, Sequence[str]]) -> None:
    for name in sorted(repeated):
        if not name.startswith(PROPERTY_PREFIX):
            raise Refused(Reason.PARAMETER_REPEATED, "give it once", _printable(name))


def check_text(text: str, name: str, length_max: int = VALUE_LENGTH_MAX) -> str:
    """The text, which can be sent to the store as it is.

    Raises:
        Refused: text_invalid or text_too_long.
    """
    if len(text) > length_max:
        raise Refused(Reason.TEXT_TOO_LONG, f"at most {length_max} characters are taken", _printable(name))
    if "\0" in text or not _is_unicode(text):
        raise Refused(Reason.TEXT_INVALID, "the text holds a NUL or is no valid Unicode", _printable(name))
    return text


def _is_unicode(text: str) -> bool:
    return text == text.encode("utf-8", "replace").decode()


def _printable(name: str) -> str:
    return name[:NAME_SHOWN].encode("utf-8", "replace").decode()


def read_limit(query: Mapping[str, str]) -> int:
    """Rows the caller wants, 1..LIMIT_MAX.

    Raises:
        Refused: limit_invalid.
    """
    return int(read_value(LIMIT, query.get(LIMIT.name, str(LIMIT_DEFAULT))))


def read_value(parameter: Parameter, text: str) -> Any:
    """The value inside `text`: an int, a bool, a tuple of choices, else the text.

    Raises:
        Refused: with the parameter's reason.
    """
    match parameter.kind:
        case Kind.NUMBER:
            return _read_number(parameter, text)
        case Kind.FLAG:
            return _one_of(parameter, text, ("true", "false")) == "true"
        case Kind.CHOICE:
            return _one_of(parameter, text, parameter.choices)
        case Kind.CHOICES:
            chosen = {_one_of(parameter, part, parameter.choices) for part in text.split(",")}
            return tuple(choice for choice in parameter.choices if choice in chosen)
        case Kind.TEXT | Kind.ID:
            return _read_key(parameter, text)
        case _:
            return text


def read_id(text: str, name: str) -> UUID:
    """The UUID that the text is.

    Raises:
        Refused: id_invalid.
    """
    try:
        return msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        raise Refused(Reason.ID_INVALID, "an id is a UUID", name) from None


def _read_number(parameter: Parameter, text: str) -> int:
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(parameter.maximum))
    if not (is_number and parameter.minimum <= int(text) <= parameter.maximum):
        message = f"{parameter.name} is a number from {parameter.minimum} to {parameter.maximum}"
        raise Refused(parameter.reason, message, parameter.name)
    return int(text)


def _one_of(parameter: Parameter, text: str, choices: Sequence[str]) -> str:
    if text not in choices:
        raise Refused(parameter.reason, f"{parameter.name} is one of: {', '.join(choices)}", parameter.name)
    return text


def _read_key(parameter: Parameter, text: str) -> str | UUID:
    if parameter.kind is Kind.ID:
        return read_id(text, parameter.name)
    if not text:
        raise Refused(parameter.reason, f"{parameter.name} is empty", parameter.name)
    return check_text(text, parameter.name, TEXT_KEY_LENGTH_MAX)
