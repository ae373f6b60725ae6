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
from local_runtime.memory_folder import find_memory_folder
from local_runtime.settings import KAFKA_S3, PORT_SETTINGS, LocalSettings
from local_runtime.stack import Stack, started
from scripts.chaos.killing import Killer
from scripts.chaos.order import judge_order
from scripts.chaos.reading import read_answers, read_archive
from scripts.chaos.sending import Lane, Tally
from scripts.chaos.settling import settle
from scripts.chaos.topics import read_topics
from scripts.chaos.verdict import Verdict, judge
from scripts.chaos.workload import Workload
from scripts.connection import read_connection

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
    folder = Path(tempfile.mkdtemp(prefix="tallystream-chaos-", dir=find_memory_folder()))
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
    return killer.kills, tally, read_and_judge(stack.connection, tally, plan.seed, say)


def read_and_judge(connection: Connection, tally: Tally, seed: int, say: Say) -> Verdict:
    """Hold answers, archive and topics against what was sent, and count what was looked at."""
    conversations = {
        sent.operation.fields["conversation_id"]
        for history in tally.histories.values()
        for sent in history.sent
        if "conversation_id" in sent.operation.fields
    }
    answers = read_answers(connection, tally.histories, sorted(conversations), seed)
    say(f"{len(answers.states)} ids are read")
    topics = read_topics(connection.kafka)
    verdict = judge(tally.histories, answers, read_archive(connection, topics))
    order = judge_order(tally.sequences, topics)
    tally.counts["ordered"] = order.looked_at
    for fault in order.faults:
        verdict.add("wrong", fault)
    say("judged")
    return verdict


def _wait_for(lanes: list[Lane]) -> None:
    for lane in lanes:
        lane.join(_JOIN_SECONDS)
    for lane in lanes:
        if lane.failure is not None:
            raise lane.failure
