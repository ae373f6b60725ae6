"""Which events are like a vector, or like another event: cosine similarity, exact, over every embedding in question.

Nothing is approximated: each vector of the window is compared. docs/benchmarks.md says how many that can be.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, structs

from event_analytics.embeddings import unpack_embedding
from event_analytics.errors import Reason, Refused
from event_analytics.questions.event import compile_embeddings, find_event_row
from event_analytics.questions.event_rows import ALWAYS, EventRow, describe_event
from event_analytics.questions.pages import Key, Order, compile_rows
from event_analytics.questions.parameters import FILTERS, LIMIT, PROPERTIES, WINDOW, Kind, Parameter
from event_analytics.questions.query import Conditions, Query, Select
from event_analytics.questions.question import Asked, Found, Question

SIMILAR_MAX: Final = 100  # a person reads ten
_UNCUT_BYTES: Final = 2**40  # what is too much for an answer is refused, not left out
_NOBODY: Final = UUID(int=0)

_EMBEDDING: Final = Parameter("embedding", Kind.VECTOR, "The vector: numbers, or base64 of little-endian float32.")
_ID: Final = Parameter("id", Kind.ID, "Instead of a vector: the event whose vector it is.")
_OF: Final = Parameter("of", Kind.CHOICE, "Which of an event's vectors.", default="input", choices=("input", "output"))


class SimilarRow(EventRow, frozen=True, kw_only=True):
    """One event and how like it is."""

    similarity: Annotated[float, Meta(description="Cosine similarity, -1 to 1.")]


def compile_nearest(asked: Asked, vector: Sequence[float]) -> Query:
    """Keys of the nearest events, nearest first: rows {timestamp_ms, conversation_id, id, similarity}.

    `similarity` is null for a vector of zeros, which has no direction.
    """
    column = f"{asked.options['of']}_embeddings"
    of_length = f"length({column}) = {{length:UInt32}}"
    where = Conditions((of_length, "id != {except:UUID}", *_among(asked))).within(asked.window)
    sql = f"""
SELECT toUnixTimestamp64Milli(timestamp) AS timestamp_ms, conversation_id, id,
    1 - if({of_length}, cosineDistance({column}, {{vector:Array(Float32)}}), nan) AS similarity
FROM event_embeddings FINAL
{where.where()}
ORDER BY similarity DESC, UUIDToNum(id)
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours
    parameters = {**where.parameters, **asked.conditions().parameters}
    own = {"length": len(vector), "vector": list(vector), "except": str(asked.options.get("id", _NOBODY))}
    return Query(sql, {**parameters, **own, "limit": asked.limit})


def _among(asked: Asked) -> tuple[str, ...]:
    """The condition that the events themselves satisfy the filters; embeddings know only key fields."""
    if asked.filters.is_empty:
        return ()
    return (f"id IN (SELECT id FROM events FINAL {asked.conditions().where()})",)  # noqa: S608 - constants of ours


def find_similar(asked: Asked, select: Select) -> Found:
    """The nearest events, nearest first.

    Raises:
        Refused: field_missing, ambiguous_field, event_not_found, event_deleted or embedding_missing.
    """
    nearest = select(compile_nearest(asked, _vector_of(asked, select))).rows
    similarity = {row["id"]: row["similarity"] for row in nearest if row["similarity"] is not None}
    keys = [Key(row["timestamp_ms"], row["conversation_id"], row["id"]) for row in nearest if row["id"] in similarity]
    if not keys:
        return Found([])
    rows = select(compile_rows(keys, (), Order(is_descending=True), _UNCUT_BYTES)).rows
    rows = sorted(rows, key=lambda row: (-similarity[row["id"]], row["id"]))
    return Found([SimilarRow(similarity=similarity[row["id"]], **structs.asdict(describe_event(row))) for row in rows])


def _vector_of(asked: Asked, select: Select) -> Sequence[float]:
    embedding, identifier = asked.options.get("embedding"), asked.options.get("id")
    if (embedding is None) is (identifier is None):
        reason = Reason.FIELD_MISSING if embedding is None else Reason.AMBIGUOUS_FIELD
        raise Refused(reason, "give embedding, or id, and not both", "embedding")
    if identifier is None:
        return unpack_embedding(str(embedding))
    row = find_event_row(identifier, select)
    vectors: Mapping[str, Any] = next(iter(select(compile_embeddings(row)).rows), {})
    vector: list[float] = vectors.get(f"{asked.options['of']}_embeddings") or []
    if not vector:
        raise Refused(Reason.EMBEDDING_MISSING, "the event has no such embedding", "id")
    return vector


# Without a window it is all of time: similarity has no "recent" of its own.
_ANY_TIME: Final = tuple(parameter._replace(default=None) for parameter in WINDOW)

SIMILAR = Question(
    name="similar-events",
    route="/events/similar",
    method="POST",
    summary="Events by cosine similarity of their embeddings, nearest first; of all time without a window.",
    parameters=(
        _EMBEDDING,
        _ID,
        _OF,
        LIMIT._replace(default="10", maximum=SIMILAR_MAX),
        *_ANY_TIME,
        *(each for each in FILTERS if each is not PROPERTIES),
    ),
    rows_name="events",
    row=SimilarRow,
    compile=lambda asked: compile_nearest(asked, unpack_embedding(asked.options.get("embedding", ""))),
    answer=find_similar,
    columns=lambda _asked: ("similarity", *ALWAYS),
)
