"""The questions of the catalogue as operations; parameters, rows and columns are the catalogue's own."""

from typing import Any, Final

import msgspec

from event_analytics.errors import Reason
from event_analytics.event import TEXT_KEY_LENGTH_MAX
from event_analytics.openapi.refusals import refusals
from event_analytics.openapi.writes import EMBEDDING, UUID
from event_analytics.pipeline_state import PipelineState
from event_analytics.questions.answering import CSV, ESCAPED, Frame
from event_analytics.questions.catalog import QUESTIONS
from event_analytics.questions.parameters import PROPERTY_PREFIX, Kind, Parameter
from event_analytics.questions.question import Question

_REF: Final = "#/components/schemas/{name}"
_CSV: Final = (
    f"Every value as it is. With `Accept: {CSV}; {ESCAPED}`, texts that a spreadsheet would take for formulas begin "
    "with an apostrophe."
)
_REASONS: Final = (
    Reason.PARAMETER_UNKNOWN,
    Reason.PARAMETER_INVALID,
    Reason.PARAMETER_REPEATED,
    Reason.WINDOW_INVALID,
    Reason.LIMIT_INVALID,
    Reason.CURSOR_INVALID,
    Reason.TEXT_INVALID,
    Reason.TEXT_TOO_LONG,
    Reason.QUERY_TOO_HEAVY,
    Reason.STORE_UNAVAILABLE,
)
_REASONS_OF_ID: Final = (Reason.ID_INVALID, Reason.EVENT_NOT_FOUND, Reason.EVENT_DELETED)
_REASONS_OF_BODY: Final = (
    *_REASONS_OF_ID,
    Reason.BODY_UNREADABLE,
    Reason.BODY_TOO_LARGE,
    Reason.JSON_TOO_DEEP,
    Reason.UNSUPPORTED_CONTENT_TYPE,
    Reason.UNSUPPORTED_ENCODING,
    Reason.WRONG_TYPE,
    Reason.FIELD_MISSING,
    Reason.AMBIGUOUS_FIELD,
    Reason.EMBEDDING_INVALID,
    Reason.EMBEDDING_TOO_LONG,
    Reason.EMBEDDING_MISSING,
    Reason.NUMBER_NOT_FINITE,
)
_KEY_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": TEXT_KEY_LENGTH_MAX}
_COMPARISONS: Final = {
    "type": "object",
    "patternProperties": {rf"^{PROPERTY_PREFIX.replace('.', chr(92) + '.')}[A-Za-z_]\w*$": {"type": "string"}},
    "additionalProperties": False,
}


def read_paths() -> dict[str, dict[str, Any]]:
    """Operations of the query function."""
    paths: dict[str, dict[str, Any]] = {}
    for question in QUESTIONS:
        paths.setdefault(question.route, {})[question.method.lower()] = _operation_of(question)
    return {**paths, **_path_of_pipeline()}


def read_schemas() -> dict[str, Any]:
    """Components of the rows."""
    models = {each for question in QUESTIONS for each in (question.row, question.totals) if each}
    named = sorted(models, key=lambda model: model.__name__)
    _, components = msgspec.json.schema_components([*named, Frame, PipelineState], ref_template=_REF)
    return dict(components)


def _operation_of(question: Question) -> dict[str, Any]:
    is_posted = question.method == "POST"
    reasons = (*_REASONS, *(_REASONS_OF_BODY if is_posted else ()))
    operation: dict[str, Any] = {
        "operationId": question.name.replace("-", "_"),
        "tags": ["reads"],
        "summary": question.summary,
        "description": "Scope `read`.",
        "responses": {
            "200": _answer_of(question),
            **refusals((*reasons, *(() if question.rows_name else _REASONS_OF_ID))),
        },
    }
    path = [_path_parameter(question)] if "{id}" in question.route else []
    if is_posted:
        return {**operation, "requestBody": _body_of(question)}
    return {**operation, "parameters": [*path, *map(_query_parameter, question.parameters)]}


def _path_parameter(question: Question) -> dict[str, Any]:
    schema = UUID if not question.rows_name else _KEY_TEXT
    return {"name": "id", "in": "path", "required": True, "schema": schema}


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind is Kind.COMPARISON:
        described = {"name": "properties", "style": "form", "explode": True, "schema": _COMPARISONS}
    elif parameter.kind is Kind.CHOICES:
        described = {"name": parameter.name, "style": "form", "explode": False, "schema": _schema_of(parameter)}
    else:
        described = {"name": parameter.name, "schema": _schema_of(parameter)}
    return {**described, "in": "query", "description": parameter.description}


def _schema_of(parameter: Parameter) -> dict[str, Any]:
    schemas: dict[Kind, dict[str, Any]] = {
        Kind.TEXT: _KEY_TEXT,
        Kind.NUMBER: {"type": "integer", "minimum": parameter.minimum, "maximum": parameter.maximum},
        Kind.FLAG: {"type": "boolean"},
        Kind.CHOICE: {"type": "string", "enum": list(parameter.choices)},
        Kind.CHOICES: {"type": "array", "items": {"enum": list(parameter.choices)}, "minItems": 1},
        Kind.WINDOW: {"type": "string", "pattern": r"^[1-9]\d{0,6}[mhd]$"},
        Kind.INSTANT: {"type": "string", "format": "date-time"},
        Kind.CURSOR: {"type": "string"},
        Kind.ID: UUID,
        Kind.VECTOR: EMBEDDING,
    }
    schema = schemas[parameter.kind]
    if parameter.default is None:
        return schema
    return {**schema, "default": int(parameter.default) if parameter.kind is Kind.NUMBER else parameter.default}


def _body_of(question: Question) -> dict[str, Any]:
    members = {each.name: {**_schema_of(each), "description": each.description} for each in question.parameters}
    schema = {"type": "object", "properties": members, "additionalProperties": False}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answer_of(question: Question) -> dict[str, Any]:
    row = {"$ref": _REF.format(name=question.row.__name__)}
    if not question.rows_name:
        return {"description": question.summary, "content": _content_of(row)}
    rows = {
        "type": "object",
        "required": [question.rows_name],
        "properties": {question.rows_name: {"type": "array", "items": row}},
    }
    beside = [each.__name__ for each in (question.totals, Frame) if each]
    schema = {"allOf": [rows, *({"$ref": _REF.format(name=name)} for name in beside)]}
    cursor = {"schema": {"type": "string"}, "description": "As `next_cursor`, where the answer is CSV."}
    return {"description": question.summary, "content": _content_of(schema), "headers": {"Next-Cursor": cursor}}


def _content_of(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}, CSV: {"schema": {"type": "string", "description": _CSV}}}


def _path_of_pipeline() -> dict[str, dict[str, Any]]:
    """The state of the pipeline: one object that is no table, and so JSON whatever is accepted."""
    state = {"application/json": {"schema": {"$ref": _REF.format(name="PipelineState")}}}
    operation = {
        "operationId": "pipeline",
        "tags": ["reads"],
        "summary": "How the pipeline fares; null for what a part that does not answer would know.",
        "description": "Scope `read`. One object, not rows: JSON alone, whatever Accept says.",
        "responses": {
            "200": {"description": "The state.", "content": state},
            **refusals([Reason.PARAMETER_UNKNOWN]),
        },
    }
    return {"/reports/pipeline": {"get": operation}}
