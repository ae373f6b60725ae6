"""The metrics that there are, each with its unit and what it means: a closed set, so that their number is bounded.

A count on an invocation's line is a metric if it stands here, with the dimensions `service` and `function` alone, some
also without any. What varies without bound (ids, keys, users) is a field of the line, never a metric or dimension.
Refusals are counted by reason as `rejected_<reason>`: `Reason` is a closed set too. `docs/operating.md` says which
alarm looks at which.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from event_analytics.errors import Reason


class Unit(StrEnum):
    """CloudWatch's names of units."""

    COUNT = "Count"
    MILLISECONDS = "Milliseconds"
    SECONDS = "Seconds"
    BYTES = "Bytes"


_UNIT_BY_WORD: Final = {"ms": Unit.MILLISECONDS, "seconds": Unit.SECONDS, "bytes": Unit.BYTES}
_REASONS: Final = frozenset(map(str, Reason))
REJECTED_PREFIX: Final = "rejected_"

METRICS: Final[Mapping[str, str]] = {
    # every function
    "elapsed_ms": "time of the invocation",
    "failed_invocations": "1 for an invocation that ended in an error, else 0",
    # HTTP
    "refused_requests": "requests refused as a whole, with a status of 400 to 499",
    "unavailable_requests": "requests that ended in 500 or 503: a part behind us did not answer, or a mistake of ours",
    # authorizer, or each HTTP function where none stands before it
    "refused_keys": "calls with a key that is unknown, revoked or expired",
    # ingest
    "accepted_events": "events and changes that Kafka acknowledged",
    "accepted_bytes": "bytes of the records made of a request",
    "spooled_events": "events and changes that S3 keeps until Kafka is back",
    "retry_events": "events and changes that neither took: the caller was told to send them again",
    "rejected_events": "events and changes refused for what they say",
    # load
    "records": "records of the batch",
    "loaded_events": "rows inserted into `events`",
    "loaded_changes": "rows inserted into `event_changes`",
    "insert_ms": "time of all inserts and folds of the batch",
    "freshness_ms": "from acceptance of the newest record of the batch until it shows",
    "dead_letters": "records that cannot be loaded, set aside",
    "needs_classification": "dead letters by an error code of ClickHouse that our table does not know",
    "id_conflicts": "ids sent under several keys, settled",
    "erased_records": "records left out because their user was erased",
    # archive
    "archived_records": "records written",
    "archived_objects": "objects written",
    "repeated_objects": "objects that were there already: the batch came again",
    "archived_bytes": "bytes of the objects",
    # query
    "rows_read": "rows that ClickHouse read for the answer",
    "bytes_read": "bytes that ClickHouse read for the answer",
    "query_ms": "time of all queries of the answer",
    "cache_hits": "answers that the cache had",
    "cache_misses": "answers that it had not",
    # admin
    "redriven_letters": "dead letters sent again",
    # report
    "pending_ids": "ids whose changes wait to be folded",
    "folded_ids": "ids folded",
    "drained_records": "spooled records published",
    "drained_objects": "spooled objects published whole",
    "spooled_objects_left": "spooled objects that still wait, counted to 1,000",
    "unreadable_spool_objects": "spooled objects that no code of ours wrote",
    "spool_age_seconds": "age of the oldest spooled object",
    "erasure_age_seconds": "age of the oldest erasure that is not finished",
    "unreadable_objects": "objects of the archive that cannot be read",
    "load_lag_records": "records that load has not taken yet, of all topics",
    "archive_lag_records": "records that archive has not taken yet, of all topics",
    "verified_hours": "hours of acceptance whose archive was compared with ClickHouse",
    "unverified_seconds": "age of the oldest moment of acceptance that was never compared",
    "missing_events": "events of the checked hours that the archive has and ClickHouse has not",
    "extra_events": "events of the checked hours that ClickHouse has and the archive has not",
    "conflicting_events": "events of the checked hours that differ between both",
    "settled_conflicts": "of these, settled at once",
    "duplicate_events": "records of the checked hours that repeat an id, and count once",
    "counted_hours": "hours counted into rollups",
    "cleared_counts": "counts thrown away because their hour was written to",
    "report_files": "files of summaries written",
    # replay
    "replayed_events": "events sent again from the archive",
    "replayed_changes": "changes sent again from the archive",
}

# Published a second time without dimensions: the sum over all functions, which an alarm can look at.
SUMMED_METRICS: Final = frozenset({"refused_keys"})


def is_metric(name: str) -> bool:
    """Whether a count of a line is published; any other stays a field of the line."""
    reason = name.removeprefix(REJECTED_PREFIX)
    return name in METRICS or (reason != name and reason in _REASONS)


def unit_of(name: str) -> Unit:
    """The unit, which is a word of the name; where none is, something is counted."""
    return next((_UNIT_BY_WORD[word] for word in name.split("_") if word in _UNIT_BY_WORD), Unit.COUNT)
