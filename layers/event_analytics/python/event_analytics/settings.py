"""What the functions read from their environment: here, once, and nowhere else.

`docs/settings.md` explains each name; a test holds the two together.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

SERVICE_DEFAULT: Final = "tallystream"


class SettingsMissing(Exception):  # noqa: N818 - names the state, as the operator reads it
    """Environment variables without which a function cannot run; all of them, not just the first."""


class _Variable(NamedTuple):
    """One environment variable. `default`: None where a function cannot do without it."""

    name: str
    default: str | None = None


# Field of any settings below -> where it is read.
_VARIABLES: Final = {
    "kafka_bootstrap": _Variable("KAFKA_BOOTSTRAP"),
    "kafka_security": _Variable("KAFKA_SECURITY", "plaintext"),
    "kafka_durability": _Variable("KAFKA_DURABILITY", "replicated"),
    "request_encodings": _Variable("REQUEST_ENCODINGS", ""),
    "clickhouse_url": _Variable("CLICKHOUSE_URL"),
    "clickhouse_secret_id": _Variable("CLICKHOUSE_SECRET_ID", ""),
    "keys_secret_id": _Variable("KEYS_SECRET_ID"),
    "archive_bucket": _Variable("ARCHIVE_BUCKET"),
    "stream_epoch": _Variable("STREAM_EPOCH"),
    "cors_origin": _Variable("CORS_ORIGIN", ""),
    "key_bytes_per_second": _Variable("KEY_BYTES_PER_SECOND", "16000000"),
    "erasure_settle_seconds": _Variable("ERASURE_SETTLE_SECONDS", "840"),
    "report_topic_arn": _Variable("REPORT_TOPIC_ARN", ""),
    "event_retention_days": _Variable("EVENT_RETENTION_DAYS", "0"),
    "embedding_retention_days": _Variable("EMBEDDING_RETENTION_DAYS", "0"),
    "change_retention_days": _Variable("CHANGE_RETENTION_DAYS", "0"),
    "archive_retention_days": _Variable("ARCHIVE_RETENTION_DAYS", "0"),
    "clickhouse_form": _Variable("CLICKHOUSE_FORM", "single"),
    "topic_partitions": _Variable("TOPIC_PARTITIONS", "8"),
    "topic_retention_hours": _Variable("TOPIC_RETENTION_HOURS", "168"),
    "topic_min_insync_replicas": _Variable("TOPIC_MIN_INSYNC_REPLICAS", ""),
    "cache_url": _Variable("CACHE_URL", ""),
    "cache_secret_id": _Variable("CACHE_SECRET_ID", ""),
    "cache_seconds": _Variable("CACHE_SECONDS", "5"),
    "answer_seconds_max": _Variable("ANSWER_SECONDS_MAX", "20"),
    "answer_memory_bytes_max": _Variable("ANSWER_MEMORY_BYTES_MAX", "4000000000"),
    "answer_rows_read_max": _Variable("ANSWER_ROWS_READ_MAX", "2000000000"),
    "service": _Variable("POWERTOOLS_SERVICE_NAME", SERVICE_DEFAULT),
    "namespace": _Variable("POWERTOOLS_METRICS_NAMESPACE", "Tallystream"),
    "log_level": _Variable("LOG_LEVEL", "INFO"),
}


class _FromEnvironment:
    """Settings whose fields are all texts of the table above. A variable that is empty counts as not set."""

    __slots__ = ()

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        variables = {name: _VARIABLES[name] for name in cls.__annotations__}
        values = {name: environment.get(each.name) or each.default for name, each in variables.items()}
        missing = [variables[name].name for name, value in values.items() if value is None]
        if missing:
            raise SettingsMissing(f"not set: {', '.join(missing)}")
        return cls(**values)


@dataclass(frozen=True, slots=True)
class AuthorizerSettings(_FromEnvironment):
    """`keys_secret_id`: name or ARN of the secret with the API keys."""

    keys_secret_id: str


@dataclass(frozen=True, slots=True)
class IngestSettings(_FromEnvironment):
    """`kafka_security`: plaintext or msk-iam. `archive_bucket`: takes the spool. `cors_origin`: "" allows no origin.

    `key_bytes_per_second`: what one key may send to one execution environment; "0" sets no limit.
    """

    kafka_bootstrap: str
    kafka_security: str
    keys_secret_id: str
    archive_bucket: str
    cors_origin: str
    key_bytes_per_second: str


@dataclass(frozen=True, slots=True)
class LoadSettings(_FromEnvironment):
    """`stream_epoch`: which life of the topics the offsets belong to. `archive_bucket`: takes dead letters."""

    clickhouse_url: str
    clickhouse_secret_id: str
    stream_epoch: str
    archive_bucket: str
    kafka_bootstrap: str
    kafka_security: str


@dataclass(frozen=True, slots=True)
class ArchiveSettings(_FromEnvironment):
    """As in LoadSettings."""

    archive_bucket: str
    stream_epoch: str


@dataclass(frozen=True, slots=True)
class ReportSettings(_FromEnvironment):
    """As in LoadSettings; `archive_bucket` holds the spool. `erasure_settle_seconds`: load's own time-out.

    `report_topic_arn`: SNS topic that is told of summaries; "" for none.
    """

    clickhouse_url: str
    clickhouse_secret_id: str
    archive_bucket: str
    kafka_bootstrap: str
    kafka_security: str
    erasure_settle_seconds: str
    report_topic_arn: str
    event_retention_days: str


@dataclass(frozen=True, slots=True)
class ReplaySettings(_FromEnvironment):
    """As in ArchiveSettings and IngestSettings."""

    archive_bucket: str
    kafka_bootstrap: str
    kafka_security: str


@dataclass(frozen=True, slots=True)
class QuerySettings(_FromEnvironment):
    """`kafka_durability`: what an acknowledgement of the broker survives: replicated, disk or memory.

    `request_encodings`: the Content-Encodings that the gateway unpacks, comma-separated; "" for none.
    `archive_bucket`: its dead letters and spool are counted. `cache_url`: "" for no cache of reports, which else are
    kept for `cache_seconds`. `answer_seconds_max` and the two after it: as `AnswerLimits`.
    """

    clickhouse_url: str
    clickhouse_secret_id: str
    keys_secret_id: str
    archive_bucket: str
    cors_origin: str
    kafka_durability: str
    request_encodings: str
    cache_url: str
    cache_secret_id: str
    cache_seconds: str
    event_retention_days: str
    answer_seconds_max: str
    answer_memory_bytes_max: str
    answer_rows_read_max: str


@dataclass(frozen=True, slots=True)
class AdminSettings(_FromEnvironment):
    """As in IngestSettings; `archive_bucket` holds the dead letters."""

    archive_bucket: str
    kafka_bootstrap: str
    kafka_security: str
    keys_secret_id: str
    cors_origin: str


@dataclass(frozen=True, slots=True)
class SetupSettings(_FromEnvironment):
    """What topics and tables are to be like. `clickhouse_form`: single or replicated.

    Days of retention: 0 is for ever. `topic_min_insync_replicas`: "" leaves it to the brokers.
    """

    kafka_bootstrap: str
    kafka_security: str
    topic_partitions: str
    topic_retention_hours: str
    topic_min_insync_replicas: str
    clickhouse_url: str
    clickhouse_secret_id: str
    clickhouse_form: str
    event_retention_days: str
    embedding_retention_days: str
    change_retention_days: str
    archive_retention_days: str


@dataclass(frozen=True, slots=True)
class ObservabilitySettings(_FromEnvironment):
    """How a function names itself in logs and metrics."""

    service: str
    namespace: str
    log_level: str
