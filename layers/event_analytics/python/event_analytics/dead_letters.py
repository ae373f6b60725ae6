"""A record that cannot be loaded -> the object that keeps it: reason, origin and bytes, nothing lost.

`dead-letters/v1/topic=T/partition=PPP/epoch=E/<offset>-<hash8>.json`: equal records have equal names.
"""

import base64
from typing import Final, NamedTuple

import msgspec

from event_analytics.archive_keys import HASH_BYTES
from event_analytics.kafka_batch import digest_of
from event_analytics.load import DeadRecord

DEAD_LETTERS_PREFIX: Final = "dead-letters/v1/"


class DeadLetter(NamedTuple):
    """The object: its name and its JSON body."""

    name: str
    body: bytes


def dead_letter_of(dead: DeadRecord, epoch: str) -> DeadLetter:
    """What is kept of a dead record."""
    record = dead.record
    name = (
        f"{DEAD_LETTERS_PREFIX}topic={record.topic}/partition={record.partition:03d}/epoch={epoch}"
        f"/{record.offset}-{digest_of([record], HASH_BYTES)}.json"
    )
    body = msgspec.json.encode(
        {
            "reason": dead.reason,
            "detail": dead.detail,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "epoch": epoch,
            "timestamp_ms": record.timestamp_ms,
            "key_base64": None if record.key is None else base64.b64encode(record.key).decode(),
            "value_base64": None if record.value is None else base64.b64encode(record.value).decode(),
        }
    )
    return DeadLetter(name, body)
