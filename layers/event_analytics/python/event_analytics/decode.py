"""Request body -> the raw JSON of each event in it. Decides how a body is cut, not whether an event is good.

One broken event must not take its neighbours along, so a body that is not JSON as a whole is read a second time by the
standard library, which lets NaN, infinities and lone surrogates through; `validate` then names the event at fault.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Final, cast

import msgspec

from event_analytics.errors import Reason, Refused

BODY_BYTES_MAX: Final = 4_000_000  # Lambda's 6 MB counts the body escaped inside the proxy event
EVENTS_PER_REQUEST_MAX: Final = 5_000  # what one request may cost in time: below 0.5 s of one core

JSON_TYPES: Final = frozenset({"application/json"})
NDJSON_TYPES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

_GZIP_MAGIC: Final = b"\x1f\x8b"
# A gateway that does not know the body is binary decodes it as text: the second byte becomes U+FFFD.
_GZIP_MAGIC_AS_TEXT: Final = "\x1f\ufffd".encode()


_envelope_decoder = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])


def read_body(body: str | None, *, is_base64: bool, content_encoding: str | None) -> bytes:
    """Bytes of a request body as the gateway handed it over.

    Raises:
        Refused: unsupported_encoding, body_unreadable or body_too_large.
    """
    raw = _bytes_of(body or "", is_base64=is_base64)
    if raw.startswith((_GZIP_MAGIC, _GZIP_MAGIC_AS_TEXT)):
        raise Refused(
            Reason.UNSUPPORTED_ENCODING,
            "the body arrived compressed: send it plain, this gateway does not unpack it",
        )
    if content_encoding and content_encoding.strip().lower() not in ("identity", "gzip", "deflate"):
        raise Refused(Reason.UNSUPPORTED_ENCODING, f"Content-Encoding {content_encoding[:40]!r} is not supported")
    if len(raw) > BODY_BYTES_MAX:
        raise Refused(Reason.BODY_TOO_LARGE, f"the body has {len(raw)} bytes, at most {BODY_BYTES_MAX} are taken")
    if not raw.strip():
        raise Refused(Reason.BODY_UNREADABLE, "the body is empty")
    return raw


def _bytes_of(body: str, *, is_base64: bool) -> bytes:
    if not is_base64:
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(Reason.BODY_UNREADABLE, "the body is marked base64 and is not") from None


def media_type_of(content_type: str | None) -> str:
    """`application/json` or `application/x-ndjson`; no Content-Type at all means JSON.

    Raises:
        Refused: unsupported_content_type.
    """
    media_type = (content_type or "application/json").split(";")[0].strip().lower()
    if media_type in JSON_TYPES:
        return "application/json"
    if media_type in NDJSON_TYPES:
        return "application/x-ndjson"
    raise Refused(
        Reason.UNSUPPORTED_CONTENT_TYPE,
        f"Content-Type {media_type[:80]!r} is not taken: send application/json or application/x-ndjson",
    )


def split_events(body: bytes, media_type: str, member: str = "events") -> list[bytes]:
    """Raw JSON of each event, in the order sent: of `{"events": [...]}` or of NDJSON lines.

    `member`: name of the list, where it holds something else than events.

    Raises:
        Refused: body_unreadable, no_events or too_many_events.
    """
    items = _split_lines(body) if media_type == "application/x-ndjson" else _split_envelope(body, member)
    if not items:
        raise Refused(Reason.NO_EVENTS, "the request holds no event")
    if len(items) > EVENTS_PER_REQUEST_MAX:
        raise Refused(
            Reason.TOO_MANY_EVENTS,
            f"{len(items)} events, at most {EVENTS_PER_REQUEST_MAX} are taken in one request",
        )
    return items


def _split_lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _split_envelope(body: bytes, member: str) -> list[bytes]:
    try:
        envelope = _envelope_decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _split_leniently(body, member)
    _check_members(envelope, member)
    return [bytes(raw) for raw in envelope[member]]


def _split_leniently(body: bytes, member: str) -> list[bytes]:
    document = decode_leniently(body)
    if not isinstance(document, dict) or not isinstance(document.get(member), list):
        raise Refused(Reason.BODY_UNREADABLE, f'expected {{"{member}": [...]}} or NDJSON')
    _check_members(document, member)
    return [json.dumps(item, separators=(",", ":")).encode() for item in document[member]]


def _check_members(document: Mapping[str, object], member: str) -> None:
    if member not in document:
        raise Refused(Reason.BODY_UNREADABLE, f'expected {{"{member}": [...]}} or NDJSON')
    unknown = sorted(set(document) - {member})
    if unknown:
        printable = unknown[0].encode("utf-8", "replace").decode()[:80]
        raise Refused(Reason.UNKNOWN_FIELD, f"unknown field beside {member}", printable)


def decode_leniently(raw: bytes) -> object:
    """The document, with NaN, infinities, control characters and broken Unicode let through; None if unreadable.

    Raises:
        Refused: json_too_deep, for nesting beyond what the parser's stack holds.
    """
    try:
        return cast("object", json.loads(raw.decode("utf-8", "surrogateescape"), strict=False))
    except ValueError:
        return None
    except RecursionError:
        raise Refused(Reason.JSON_TOO_DEEP, "the document is nested too deep to be read") from None
