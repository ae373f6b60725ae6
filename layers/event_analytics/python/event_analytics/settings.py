"""What the functions read from their environment: here, once, and nowhere else.

`docs/settings.md` explains each name; a test holds the two together.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

SERVICE_DEFAULT: Final = "tallystream"


class SettingsMissing(Exception):  # noqa: N818 - names the state, as the operator reads it
    """Environment variables without which a function cannot run; all of them, not just the first."""


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._missing: list[str] = []

    def required(self, name: str) -> str:
        value = self._environment.get(name, "")
        if not value:
            self._missing.append(name)
        return value

    def optional(self, name: str, default: str = "") -> str:
        return self._environment.get(name) or default

    def check(self) -> None:
        if self._missing:
            raise SettingsMissing(f"not set: {', '.join(self._missing)}")


@dataclass(frozen=True, slots=True)
class AuthorizerSettings:
    """`keys_secret_id`: name or ARN of the secret with the API keys."""

    keys_secret_id: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        reader = _Reader(environment)
        settings = cls(keys_secret_id=reader.required("KEYS_SECRET_ID"))
        reader.check()
        return settings


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """`kafka_security`: plaintext or msk-iam. `archive_bucket`: takes the spool. `cors_origin`: "" allows no origin."""

    kafka_bootstrap: str
    kafka_security: str
    keys_secret_id: str
    archive_bucket: str
    cors_origin: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        reader = _Reader(environment)
        settings = cls(
            kafka_bootstrap=reader.required("KAFKA_BOOTSTRAP"),
            kafka_security=reader.optional("KAFKA_SECURITY", "plaintext"),
            keys_secret_id=reader.required("KEYS_SECRET_ID"),
            archive_bucket=reader.required("ARCHIVE_BUCKET"),
            cors_origin=reader.optional("CORS_ORIGIN"),
        )
        reader.check()
        return settings


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """`stream_epoch`: which life of the topics the offsets belong to. `archive_bucket`: takes dead letters."""

    clickhouse_url: str
    clickhouse_secret_id: str
    stream_epoch: str
    archive_bucket: str
    kafka_bootstrap: str
    kafka_security: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        reader = _Reader(environment)
        settings = cls(
            clickhouse_url=reader.required("CLICKHOUSE_URL"),
            clickhouse_secret_id=reader.optional("CLICKHOUSE_SECRET_ID"),
            stream_epoch=reader.required("STREAM_EPOCH"),
            archive_bucket=reader.required("ARCHIVE_BUCKET"),
            kafka_bootstrap=reader.required("KAFKA_BOOTSTRAP"),
            kafka_security=reader.optional("KAFKA_SECURITY", "plaintext"),
        )
        reader.check()
        return settings


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """As in LoadSettings."""

    archive_bucket: str
    stream_epoch: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        reader = _Reader(environment)
        settings = cls(archive_bucket=reader.required("ARCHIVE_BUCKET"), stream_epoch=reader.required("STREAM_EPOCH"))
        reader.check()
        return settings


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """As in LoadSettings; `archive_bucket` holds the spool."""

    clickhouse_url: str
    clickhouse_secret_id: str
    archive_bucket: str
    kafka_bootstrap: str
    kafka_security: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        reader = _Reader(environment)
        settings = cls(
            clickhouse_url=reader.required("CLICKHOUSE_URL"),
            clickhouse_secret_id=reader.optional("CLICKHOUSE_SECRET_ID"),
            archive_bucket=reader.required("ARCHIVE_BUCKET"),
            kafka_bootstrap=reader.required("KAFKA_BOOTSTRAP"),
            kafka_security=reader.optional("KAFKA_SECURITY", "plaintext"),
        )
        reader.check()
        return settings


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """As in ArchiveSettings and IngestSettings."""

    archive_bucket: str
    kafka_bootstrap: str
    kafka_security: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        reader = _Reader(environment)
        settings = cls(
            archive_bucket=reader.required("ARCHIVE_BUCKET"),
            kafka_bootstrap=reader.required("KAFKA_BOOTSTRAP"),
            kafka_security=reader.optional("KAFKA_SECURITY", "plaintext"),
        )
        reader.check()
        return settings


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """`kafka_durability`: what an acknowledgement of the broker survives: replicated, disk or memory."""

    clickhouse_url: str
    clickhouse_secret_id: str
    keys_secret_id: str
    cors_origin: str
    kafka_durability: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; raises SettingsMissing."""
        reader = _Reader(environment)
        settings = cls(
            clickhouse_url=reader.required("CLICKHOUSE_URL"),
            clickhouse_secret_id=reader.optional("CLICKHOUSE_SECRET_ID"),
            keys_secret_id=reader.required("KEYS_SECRET_ID"),
            cors_origin=reader.optional("CORS_ORIGIN"),
            kafka_durability=reader.optional("KAFKA_DURABILITY", "replicated"),
        )
        reader.check()
        return settings


@dataclass(frozen=True, slots=True)
class ObservabilitySettings:
    """How a function names itself in logs and metrics."""

    service: str
    namespace: str
    log_level: str

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them; all have defaults."""
        reader = _Reader(environment)
        return cls(
            service=reader.optional("POWERTOOLS_SERVICE_NAME", SERVICE_DEFAULT),
            namespace=reader.optional("POWERTOOLS_METRICS_NAMESPACE", "Tallystream"),
            log_level=reader.optional("LOG_LEVEL", "INFO"),
        )
