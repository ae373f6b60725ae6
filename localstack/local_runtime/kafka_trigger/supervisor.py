"""The mappings that run: added, changed, paused and removed while the trigger runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from threading import RLock
from typing import NamedTuple

from local_runtime.kafka_trigger.mapping import Mapping, MappingRefused
from local_runtime.kafka_trigger.progress import Progress
from local_runtime.kafka_trigger.runner import MappingRunner

CLOSE_SECONDS_MAX = 6.0  # a last commit to a broker that is gone gives up after 5 s

StartRunner = Callable[[Progress], MappingRunner]


class Entry(NamedTuple):
    """A mapping that runs, and who named it: it goes away only when its source drops it."""

    runner: MappingRunner
    source: str

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self.runner.progress


class Supervisor:
    """All mappings of this process, by UUID. Called from several threads."""

    def __init__(self, start: StartRunner, grace_seconds: float) -> None:
        self._start = start
        self._grace_seconds = grace_seconds
        self._entries: dict[str, Entry] = {}
        self._lock = RLock()

    def progress(self) -> list[Progress]:
        """Return how far each mapping is, in the order in which they came."""
        with self._lock:
            return [entry.progress for entry in self._entries.values()]

    def find(self, uuid: str) -> Progress | None:
        """Return the mapping with that UUID, if there is one."""
        with self._lock:
            entry = self._entries.get(uuid)
            return entry.progress if entry else None

    def put(self, mapping: Mapping, source: str) -> Progress:
        """Run a mapping, or change the one with its UUID: a change of more than its state starts it anew.

        Raises:
            MappingRefused: another one has its topic and consumer group.
        """
        with self._lock:
            for uuid, entry in self._entries.items():
                other = entry.progress.mapping
                if uuid != mapping.uuid and (other.topic, other.group) == (mapping.topic, mapping.group):
                    raise MappingRefused(f"two mappings share topic and consumer group: {other.name}, {mapping.name}")
            found = self._entries.get(mapping.uuid)
            if found is not None and replace(found.progress.mapping, enabled=mapping.enabled) == mapping:
                found.progress.mapping = mapping
                found.runner.enable(enabled=mapping.enabled)
                return found.progress
            if found is not None:
                self._stop([found.runner])
            runner = self._start(Progress(mapping))
            self._entries[mapping.uuid] = Entry(runner, source)
            runner.start()
            return runner.progress

    def remove(self, uuid: str) -> None:
        """Stop a mapping and forget it; what it committed stays with its group."""
        with self._lock:
            self._stop([self._entries.pop(uuid).runner])

    def reconcile(self, mappings: Iterable[Mapping], source: str) -> list[MappingRefused]:
        """Make the mappings of a source exactly these; return why some of them cannot run beside the others."""
        refusals = []
        with self._lock:
            wanted = {mapping.uuid: mapping for mapping in mappings}
            gone = [uuid for uuid, entry in self._entries.items() if entry.source == source and uuid not in wanted]
            for uuid in gone:
                self.remove(uuid)
            for mapping in wanted.values():
                try:
                    self.put(mapping, source)
                except MappingRefused as error:
                    refusals.append(error)
        return refusals

    def crashed(self) -> list[str]:
        """Return the names of mappings whose thread ended by itself."""
        with self._lock:
            return [entry.runner.name for entry in self._entries.values() if not entry.runner.is_alive()]

    def stop(self) -> None:
        """Stop every mapping after what it has in flight."""
        with self._lock:
            self._stop([entry.runner for entry in self._entries.values()])

    def _stop(self, runners: list[MappingRunner]) -> None:
        for runner in runners:
            runner.stop()
        deadline = time.monotonic() + self._grace_seconds + CLOSE_SECONDS_MAX
        for runner in runners:
            runner.join(max(0.0, deadline - time.monotonic()))
