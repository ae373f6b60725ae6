"""Every way in which Tallystream says no, and what that means to the caller.

    TallystreamError
    ├── Refused                 the request, or one item of it, is wrong as it stands: repeating it changes nothing
    ├── StoreRejected           ClickHouse refuses rows for what they hold: inserting them again changes nothing
    └── Unavailable             a part behind us does not answer: the same request may succeed later
        ├── LogUnavailable          Kafka did not acknowledge in time
        └── StoreUnavailable        ClickHouse did not answer
            ├── StoreOverburdened       it had not the time or memory for one statement; a smaller one may pass
            └── StoreMisconfigured      it will not, until a person has mended table, rights or statement

`Reason` is the closed set of names that appear in answers, logs and metrics; `docs/errors.md` explains each one.
"""

from enum import StrEnum
from typing import ClassVar, Final


class Reason(StrEnum):
    """Names of refusals. A client may branch on them: they never change their meaning."""

    # the request as a whole
    ROUTE_NOT_FOUND = "route_not_found"
    KEY_MISSING = "key_missing"
    KEY_INVALID = "key_invalid"
    SCOPE_MISSING = "scope_missing"
    THROTTLED = "throttled"
    QUOTA_EXCEEDED = "quota_exceeded"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    BODY_UNREADABLE = "body_unreadable"
    BODY_TOO_LARGE = "body_too_large"
    NO_EVENTS = "no_events"
    TOO_MANY_EVENTS = "too_many_events"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    # one event
    JSON_INVALID = "json_invalid"
    EVENT_NOT_OBJECT = "event_not_object"
    UNKNOWN_FIELD = "unknown_field"
    AMBIGUOUS_FIELD = "ambiguous_field"
    FIELD_MISSING = "field_missing"
    WRONG_TYPE = "wrong_type"
    TEXT_EMPTY = "text_empty"
    TEXT_TOO_LONG = "text_too_long"
    TEXT_INVALID = "text_invalid"
    ID_INVALID = "id_invalid"
    ACTOR_MISSING = "actor_missing"
    TIMESTAMP_INVALID = "timestamp_invalid"
    TIMESTAMP_REQUIRED = "timestamp_required"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    NUMBER_NOT_FINITE = "number_not_finite"
    NUMBER_NEGATIVE = "number_negative"
    EMBEDDING_INVALID = "embedding_invalid"
    EMBEDDING_TOO_LONG = "embedding_too_long"
    JSON_TOO_DEEP = "json_too_deep"
    JSON_TOO_MANY_KEYS = "json_too_many_keys"
    EVENT_TOO_LARGE = "event_too_large"
    IMMUTABLE_FIELD = "immutable_field"
    NO_FIELDS = "no_fields"
    OPERATION_INVALID = "operation_invalid"
    # one read
    PARAMETER_UNKNOWN = "parameter_unknown"
    WINDOW_INVALID = "window_invalid"
    LIMIT_INVALID = "limit_invalid"
    CURSOR_INVALID = "cursor_invalid"
    PARAMETER_INVALID = "parameter_invalid"
    PARAMETER_REPEATED = "parameter_repeated"
    EVENT_NOT_FOUND = "event_not_found"
    EVENT_DELETED = "event_deleted"
    EMBEDDING_MISSING = "embedding_missing"
    QUERY_TOO_HEAVY = "query_too_heavy"
    # one call of an operator
    DEAD_LETTER_NOT_FOUND = "dead_letter_not_found"
    ERASURE_NOT_FOUND = "erasure_not_found"
    TOO_MANY_LETTERS = "too_many_letters"
    # not the caller's fault
    LOG_UNAVAILABLE = "log_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    FUNCTION_UNAVAILABLE = "function_unavailable"
    INTERNAL_ERROR = "internal_error"


BAD_REQUEST: Final = 400

_STATUS_BY_REASON: Final = {
    Reason.ROUTE_NOT_FOUND: 404,
    Reason.KEY_MISSING: 401,
    Reason.KEY_INVALID: 403,
    Reason.SCOPE_MISSING: 403,
    Reason.THROTTLED: 429,
    Reason.QUOTA_EXCEEDED: 429,
    Reason.UNSUPPORTED_CONTENT_TYPE: 415,
    Reason.UNSUPPORTED_ENCODING: 415,
    Reason.BODY_TOO_LARGE: 413,
    Reason.TOO_MANY_EVENTS: 413,
    Reason.EVENT_TOO_LARGE: 413,
    Reason.EVENT_NOT_FOUND: 404,
    Reason.EVENT_DELETED: 410,
    Reason.EMBEDDING_MISSING: 422,
    Reason.QUERY_TOO_HEAVY: 422,
    Reason.DEAD_LETTER_NOT_FOUND: 404,
    Reason.ERASURE_NOT_FOUND: 404,
    Reason.TOO_MANY_LETTERS: 413,
    Reason.LOG_UNAVAILABLE: 503,
    Reason.STORE_UNAVAILABLE: 503,
    Reason.FUNCTION_UNAVAILABLE: 503,
    Reason.INTERNAL_ERROR: 500,
}

# Seconds after which the same request may be answered otherwise: most events show within two of their acknowledgement.
_RETRY_AFTER_SECONDS: Final = {Reason.EVENT_NOT_FOUND: 1}


def status_of(reason: Reason) -> int:
    """HTTP status of a reason; 400 for everything that is wrong in the request itself."""
    return _STATUS_BY_REASON.get(reason, BAD_REQUEST)


class TallystreamError(Exception):
    """Root of all errors that are raised on purpose."""

    retriable: ClassVar[bool] = False


class Refused(TallystreamError):  # noqa: N818 - it is an answer, not a failure
    """One request or one event is refused. `field` names the field at fault where one is.

    `retry_after_seconds`: where the refuser knows when to ask again better than the reason does.
    """

    def __init__(
        self, reason: Reason, message: str, field: str | None = None, retry_after_seconds: int | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self._retry_after_seconds = retry_after_seconds

    @property
    def status(self) -> int:
        """HTTP status that stands for the reason."""
        return status_of(self.reason)

    @property
    def retry_after_seconds(self) -> int | None:
        """When to ask again; None if that changes nothing."""
        return self._retry_after_seconds or _RETRY_AFTER_SECONDS.get(self.reason)


class Unavailable(TallystreamError):  # noqa: N818 - as above
    """A part behind us does not answer. The caller should send the same again later."""

    retriable = True
    reason: ClassVar[Reason]
    retry_after_seconds: ClassVar[int] = 2  # one load window: shorter only adds to the queue


class LogUnavailable(Unavailable):
    """Kafka did not acknowledge within the budget."""

    reason = Reason.LOG_UNAVAILABLE


class StoreUnavailable(Unavailable):
    """ClickHouse did not answer or refused for a reason that passes."""

    reason = Reason.STORE_UNAVAILABLE


class StoreOverburdened(StoreUnavailable):
    """ClickHouse had no time or memory for a statement: for what it asks, or for what else runs. `code`: its own."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class StoreMisconfigured(StoreUnavailable):
    """ClickHouse refuses whatever it is sent: table, rights or statement are wrong, no record is. Alarm on its name."""


class StoreRejected(TallystreamError):  # noqa: N818 - as above
    """ClickHouse refuses the rows of one insert; at least one of them is at fault.

    `code` and `name` are ClickHouse's. `is_known`: the code stands in our table as one that content causes.
    """

    def __init__(self, code: int, name: str, detail: str, *, is_known: bool) -> None:
        super().__init__(f"{code} {name}: {detail}")
        self.code = code
        self.name = name
        self.detail = detail
        self.is_known = is_known
