"""What comes after an invocation: the same again, halves, the failed records only, giving up, or nothing.

A pure state machine. What is left of a batch is a list of steps, done from the front: pieces to invoke with, records
to give up. Each answer replaces the first step by what `decide` says; a batch is done when no step is left. So the
order within each partition holds whatever is split, and what is committed never passes a step that is left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from local_runtime.kafka_trigger.batch import Batch, Slice

ITEM_FAILURES = "batchItemFailures"
# Infinite retries with an on-failure destination: Lambda stops after ten.
RETRIES_WITH_DESTINATION = 10


class Verdict(Enum):
    """How an invocation ended, and whose doing it was: only the function's own error says something of the records."""

    SUCCEEDED = "succeeded"
    FUNCTION_ERROR = "function error"
    THROTTLED = "throttled"
    UNREACHABLE = "endpoint"


class Condition(Enum):
    """Why records are given up, in AWS's words."""

    RETRIES_EXHAUSTED = "RetryAttemptsExhausted"
    TOO_OLD = "RecordAgeExceeded"
    TOO_LARGE = "MaximumPayloadSizeExceeded"


@dataclass(frozen=True)
class Outcome:
    """What an invocation answered. `body` is the function's own answer, `reason` a line for people."""

    verdict: Verdict
    body: bytes = b""
    reason: str = ""
    request_id: str = ""
    status_code: int = 200
    executed_version: str = "$LATEST"
    function_error: str | None = None


@dataclass(frozen=True)
class Rules:
    """A mapping's error handling. None: no limit."""

    retries_max: int | None = None
    age_ms_max: int | None = None
    bisects: bool = False
    reports_items: bool = False


@dataclass(frozen=True)
class Piece:
    """Records to invoke with. `retries` counts against the limit, `invokes` is every time they were sent."""

    batch: Batch
    retries: int = 0
    invokes: int = 0


@dataclass(frozen=True)
class GivenUp:
    """Records that are not invoked with again; they go to the destination if there is one."""

    batch: Batch
    condition: Condition
    invokes: int = 0
    outcome: Outcome | None = None


Step = Piece | GivenUp


def expire(rules: Rules, piece: Piece, now_ms: int) -> list[Step]:
    """Return the steps in the place of a piece that is about to be sent: records past their age are given up unsent.

    A record without a timestamp (-1) has no age.
    """
    if rules.age_ms_max is None:
        return [piece]
    oldest = now_ms - rules.age_ms_max

    def is_old(part: Slice, index: int) -> bool:
        return 0 <= part.timestamps[index] < oldest

    old = piece.batch.only(is_old)
    if not old.count:
        return [piece]
    young = piece.batch.only(lambda part, index: not is_old(part, index))
    kept: list[Step] = [Piece(young, piece.retries, piece.invokes)] if young.count else []
    return [GivenUp(old, Condition.TOO_OLD, piece.invokes), *kept]


def decide(rules: Rules, topic: str, piece: Piece, outcome: Outcome) -> list[Step]:
    """Return the steps in the place of a piece that was sent; none when it is done.

    Throttling and an endpoint that is away cost no retry. A split costs none either, so a record that is bad by itself
    is alone before its retries begin.
    """
    invokes = piece.invokes + 1
    if outcome.verdict in (Verdict.THROTTLED, Verdict.UNREACHABLE):
        return [Piece(piece.batch, piece.retries, invokes)]
    failed = piece.batch
    if outcome.verdict is Verdict.SUCCEEDED:
        failed = read_failures(topic, piece.batch, outcome.body) if rules.reports_items else Batch(())
        if not failed.count:
            return []
    elif rules.bisects and piece.batch.count > 1:
        return [Piece(half, piece.retries, invokes) for half in piece.batch.halve()]
    if rules.retries_max is not None and piece.retries >= rules.retries_max:
        return [GivenUp(failed, Condition.RETRIES_EXHAUSTED, invokes, outcome)]
    return [Piece(failed, piece.retries + 1, invokes)]


def read_failures(topic: str, batch: Batch, body: bytes) -> Batch:
    """Return the records that the function's answer says to retry; all of them when it says so unintelligibly.

    Success is an answer that is empty, null, or has no or an empty list of failures. An identifier that is malformed
    or names no record of the batch fails the batch as a whole.
    """
    try:
        answer = json.loads(body) if body.strip() else None
    except ValueError:
        return batch
    items = answer.get(ITEM_FAILURES) if isinstance(answer, dict) else None
    if items is None:
        return Batch(())
    if not isinstance(items, list):
        return batch
    named = {_read_identifier(item) for item in items}
    known = {(f"{topic}-{part.partition}", offset) for part in batch.slices for offset in part.offsets}
    if not named <= known:
        return batch
    return batch.only(lambda part, index: (f"{topic}-{part.partition}", part.offsets[index]) in named)


def _read_identifier(item: Any) -> tuple[str, int] | None:
    identifier = item.get("itemIdentifier") if isinstance(item, dict) else None
    if not isinstance(identifier, dict):
        return None
    partition, offset = identifier.get("partition"), identifier.get("offset")
    if not isinstance(partition, str) or not isinstance(offset, int) or isinstance(offset, bool):
        return None
    return partition, offset


def settled_offsets(batch: Batch, steps: list[Step]) -> dict[int, tuple[int, int]]:
    """Return, by partition, life and offset of the first record that is not done, as far as the batch reaches."""
    settled = {part.partition: (part.life, part.end_offset) for part in batch.slices}
    for step in steps:
        for part in step.batch.slices:
            life, offset = settled[part.partition]
            settled[part.partition] = life, min(offset, part.offsets[0])
    return settled
