"""A question asked by POST: its JSON body -> the same parameters as text, and vectors, which are too long for text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from event_analytics.decode import decode_leniently, media_type_of, read_body
from event_analytics.embeddings import pack_embedding
from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import Request
from event_analytics.questions.parameters import Kind, Parameter

_JSON_TYPE = "application/json"


def read_members(parameters: Sequence[Parameter], request: Request) -> tuple[dict[str, str], dict[str, str]]:
    """Text of every member of the body's object that is not null, and base64 of its vectors.

    Raises:
        Refused: unsupported_content_type, unsupported_encoding, body_unreadable, body_too_large, wrong_type, or why a
            vector is none.
    """
    document = _read_object(request)
    vectors = {parameter.name for parameter in parameters if parameter.kind is Kind.VECTOR}
    given = {name: value for name, value in document.items() if value is not None}
    texts = {name: _text_of(name, value) for name, value in given.items() if name not in vectors}
    return texts, {name: _vector_of(name, value) for name, value in given.items() if name in vectors}


def _read_object(request: Request) -> Mapping[str, Any]:
    headers = request.headers
    if media_type_of(headers.get("content-type")) != _JSON_TYPE:
        raise Refused(Reason.UNSUPPORTED_CONTENT_TYPE, f"send {_JSON_TYPE}")
    encoding = headers.get("content-encoding")
    body = read_body(request.body, is_base64=request.is_base64, content_encoding=encoding)
    document = decode_leniently(body)  # what a member must not hold is refused by the member's name
    if not isinstance(document, dict):
        raise Refused(Reason.BODY_UNREADABLE, "expected one JSON object")
    return document


def _text_of(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise Refused(Reason.WRONG_TYPE, "a text, a number, true or false is taken", name[:80])


def _vector_of(name: str, value: object) -> str:
    is_vector = isinstance(value, str) or (isinstance(value, list) and all(_is_number(each) for each in value))
    packed = pack_embedding(value, name) if is_vector else None  # type: ignore[arg-type]
    if packed is None:
        raise Refused(Reason.EMBEDDING_INVALID, "a vector is numbers or base64 of float32, and not empty", name)
    return packed


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
