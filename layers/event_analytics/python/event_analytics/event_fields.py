"""One event read field by field: whatever a strict decoder does not take in one go.

Resolves aliases, keeps other JSON values of input and output as their JSON text, and names the field at fault. Whether
the event as a whole makes sense is `validate`'s.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from event_analytics.decode import decode_leniently
from event_analytics.errors import Reason, Refused
from event_analytics.event import ALIASES, JSON_DEPTH_MAX, JSON_KEYS_MAX, NO_JSON, TEXT_KEY_LENGTH_MAX, Event

_JSON_NULL: Final = b"null"
_LINE_FEED, _CARRIAGE_RETURN = b"\n\r"  # as numbers: bytes find a number five times as fast as bytes
ESCAPED_NUL: Final = b"\\u0000"  # how JSON writes a NUL; where this is missing, there is none
_SHALLOW_BYTES_MAX: Final = 2 * JSON_DEPTH_MAX  # so few hold neither more levels nor more keys than are taken
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_fields(raw: bytes) -> Event:
    """The event inside `raw`, not yet complete.

    Raises:
        Refused: with the reason and, where there is one, the canonical name of the field at fault.
    """
    fields = read_named_fields(raw)
    present = {name: value for name, value in fields.items() if bytes(value) != _JSON_NULL}
    if "event_name" not in present:
        raise Refused(Reason.FIELD_MISSING, "event_name is required", "event_name")
    return Event(**{name: READERS[name](bytes(value), name) for name, value in present.items()})


def read_named_fields(raw: bytes) -> dict[str, msgspec.Raw]:
    """The JSON of each field inside `raw` under its canonical name, unread.

    Raises:
        Refused: json_invalid, event_not_object, unknown_field or ambiguous_field.
    """
    return resolve_names(fields_of(raw))


def fields_of(raw: bytes) -> Mapping[str, msgspec.Raw]:
    """The JSON of each member of the object inside `raw`, under the names it has there.

    Raises:
        Refused: json_invalid, json_too_deep or event_not_object.
    """
    try:
        return _fields_decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = decode_leniently(raw)
    if document is None:
        raise Refused(Reason.JSON_INVALID, "the event is no JSON document")
    if not isinstance(document, dict):
        raise Refused(Reason.EVENT_NOT_OBJECT, "an event is a JSON object")
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in document.items()}


def resolve_names(fields: Mapping[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
    """The fields under their canonical names.

    Raises:
        Refused: unknown_field or ambiguous_field.
    """
    resolved: dict[str, msgspec.Raw] = {}
    for name, value in fields.items():
        canonical = ALIASES.get(name, name)
        if canonical not in READERS:
            printable = name.encode("utf-8", "replace").decode()[:80]
            raise Refused(Reason.UNKNOWN_FIELD, "the event schema has no such field", printable)
        if canonical in resolved:
            raise Refused(Reason.AMBIGUOUS_FIELD, f"{canonical} is given under two names", canonical)
        resolved[canonical] = value
    return resolved


def _decode_field(raw: bytes, field: str) -> object:
    try:
        return msgspec.json.decode(raw)
    except RecursionError:
        raise Refused(Reason.JSON_TOO_DEEP, f"at most {JSON_DEPTH_MAX} levels are taken", field) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        document = decode_leniently(raw)
    if any(isinstance(leaf, float) and not math.isfinite(leaf) for leaf in _leaves_of(document)):
        raise Refused(Reason.NUMBER_NOT_FINITE, "NaN and infinite numbers are not taken", field)
    raise Refused(Reason.TEXT_INVALID, "the text is no valid Unicode", field)


def _leaves_of(document: object) -> Iterator[object]:
    """Every number, text and key inside a document, in no order. Iterative: depth is the sender's choice."""
    pending = [document]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            pending.extend(node)
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)
        else:
            yield node


def refuse_nul(raw: bytes) -> None:
    """Return if no text and no key inside `raw` holds a NUL, which ClickHouse and C cannot agree on.

    Raises:
        Refused: text_invalid.
    """
    for name, value in fields_of(raw).items():
        refuse_nul_in(bytes(value), ALIASES.get(name, name))


def refuse_nul_in(raw: bytes, field: str) -> None:
    """The same for the value of one field.

    Raises:
        Refused: text_invalid.
    """
    if any(isinstance(leaf, str) and "\0" in leaf for leaf in _leaves_of(_decode_field(raw, field))):
        raise Refused(Reason.TEXT_INVALID, "texts hold no NUL character", field)


def _read_text(raw: bytes, field: str) -> str:
    text = _decode_field(raw, field)
    if not isinstance(text, str):
        raise Refused(Reason.WRONG_TYPE, f"{field} is a text", field)
    return text


