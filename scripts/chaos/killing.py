"""Kills parts of a stack with SIGKILL while it works, at times that a seed decides, and brings each back.

One outage at a time: the next begins when the part before it serves again. A Lambda worker is a child of the AWS
endpoint, which starts another by itself. After the endpoint itself died, the stack is deployed again.
"""

import math
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from local_runtime.stack import Stack

TRIGGER, KAFKA, CLICKHOUSE, ENDPOINT, WORKER = KINDS = ("trigger", "kafka", "clickhouse", "ministack", "worker")
DOWN_SECONDS_MAX: Final = 2.0  # how long a part stays away before it is started again
BROKER_DOWN_SECONDS_MAX: Final = 9.0  # beyond the 5 s after which ingest spools
WATCH_SECONDS: Final = 0.05
_FIRST_SHARE, _LAST_SHARE = 0.03, 0.95  # of the operations: something is on its way at each kill


class Killer:
    """Kills each kind `rounds` times, in a random order. `progress`: the share of operations sent so far, 0 to 1."""

    def __init__(
        self, stack: Stack, seed: int, rounds: int, progress: Callable[[], float], say: Callable[[str], None]
    ) -> None:
        self.kills: Counter[str] = Counter()
        self._stack = stack
        self._random = random.Random(f"{seed}/kills")  # noqa: S311 - has to repeat itself
        self._progress = progress
        self._say = say
        kinds = list(KINDS) * rounds
        self._random.shuffle(kinds)
        shares = sorted(self._random.uniform(_FIRST_SHARE, _LAST_SHARE) for _ in kinds)
        self._plan = list(zip(shares, kinds, strict=True))
        self._limit = self._plan[0][0] if self._plan else math.inf

    def run(self, is_sending: Callable[[], bool]) -> None:
        """Return after the last kill. What is left when all is sent is killed while the rest is on its way."""
        following = [share for share, _ in self._plan[1:]] + [math.inf]
        for (share, kind), next_share in zip(self._plan, following, strict=True):
            while self._progress() < share and is_sending():
                time.sleep(WATCH_SECONDS)
            self._limit = next_share
            self.strike(kind)

    def may_send(self) -> bool:
        """Whether senders may go on: they do not run ahead of the plan, so that each kill meets some work."""
        return self._progress() < self._limit

    def strike(self, kind: str) -> None:
        """Kill one part and return when it serves again."""
        self._say(f"{datetime.now(UTC):%H:%M:%S.%f} kill -9 {kind}")
        if kind == WORKER:
            self.kills[kind] += self._kill_worker()
            return
        self._stack.kill(kind)
        self.kills[kind] += 1
        time.sleep(self._random.uniform(0, BROKER_DOWN_SECONDS_MAX if kind == KAFKA else DOWN_SECONDS_MAX))
        self._stack.restart(kind)
        if kind == ENDPOINT:
            self._stack.redeploy()

    def _kill_worker(self) -> bool:
        workers = children_of(self._stack.pid_of(ENDPOINT))
        if not workers:
            return False
        with suppress(ProcessLookupError):
            os.kill(self._random.choice(workers), signal.SIGKILL)
        return True


def children_of(pid: int) -> list[int]:
    """Process ids of a process's own children, in order."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = (line.split() for line in listed.stdout.splitlines())
    return sorted(int(child) for child, parent in pairs if int(parent) == pid)
