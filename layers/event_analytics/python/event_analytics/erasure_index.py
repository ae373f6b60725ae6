"""What was erased, kept in S3 for those who have no ClickHouse: numbers, hashes and event ids, no user.

`erasures/v1/erased/<written_us>-<run>-<hash8>.json`, written once and never changed, so that a reader that stays alive
fetches only what is new. Tables in ClickHouse hold the same for `load`; `scripts.rebuild` fills them again from here.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from typing import Final

import msgspec

from event_analytics.erasure import Erased, Erasure
from event_analytics.ports import ObjectStore

ERASED_PREFIX: Final = "erasures/v1/erased/"
IDS_PER_PART: Final = 50_000  # of 16 bytes: an object of 1 MB
ID_BYTES: Final = 16
# Names begin with the writer's clock. A reader looks back this far, so that a clock that was set back hides nothing.
_LOOK_BACK_US: Final = 3_600_000_000
_NAME: Final = re.compile(rf"{re.escape(ERASED_PREFIX)}(?P<written_us>\d{{16}})-.+\.json")
_HASH_CHARACTERS: Final = 8
_THREADS: Final = 10  # boto3 keeps 10 connections per client


class _PartUser(msgspec.Struct):
    user_hash: str
    erased_us: int
    ids_base64: str = ""


_decoder: Final = msgspec.json.Decoder(list[_PartUser])


class ErasureIndex:
    """Reads the parts. One object lives as long as its process and remembers what it has read."""

    def __init__(self) -> None:
        self._erased = Erased()
        self._read: set[str] = set()
        self._newest_us = 0

    def read(self, objects: ObjectStore) -> Erased:
        """Everything erased as of now; errors of the object store pass through."""
        after = f"{ERASED_PREFIX}{max(0, self._newest_us - _LOOK_BACK_US):016d}"
        fresh = [entry.name for entry in objects.list(ERASED_PREFIX, after) if entry.name not in self._read]
        if fresh:
            with ThreadPoolExecutor(_THREADS, thread_name_prefix="erasures") as pool:
                for name, body in zip(fresh, pool.map(objects.get, fresh), strict=True):
                    self._take(name, body)
        return self._erased

    def _take(self, name: str, body: bytes | None) -> None:
        match = _NAME.fullmatch(name)
        if match is None or body is None:
            return
        for part in _decoder.decode(body):
            erasure = Erasure(part.user_hash, part.erased_us)
            self._erased.add_user(erasure)
            self._erased.add_ids(_unpack(base64.b64decode(part.ids_base64)), erasure)
        self._read.add(name)
        self._newest_us = max(self._newest_us, int(match["written_us"]))


def write_part(objects: ObjectStore, run_id: str, written_us: int, ids: Mapping[Erasure, Iterable[bytes]]) -> list[str]:
    """Keep erasures, each with ids of events that it takes away (none: the erasure alone); the objects' names.

    Written again, the same is kept twice, which changes nothing.
    """
    names = []
    for part in _parts_of(ids):
        body = msgspec.json.encode(part)
        digest = hashlib.sha256(body).hexdigest()[:_HASH_CHARACTERS]
        names.append(f"{ERASED_PREFIX}{written_us:016d}-{run_id}-{digest}.json")
        objects.put_new(names[-1], body)
    return names


def _parts_of(ids: Mapping[Erasure, Iterable[bytes]]) -> Iterator[list[_PartUser]]:
    pairs = ((erasure, identifier) for erasure, found in ids.items() for identifier in (tuple(found) or (b"",)))
    while chunk := list(islice(pairs, IDS_PER_PART)):
        yield [
            _PartUser(
                erasure.user_hash, erasure.erased_us, base64.b64encode(b"".join(each for _, each in group)).decode()
            )
            for erasure, group in groupby(chunk, key=lambda pair: pair[0])
        ]


def _unpack(packed: bytes) -> Iterator[bytes]:
    for start in range(0, len(packed), ID_BYTES):
        yield packed[start : start + ID_BYTES]