def _read_text_key(raw: bytes, field: str) -> str:
    text = _read_text(raw, field)
    if not text:
        raise Refused(Reason.TEXT_EMPTY, f"{field} is empty", field)
    if len(text) > TEXT_KEY_LENGTH_MAX:
        raise Refused(Reason.TEXT_TOO_LONG, f"{field} has over {TEXT_KEY_LENGTH_MAX} characters", field)
    return text


def _read_id(raw: bytes, field: str) -> UUID:
    try:
        return msgspec.convert(_read_text(raw, field), UUID)
    except msgspec.ValidationError:
        raise Refused(Reason.ID_INVALID, "an id is a UUID", field) from None


def _read_timestamp(raw: bytes, field: str) -> int | datetime:
    value = _decode_field(raw, field)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        message = "a timestamp is RFC 3339 with offset, or whole milliseconds since 1970"
        raise Refused(Reason.TIMESTAMP_INVALID, message, field) from None


def _read_latency(raw: bytes, field: str) -> float:
    value = _decode_field(raw, field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(Reason.WRONG_TYPE, f"{field} is a number", field)
    if value < 0:
        raise Refused(Reason.NUMBER_NEGATIVE, f"{field} is not negative", field)
    try:
        return float(value)
    except OverflowError:
        raise Refused(Reason.NUMBER_NOT_FINITE, "a number beyond the largest float is not taken", field) from None


def _read_payload(raw: bytes, field: str) -> str:
    """A text as it is; any other JSON value as its JSON text, just as sent."""
    value = _decode_field(raw, field)
    return value if isinstance(value, str) else raw.decode()


def _read_embedding(raw: bytes, field: str) -> str | list[float]:
    value = _decode_field(raw, field)
    if isinstance(value, str):
        return value
    try:
        return msgspec.convert(value, list[float])
    except msgspec.ValidationError:
        message = "an embedding is a list of numbers or base64 of float32"
        raise Refused(Reason.EMBEDDING_INVALID, message, field) from None


def _read_object(raw: bytes, _field: str) -> msgspec.Raw:
    return msgspec.Raw(raw)  # complete_event checks it: both ways need that


READERS: Final[Mapping[str, Callable[[bytes, str], Any]]] = {
    "id": _read_id,
    "user_id": _read_text_key,
    "conversation_id": _read_text_key,
    "event_name": _read_text_key,
    "timestamp": _read_timestamp,
    "error": _read_text,
    "latency_ms": _read_latency,
    "input": _read_payload,
    "output": _read_payload,
    "input_embeddings": _read_embedding,
    "output_embeddings": _read_embedding,
    "properties": _read_object,
    "conversation_metadata": _read_object,
}


def check_object(raw: msgspec.Raw, field: str) -> msgspec.Raw:
    """The object as sent, on one line: numbers and key order are the sender's. `null` counts as absent.

    Raises:
        Refused: wrong_type, json_too_deep, json_too_many_keys, number_not_finite or text_invalid.
    """
    text = bytes(raw)
    if not text or text == _JSON_NULL:
        return NO_JSON
    document = _decode_field(text, field)
    if not isinstance(document, dict):
        raise Refused(Reason.WRONG_TYPE, f"{field} is a JSON object", field)
    # Each level has two brackets and each key is followed by a colon, so most objects need no walk.
    if len(text) > _SHALLOW_BYTES_MAX and (
        text.count(b"{") + text.count(b"[") > JSON_DEPTH_MAX or text.count(b":") > JSON_KEYS_MAX
    ):
        _check_shape(document, field)
    # A line break outside a JSON text is white space, and an encoded event is one line.
    if _LINE_FEED in text or _CARRIAGE_RETURN in text:
        return msgspec.Raw(text.replace(b"\n", b" ").replace(b"\r", b" "))
    return raw


def _check_shape(document: object, field: str) -> None:
    keys = 0
    level: list[object] = [document]
    for _ in range(JSON_DEPTH_MAX):
        keys += sum(len(node) for node in level if isinstance(node, dict))
        level = [child for node in level for child in _children_of(node)]
    if keys > JSON_KEYS_MAX:
        raise Refused(Reason.JSON_TOO_MANY_KEYS, f"at most {JSON_KEYS_MAX} keys are taken", field)
    if level:
        raise Refused(Reason.JSON_TOO_DEEP, f"at most {JSON_DEPTH_MAX} levels are taken", field)


def _children_of(node: object) -> list[object]:
    if isinstance(node, dict):
        node = list(node.values())
    return [child for child in node if isinstance(child, dict | list)] if isinstance(node, list) else []
