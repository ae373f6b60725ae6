"""One seeded run: a stack of its own on durable storage, senders and a killer at the same time, then the verdict."""

import dataclasses
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from local_runtime.assembly import Tallystream
from local_runtime.connection import Connection
from local_runtime.settings import KAFKA_S3, PORT_SETTINGS, LocalSettings
from local_runtime.stack import Stack, started
from scripts.chaos.killing import Killer
from scripts.chaos.reading import read_answers, read_archive
from scripts.chaos.sending import Lane, Tally
from scripts.chaos.settling import settle
from scripts.chaos.verdict import Verdict, judge
from scripts.chaos.workload import Workload
from scripts.connection import read_connection

MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
MEMORY_BYTES_MIN: Final = 6 * 1024**3  # a run of 20,000 operations needs about a third
_JOIN_SECONDS: Final = 180.0  # a lane gives up after 120 s without any answer

Say = Callable[[str], None]


class Plan(NamedTuple):
    """What a run does. `rounds`: how often each kind of part is killed. `lanes`: senders at the same time."""

    seed: int
    operations: int = 20_000
    rounds: int = 2
    lanes: int = 4


class Result(NamedTuple):
    """What came of a run."""

    plan: Plan
    kills: Counter[str]
    counts: Counter[str]
    rejected: list[str]
    verdict: Verdict
    seconds: float


def run_seed(settings: LocalSettings, plan: Plan, say: Say) -> Result:
    """Run on free ports and an empty state directory, which is removed at the end unless a promise was broken."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="tallystream-chaos-", dir=_find_fast_folder()))
    free_ports: dict[str, Any] = dict.fromkeys(PORT_SETTINGS, 0)
    own = dataclasses.replace(settings, state_dir=folder, kafka_storage=KAFKA_S3, **free_ports)
    is_clean = False
    try:
        with started(own, Tallystream(), say) as stack:
            kills, tally, verdict = torment(stack, plan, say)
            stack.kill_all()  # nothing is kept of it: an orderly stop would wait for what is all judged
        is_clean = verdict.is_clean
        if not is_clean:
            verdict.details.append(f"logs and data are kept in {folder}")
    finally:
        if is_clean:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            say(f"logs and data are kept in {folder}")
    return Result(plan, kills, tally.counts, tally.rejected, verdict, time.monotonic() - began)


def _find_fast_folder() -> Path | None:
    """Memory, where there is enough: every worker unpacks its layers, and kill -9 ends processes, not files."""
    is_roomy = MEMORY_FOLDER.is_dir() and shutil.disk_usage(MEMORY_FOLDER).free > MEMORY_BYTES_MIN
    return MEMORY_FOLDER if is_roomy else None


def torment(stack: Stack, plan: Plan, say: Say) -> tuple[Counter[str], Tally, Verdict]:
    """Send and kill, wait until all has arrived, and judge."""
    tally = Tally()

    def connect() -> Connection:
        return read_connection(stack.settings.state_dir)

    killer = Killer(stack, plan.seed, plan.rounds, lambda: tally.counts["sent"] / plan.operations, say)
    lanes = [
        Lane(
            Workload(plan.seed, lane, plan.operations // plan.lanes),
            f"{plan.seed}/{lane}/again",
            tally,
            connect,
            killer.may_send,
        )
        for lane in range(plan.lanes)
    ]
    for lane in lanes:
        lane.start()
    killer.run(lambda: any(lane.is_alive() for lane in lanes))
    _wait_for(lanes)
    say(f"sent: {dict(tally.counts)}, killed: {dict(killer.kills)}")
    settle(stack.connection, say)
    stack.check()
    say("settled")
    conversations = {
        sent.operation.fields["conversation_id"]
        for history in tally.histories.values()
        for sent in history.sent
        if "conversation_id" in sent.operation.fields
    }
    answers = read_answers(stack.connection, tally.histories, sorted(conversations), plan.seed)
    say(f"{len(answers.states)} ids are read")
    verdict = judge(tally.histories, answers, read_archive(stack.connection))
    say("judged")
    return killer.kills, tally, verdict


def _wait_for(lanes: list[Lane]) -> None:
    for lane in lanes:
        lane.join(_JOIN_SECONDS)
    for lane in lanes:
        if lane.failure is not None:
            raise lane.failure
