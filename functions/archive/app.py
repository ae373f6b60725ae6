"""Kafka batch -> S3. Its own consumer group: it fails, and catches up, alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.archive import plan_archive
from event_analytics.erasure_index import ErasureIndex
from event_analytics.garbage import collect_rarely
from event_analytics.kafka_batch import read_records
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import ObjectStore
from event_analytics.settings import ArchiveSettings, ObservabilitySettings


@dataclass(frozen=True)
class Deps:
    """What archiving needs. `erasures`: what is known of them, kept between invocations."""

    objects: ObjectStore
    epoch: str
    erasures: ErasureIndex = field(default_factory=ErasureIndex)

    @classmethod
    def from_settings(cls, settings: ArchiveSettings) -> "Deps":
        """The real ones."""
        return cls(objects=S3ObjectStore(settings.archive_bucket), epoch=settings.stream_epoch)


def handle(event: Mapping[str, Any], deps: Deps, line: InvocationLine) -> None:
    """Write every record of a batch that was not erased; any error of S3 is raised, and the batch comes again."""
    erased = deps.erasures.read(deps.objects)
    for archived in plan_archive(read_records(event), deps.epoch, erased.keeps):
        is_new = deps.objects.put_new(archived.name, archived.body)
        line.count(
            archived_records=archived.records,
            erased_records=archived.left_out,
            archived_objects=int(is_new),
            repeated_objects=int(not is_new),
            archived_bytes=len(archived.body),
        )


@lru_cache(maxsize=1)
def _deps() -> Deps:
    collect_rarely()
    return Deps.from_settings(ArchiveSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "archive")


def handler(event: dict[str, Any], context: Any) -> None:
    """Lambda's entry point, behind a Kafka event source mapping."""
    with _telemetry().invocation(context) as line:
        handle(event, _deps(), line)
