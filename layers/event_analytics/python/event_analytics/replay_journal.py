"""Where a replay writes how far it has come: numbered objects, each written once, so that one runner at a time wins.

    replays/v1/running/<replay_id>/<step>.json    every step of a job that is not finished
    replays/v1/finished/<replay_id>.json          the last state of one that is

Taking a job is writing its next step: of two runners that try, `put_new` lets one. A runner that finds its next step
taken stops. The lease inside a step keeps others from trying while its holder works; a holder that died is succeeded
when it has run out.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from event_analytics.errors import Reason, Refused
from event_analytics.ports import ObjectStore
from event_analytics.replay_state import ReplayJob, ReplayState, Status, decode_state, encode_state

REPLAYS_PREFIX: Final = "replays/v1/"
RUNNING_PREFIX: Final = f"{REPLAYS_PREFIX}running/"
FINISHED_PREFIX: Final = f"{REPLAYS_PREFIX}finished/"
LEASE_SECONDS: Final = 120.0  # eight times between two steps: a slow minute of S3 or Kafka loses no lease
ID_BYTES: Final = 16
_STEP: Final = re.compile(rf"{re.escape(RUNNING_PREFIX)}(?P<replay_id>[^/]+)/(?P<step>\d+)\.json")


class LeaseLost(Exception):  # noqa: N818 - names the state
    """Another runner has taken the job; what this one sent since its last step is sent twice, which changes nothing."""


class StateUnreadable(ValueError):  # noqa: N818 - as above
    """An object of a job is none that a runner wrote: the job waits for a person, the others go on."""


def step_name(replay_id: str, step: int) -> str:
    """Name of one step's object; names sort as steps do."""
    return f"{RUNNING_PREFIX}{replay_id}/{step:08d}.json"


def finished_name(replay_id: str) -> str:
    """Name of the last state's object."""
    return f"{FINISHED_PREFIX}{replay_id}.json"


class ReplayJournal:
    """The steps of all replays in one bucket."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def open(self, job: ReplayJob, now_ms: int) -> ReplayState:
        """The latest state of the job, which is made if there is none of its id.

        Raises:
            Refused: id_invalid: the id belongs to a replay of something else.
        """
        state = self.read(job.replay_id)
        if state is None:
            with suppress(LeaseLost):  # somebody else opened it just now
                self._put(ReplayState(job, started_ms=now_ms, updated_ms=now_ms))
            state = self.read(job.replay_id)
        if state is None or not state.job.asks_for_the_same(job):
            raise Refused(Reason.ID_INVALID, f"replay {job.replay_id} is one of something else", "replay_id")
        return state

    def read(self, replay_id: str) -> ReplayState | None:
        """The latest state of a job; None if there is none of this id.

        Raises:
            StateUnreadable: what it would be read from is damaged.
        """
        finished = self._objects.get(finished_name(replay_id))
        if finished is not None:
            return _decode(finished_name(replay_id), finished)
        latest = max((entry.name for entry in self._objects.list(f"{RUNNING_PREFIX}{replay_id}/")), default=None)
        body = self._objects.get(latest) if latest else None
        return _decode(latest, body) if latest and body is not None else None

    def running(self, note_unreadable: Callable[[StateUnreadable], object]) -> Iterator[ReplayState]:
        """Latest states of the jobs that are not finished, the one that waits longest first.

        `note_unreadable`: gets what is wrong with each job that is left out because its state is damaged.
        """
        names = [match["replay_id"] for e in self._objects.list(RUNNING_PREFIX) if (match := _STEP.fullmatch(e.name))]
        states = []
        for name in dict.fromkeys(names):
            try:
                if (state := self.read(name)) is not None:
                    states.append(state)
            except StateUnreadable as unreadable:
                note_unreadable(unreadable)
        for state in sorted(states, key=lambda state: state.updated_ms):
            if state.status is Status.RUNNING:
                yield state
            else:  # its runner died after the last word and before it had cleared up
                self._clear(state.job.replay_id)

    def read_ids(self, state: ReplayState) -> Iterator[bytes]:
        """The ids that a filtered job has collected in all its steps.

        Raises:
            StateUnreadable: one of them is damaged: without its ids changes would be left out.
        """
        if not state.job.is_filtered:
            return
        for entry in self._objects.list(f"{RUNNING_PREFIX}{state.job.replay_id}/"):
            body = self._objects.get(entry.name)
            packed = _decode(entry.name, body).fresh_ids if body is not None else b""
            for start in range(0, len(packed), ID_BYTES):
                yield packed[start : start + ID_BYTES]

    def take(self, state: ReplayState, holder: str, now_ms: int) -> ReplayState | None:
        """The job's next step with the lease in the holder's hand; None while somebody else has it."""
        if state.lease_until_ms > now_ms and state.holder != holder:
            return None
        try:
            return self.write(state.changed(holder=holder, fresh_ids=b""), now_ms)
        except LeaseLost:
            return None

    def write(self, state: ReplayState, now_ms: int, *, releases: bool = False) -> ReplayState:
        """Store the next step of a job that its runner holds and return it.

        Raises:
            LeaseLost: somebody else wrote it.
        """
        lease_until_ms = 0 if releases else now_ms + int(LEASE_SECONDS * 1_000)
        written = state.changed(step=state.step + 1, updated_ms=now_ms, lease_until_ms=lease_until_ms)
        self._put(written)
        return written

    def finish(self, state: ReplayState, now_ms: int) -> ReplayState:
        """Store the last state of a job; nothing of it is left among the running."""
        finished = state.changed(updated_ms=now_ms, finished_ms=now_ms, lease_until_ms=0, fresh_ids=b"")
        self._objects.put_new(finished_name(state.job.replay_id), encode_state(finished))
        self._clear(state.job.replay_id)
        return finished

    def _put(self, state: ReplayState) -> None:
        name, body = step_name(state.job.replay_id, state.step), encode_state(state)
        if not self._objects.put_new(name, body) and self._objects.get(name) != body:  # a repeated put finds its own
            raise LeaseLost(name)

    def _clear(self, replay_id: str) -> None:
        for entry in list(self._objects.list(f"{RUNNING_PREFIX}{replay_id}/")):
            self._objects.delete(entry.name)


def _decode(name: str, body: bytes) -> ReplayState:
    try:
        return decode_state(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StateUnreadable(f"{name}: {error}") from error
