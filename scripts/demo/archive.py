"""What lies in the archive bucket: raw objects, their bytes, and how many different records their names vouch for."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from event_analytics.adapters.aws_session import aws_session
from event_analytics.archive_keys import RAW_PREFIX, ArchiveKey, parse_key
from scripts.failures import GaveUp


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """`records` counts each offset once, however many objects hold it. `newest` is the name of one object."""

    objects: int = 0
    stored_bytes: int = 0
    records: int = 0
    newest: str = ""


def read_archive(endpoint_url: str | None, bucket: str) -> ArchiveState:
    """The state of the bucket's `raw/`.

    Raises:
        GaveUp: S3 did not answer, or refused.
    """
    try:
        client = aws_session(endpoint_url).client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=RAW_PREFIX)
        return sum_up_objects(entry for page in pages for entry in page.get("Contents", ()))
    except (BotoCoreError, ClientError) as problem:
        raise GaveUp(f"the archive bucket {bucket} cannot be listed: {problem}") from problem


def sum_up_objects(entries: Iterable[dict[str, Any]]) -> ArchiveState:
    """The state that a listing describes; entries that are no archived batch are left out."""
    named = [(key, entry) for entry in entries if (key := parse_key(str(entry["Key"])))]
    newest = max((entry for _, entry in named), key=lambda entry: entry["LastModified"], default={"Key": ""})
    return ArchiveState(
        objects=len(named),
        stored_bytes=sum(int(entry["Size"]) for _, entry in named),
        records=_count_records(key for key, _ in named),
        newest=str(newest["Key"]),
    )


def _count_records(keys: Iterable[ArchiveKey]) -> int:
    ranges = defaultdict(list)
    for key in keys:
        ranges[key.topic, key.partition, key.epoch].append((key.first_offset, key.last_offset))
    return sum(_count_covered(sorted(pairs)) for pairs in ranges.values())


def _count_covered(pairs: list[tuple[int, int]]) -> int:
    covered, next_offset = 0, 0
    for first, last in pairs:
        covered += max(0, last + 1 - max(first, next_offset))
        next_offset = max(next_offset, last + 1)
    return covered
