"""A record that cannot be loaded -> its dead letter: reason, error code, origin and bytes, nothing lost.

`dead-letters/v1/topic=T/partition=PPP/epoch=E/<offset>-<hash8>.json`: equal records have equal names. A redriven letter
has the same name under `dead-letters-redriven/v1/`.

`dead-letters/by-hour/v1/date=YYYY-MM-DD/hour=HH/topic=T/...`: an empty object beside each letter, under the hour in
which it was given up. A letter's own name says nothing of time: without, those of a day are found by listing all only.

Two copies, and a batch is acknowledged only after both: the object in S3 is the durable one, complete and written
first; the record on the topic `dead-letters` is for consumers and comes at least once. Either missing fails the batch.
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from event_analytics.archive_keys import HASH_BYTES
from event_analytics.errors import LogUnavailable
from event_analytics.kafka_batch import KafkaRecord, digest_of
from event_analytics.ports import EventLog, ObjectStore
from event_analytics.routing import DEAD_LETTERS_TOPIC, Record
from event_analytics.windows import TIME_MAX, TIME_MIN

DEAD_LETTERS_PREFIX: Final = "dead-letters/v1/"
REDRIVEN_PREFIX: Final = "dead-letters-redriven/v1/"
LETTER_HOURS_PREFIX: Final = "dead-letters/by-hour/v1/"
REASON_UNDECODABLE: Final = "record_undecodable"  # our decoder refuses it
REASON_STORE_REJECTED: Final = "store_rejected"  # ClickHouse does; error_code says why
REASON_FOLD_REJECTED: Final = "fold_rejected"  # ClickHouse has the change, and cannot make its event's row with it
REASON_NO_SUCH_EVENT: Final = "no_such_event"  # the event of a change has not come

_DETAIL_CHARACTERS_MAX: Final = 500  # of an error's text: it may quote the record, which is kept whole beside it
_TOPIC_COPY_BYTES_MAX: Final = 900_000  # Kafka's default is 1 MiB, and base64 makes 900 kB a letter of 1.2 MB
_TOPIC_COPY_KEY_BYTES_MAX: Final = 10_000  # our keys have 128 characters; other producers may do as they like
_NAME: Final = re.compile(
    r"(?P<prefix>dead-letters(-redriven)?/v1/)topic=(?P<topic>[\w.-]+)/partition=(?P<partition>\d+)"
    r"/epoch=(?P<epoch>[\w.-]+)/(?P<offset>\d+)-(?P<digest>[0-9a-f]{8})\.json",
    re.ASCII,
)


class DeadRecord(NamedTuple):
    """A record that no retry will make loadable, and why.

    `error_code`, `error_name`: ClickHouse's, if it refused. `needs_classification`: the code does not stand in
    `clickhouse_codes`; a person should add it.
    """

    record: KafkaRecord
    reason: str
    detail: str
    error_code: int | None = None
    error_name: str | None = None
    needs_classification: bool = False


class LetterBody(msgspec.Struct):
    """What a letter says, as JSON. Everything from `topic` on is the record as Kafka had it.

    `object`: name of the letter in S3. `dead_ms`: when it was given up, Unix milliseconds; 0 is not known.
    `key_base64`, `value_base64`: null where the record had none. Of a record too large for the topic, the copy there
    lacks the value (and a key that no client of ours could have sent) and says so by `is_whole`: the object has them.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    epoch: str
    timestamp_ms: int
    object: str = ""
    dead_ms: int = 0
    error_code: int | None = None
    error_name: str | None = None
    needs_classification: bool = False
    key_base64: str | None = None
    value_base64: str | None = None
    is_whole: bool = True

    @property
    def key(self) -> bytes | None:
        """The record's key."""
        return None if self.key_base64 is None else base64.b64decode(self.key_base64)

    @property
    def value(self) -> bytes | None:
        """The record's value."""
        return None if self.value_base64 is None else base64.b64decode(self.value_base64)


class DeadLetter(NamedTuple):
    """The object in S3: its name and its JSON body; and the record for the topic."""

    name: str
    body: bytes
    copy: Record


class LetterName(NamedTuple):
    """What a letter's name says. Sorts by origin, in the order in which the topic had the records."""

    topic: str
    partition: int
    epoch: str
    offset: int
    digest: str
    is_redriven: bool = False


