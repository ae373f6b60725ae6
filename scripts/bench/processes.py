"""Whose the CPU time and the memory are: the processes of the stack and of the bench by stage, read from /proc.

A Lambda is a process of the endpoint; its function's name stands in its environment. Linux only: elsewhere all is 0.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from local_runtime.stack import Stack

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_MICRO: Final = 1_000_000
PARTS: Final = {"API endpoint": "ministack", "broker": "kafka", "engine": "clickhouse", "trigger": "trigger"}
FUNCTION_NAME: Final = b"AWS_LAMBDA_FUNCTION_NAME="


class Usage(NamedTuple):
    """Of one process at one moment."""

    cpu_seconds: float
    resident_bytes: int


class Snapshot(NamedTuple):
    """What each process has used so far, by stage and process id."""

    by_stage: Mapping[str, Mapping[int, Usage]]

    def resident_mb(self) -> dict[str, float]:
        """Memory by stage."""
        return {
            stage: sum(usage.resident_bytes for usage in processes.values()) / 1e6
            for stage, processes in self.by_stage.items()
        }


class StageProcesses:
    """The stages of one stack. `own`: further processes, by stage."""

    def __init__(self, stack: Stack, own: Mapping[str, int]) -> None:
        self._pids = {stage: stack.pid_of(part) for stage, part in PARTS.items()} | dict(own)

    def read(self) -> Snapshot:
        """As it is now. A process that ended meanwhile is left out."""
        pids = [(stage, pid) for stage, pid in self._pids.items()]
        pids += [(f"{name} function", pid) for name, pid in find_functions(self._pids["API endpoint"])]
        by_stage: dict[str, dict[int, Usage]] = {}
        for stage, pid in pids:
            usage = read_usage(pid)
            if usage is not None:
                by_stage.setdefault(stage, {})[pid] = usage
        return Snapshot(by_stage)


def cpu_seconds_between(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """CPU time by stage; a process that was not there before counts from its start."""
    nothing = Usage(0.0, 0)
    return {
        stage: sum(
            usage.cpu_seconds - before.by_stage.get(stage, {}).get(pid, nothing).cpu_seconds
            for pid, usage in processes.items()
        )
        for stage, processes in after.by_stage.items()
    }


def micros_per_event(seconds: Mapping[str, float], events: int) -> dict[str, float]:
    """CPU microseconds per event by stage, the largest first."""
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return {stage: round(spent / events * _MICRO, 2) for stage, spent in ordered if spent}


def read_usage(pid: int) -> Usage | None:
    """Of a process and its threads; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # after the name, which may hold anything; the state is the first
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND, int(fields[21]) * _PAGE_BYTES)


def find_functions(endpoint_pid: int) -> Iterator[tuple[str, int]]:
    """Name of the function, as its folder is called, and process id of each worker of the endpoint."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[1]) != endpoint_pid:
                continue
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        full_name = next((value for value in variables if value.startswith(FUNCTION_NAME)), None)
        if full_name is not None:
            yield role_of(full_name.partition(b"=")[2].decode()), int(folder.name)


def role_of(function_name: str) -> str:
    """The folder of a deployed function: `ingest` of `tallystream-IngestFunction-1A2B3C`."""
    return function_name.partition("-")[2].partition("Function")[0].lower()
