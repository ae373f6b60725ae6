"""Where erasures are kept while they wait and run, and what stays of them.

    erasures/v1/requested/<erasure_id>.json     what was asked for, with the user's id, until the run is done
    erasures/v1/running/<run_id>.json           the run that is under way, and how far it has come
    erasures/v1/finished/<erasure_id>.json      the record that stays; no id of a user

A step of the state is written only over the step that was read: of two runners the second one stops.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from event_analytics.erasure import hash_user
from event_analytics.erasure_state import (
    ErasureRecord,
    ErasureRequest,
    ErasureRun,
    Step,
    describe_request,
    describe_run,
    new_run,
)
from event_analytics.ports import ErasableStore, ObjectStore

ERASURES_PREFIX: Final = "erasures/v1/"
REQUESTED_PREFIX: Final = f"{ERASURES_PREFIX}requested/"
RUNNING_PREFIX: Final = f"{ERASURES_PREFIX}running/"
FINISHED_PREFIX: Final = f"{ERASURES_PREFIX}finished/"
REQUESTS_MAX: Final = 100  # of one run: each is read at every start, and stands in statements and in the state
_ERASURE_ID: Final = re.compile(r"[0-9a-f-]{36}")

_run_decoder: Final = msgspec.json.Decoder(ErasureRun)
_request_decoder: Final = msgspec.json.Decoder(ErasureRequest)
_record_decoder: Final = msgspec.json.Decoder(ErasureRecord)


class RunTaken(Exception):  # noqa: N818 - names the state
    """Another runner has advanced the run; what this one did since it read the state is done twice, to no harm."""


def request_erasure(objects: ObjectStore, request: ErasureRequest) -> None:
    """Return once the erasure is sure to happen."""
    objects.put_new(_request_name(request.erasure_id), msgspec.json.encode(request))


def read_record(objects: ObjectStore, erasure_id: str) -> ErasureRecord | None:
    """How far an erasure is; None if there is none of this id."""
    if _ERASURE_ID.fullmatch(erasure_id) is None:
        return None
    # What is asked for is read last: it goes after the record that stays was written.
    for _ in range(2):
        if (finished := objects.get(_finished_name(erasure_id))) is not None:
            return _record_decoder.decode(finished)
        run = read_run(objects)
        for subject in run.subjects if run else ():
            if run is not None and erasure_id in subject.requests:
                return describe_run(run, subject, erasure_id)
        if (requested := objects.get(_request_name(erasure_id))) is not None:
            return describe_request(_request_decoder.decode(requested))
    return None


def read_run(objects: ObjectStore) -> ErasureRun | None:
    """The run that is under way, if there is one."""
    for entry in objects.list(RUNNING_PREFIX):
        if (body := objects.get(entry.name)) is not None:
            return _run_decoder.decode(body)
    return None


class ErasureJournal:
    """The erasures of one bucket, as their runner sees them."""

    def __init__(self, objects: ErasableStore) -> None:
        self._objects = objects

    def open(self, now_ms: int) -> ErasureRun | None:
        """The run that is under way, else a new one of what was asked for; None if nothing was."""
        if (run := self._read_run()) is not None:
            return run
        requests = list(islice(self._requests(), REQUESTS_MAX))
        if not requests:
            return None
        # The first request names the run: two who open one at the same time open the same.
        run = new_run(requests[0].erasure_id, requests, now_ms)
        self._objects.put_new(_run_name(run.run_id), msgspec.json.encode(run))
        return self._read_run()

    def _read_run(self) -> ErasureRun | None:
        run = read_run(self._objects)
        if run is None or run.step is Step.FINISH or self.read_users(run):
            return run
        self._forget(_run_name(run.run_id))  # another runner had finished it when this one opened it
        return None

    def read_users(self, run: ErasureRun) -> dict[str, str]:
        """The ids of a run's users by their hashes, without those that are forgotten already."""
        names = [_request_name(next(iter(subject.requests))) for subject in run.subjects]
        bodies = [body for name in names if (body := self._objects.get(name)) is not None]
        return {hash_user(user_id): user_id for user_id in (_request_decoder.decode(body).user_id for body in bodies)}

    def write(self, run: ErasureRun) -> ErasureRun:
        """Store the next state of a run and return it.

        Raises:
            RunTaken: somebody else did.
        """
        written = run.changed(revision=run.revision + 1)
        body = msgspec.json.encode(written)

        def advance(current: bytes) -> bytes:
            # A write that is tried again after a lost answer finds its own.
            if current != body and _run_decoder.decode(current).revision != run.revision:
                raise RunTaken(run.run_id)
            return body

        if not self._objects.rewrite(_run_name(run.run_id), advance):
            raise RunTaken(run.run_id)
        return written

    def finish(self, run: ErasureRun, now_ms: int) -> None:
        """Write the records that stay, then forget requests and run, with all that they ever were."""
        for subject in run.subjects:
            for erasure_id in subject.requests:
                record = describe_run(run, subject, erasure_id, finished_ms=now_ms)
                self._objects.put_new(_finished_name(erasure_id), msgspec.json.encode(record))
                self._forget(_request_name(erasure_id))
        self._forget(_run_name(run.run_id))

    def _forget(self, name: str) -> None:
        self._objects.delete(name)
        for former in list(self._objects.former(name)):
            self._objects.forget(former)

    def _requests(self) -> Iterator[ErasureRequest]:
        for entry in self._objects.list(REQUESTED_PREFIX):
            body = self._objects.get(entry.name)
            if body is not None:
                request = _request_decoder.decode(body)
                if self._objects.get(_finished_name(request.erasure_id)) is None:
                    yield request
                else:  # its runner died while it cleared up
                    self._forget(entry.name)


def _request_name(erasure_id: str) -> str:
    return f"{REQUESTED_PREFIX}{erasure_id}.json"


def _finished_name(erasure_id: str) -> str:
    return f"{FINISHED_PREFIX}{erasure_id}.json"


def _run_name(run_id: str) -> str:
    return f"{RUNNING_PREFIX}{run_id}.json"