_letter_decoder = msgspec.json.Decoder(LetterBody)


def dead_letter_of(dead: DeadRecord, epoch: str, dead_ms: int = 0) -> DeadLetter:
    """What is kept of a dead record that came from this `epoch` of its topic and was given up at `dead_ms`."""
    record = dead.record
    name = letter_name(
        LetterName(record.topic, record.partition, epoch, record.offset, digest_of([record], HASH_BYTES))
    )
    letter = LetterBody(
        object=name,
        reason=dead.reason,
        detail=dead.detail[:_DETAIL_CHARACTERS_MAX],
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        epoch=epoch,
        timestamp_ms=record.timestamp_ms,
        dead_ms=dead_ms,
        error_code=dead.error_code,
        error_name=dead.error_name,
        needs_classification=dead.needs_classification,
        key_base64=None if record.key is None else base64.b64encode(record.key).decode(),
        value_base64=None if record.value is None else base64.b64encode(record.value).decode(),
    )
    body = msgspec.json.encode(letter)
    return DeadLetter(name, body, _topic_copy_of(letter, body))


def _topic_copy_of(letter: LetterBody, body: bytes) -> Record:
    # Its own time, not the record's: a replayed record may be older than what the topic retains.
    timestamp_ms = letter.dead_ms or letter.timestamp_ms
    key = letter.key or b""
    if len(body) + len(key) <= _TOPIC_COPY_BYTES_MAX:
        return Record(DEAD_LETTERS_TOPIC, key, body, timestamp_ms)
    if len(key) > _TOPIC_COPY_KEY_BYTES_MAX:
        key = b""
        letter = msgspec.structs.replace(letter, key_base64=None)
    small = msgspec.json.encode(msgspec.structs.replace(letter, value_base64=None, is_whole=False))
    return Record(DEAD_LETTERS_TOPIC, key, small, timestamp_ms)


def letter_name(name: LetterName) -> str:
    """The object's name."""
    prefix = REDRIVEN_PREFIX if name.is_redriven else DEAD_LETTERS_PREFIX
    return (
        f"{prefix}topic={name.topic}/partition={name.partition:03d}/epoch={name.epoch}/{name.offset}-{name.digest}.json"
    )


def parse_letter_name(name: str) -> LetterName | None:
    """What the name says; None for an object that is no dead letter."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return LetterName(
        match["topic"],
        int(match["partition"]),
        match["epoch"],
        int(match["offset"]),
        match["digest"],
        match["prefix"] == REDRIVEN_PREFIX,
    )


def hour_prefix(hour: datetime) -> str:
    """What the names of all entries of an hour begin with, and those of later hours come after. `hour`: in UTC."""
    return f"{LETTER_HOURS_PREFIX}date={hour:%Y-%m-%d}/hour={hour:%H}/"


def hour_entry(name: str, dead_ms: int) -> str:
    """Name of the entry of the letter `name` that was given up at `dead_ms`; any number is taken for some hour."""
    seconds = min(max(dead_ms / 1_000, TIME_MIN.timestamp()), TIME_MAX.timestamp())
    return hour_prefix(datetime.fromtimestamp(seconds, UTC)) + name.removeprefix(DEAD_LETTERS_PREFIX)


def read_letter(body: bytes) -> LetterBody:
    """The letter inside an object or a record of the topic.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _letter_decoder.decode(body)


class DeadLetterWriter:
    """Keeps dead records in S3 and on the topic; returns once both have them."""

    def __init__(self, objects: ObjectStore, log: EventLog) -> None:
        self._objects = objects
        self._log = log

    def write(self, dead: Sequence[DeadRecord], epoch: str, dead_ms: int) -> None:
        """Keep them. `dead_ms`: now, Unix milliseconds. Writing the same again adds no letter, but another copy.

        Raises:
            LogUnavailable: the topic has not acknowledged every copy: the batch must come again. So must it after any
                error of the object store, which passes through.
        """
        if not dead:
            return
        letters = [dead_letter_of(one, epoch, dead_ms) for one in dead]
        for letter in letters:
            self._objects.put_new(letter.name, letter.body)
            self._objects.put_new(hour_entry(letter.name, dead_ms), b"")
        missing = self._log.append([letter.copy for letter in letters]).count(False)
        if missing:
            raise LogUnavailable(f"{missing} of {len(letters)} dead letters are not acknowledged by the topic")
