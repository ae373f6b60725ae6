"""Where a call leaves its event: a bounded queue in memory. `put` is all that a caller's thread ever does."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tallystream.limits import Limits, Overflow


class Taken(NamedTuple):
    """Lines in their order. `position`: how many events had been put when the last of them was."""

    lines: list[bytes]
    position: int


class MemoryQueue:
    """Lines in the order of their calls, bounded by count and bytes. For any number of threads.

    `rouse` is called when there is something to do: at the first line, and when a whole batch has come together.
    It runs in the caller's thread, a few times a second at most.
    """

    def __init__(self, limits: Limits, overflow: Overflow, rouse: Callable[[], None]) -> None:
        self._limits = limits
        self._overflow = overflow
        self._rouse = rouse
        self._lines: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._is_closed = False
        self.bytes = 0
        self.position = 0
        """How many events were ever put."""
        self.dropped = 0
        """How many were given up for want of room, or because the queue was closed."""
        self.oldest_at = 0.0
        """When the oldest line came, by the monotonic clock."""

    def __len__(self) -> int:
        return len(self._lines)

    def put(self, line: bytes) -> bool:
        """Whether the line was taken. Waits only under the policy `block`."""
        size = len(line)
        with self._lock:
            if (self._is_closed or not self._fits(size)) and not self._make_room(size):
                self.dropped += 1
                return False
            self._lines.append(line)
            self.bytes += size
            self.position += 1
            waiting = len(self._lines)
            if waiting == 1:
                self.oldest_at = time.monotonic()
            is_batch = waiting == self._limits.batch_events or 0 <= self.bytes - self._limits.batch_bytes < size
        if waiting == 1 or is_batch:
            self._rouse()
        return True

    def take(self, events_max: int, bytes_max: int) -> Taken | None:
        """The oldest lines, at least one, within the bounds; None if there is none."""
        with self._lock:
            if len(self._lines) <= events_max and self.bytes + len(self._lines) <= bytes_max:
                lines, self._lines, self.bytes = (
                    self._lines,
                    deque(),
                    0,
                )  # at once: a caller may be waiting for the lock
            else:
                lines = self._take_some(events_max, bytes_max)
            position = self.position - len(self._lines)
            self.oldest_at = time.monotonic()
            if self._overflow == "block":
                self._room.notify_all()
        return Taken(list(lines), position) if lines else None

    def clear(self) -> int:
        """Gives up what is in it; how many lines."""
        with self._lock:
            count = len(self._lines)
            self._lines.clear()
            self.bytes = 0
            return count

    def close(self) -> None:
        """Takes nothing more; whoever waits for room is let go."""
        with self._lock:
            self._is_closed = True
            self._room.notify_all()

    def _take_some(self, events_max: int, bytes_max: int) -> deque[bytes]:
        lines: deque[bytes] = deque()
        size = 0
        while self._lines and len(lines) < events_max and (not lines or size + len(self._lines[0]) <= bytes_max):
            line = self._lines.popleft()
            lines.append(line)
            size += len(line) + 1
            self.bytes -= len(line)
        return lines

    def _make_room(self, size: int) -> bool:
        if self._overflow == "drop_oldest":
            while self._lines and not self._fits(size):
                self.bytes -= len(self._lines.popleft())
                self.dropped += 1
        elif self._overflow == "block":
            self._rouse()
            self._room.wait_for(lambda: self._is_closed or self._fits(size))
        return self._fits(size) and not self._is_closed

    def _fits(self, size: int) -> bool:
        return len(self._lines) < self._limits.queue_events and self.bytes + size <= self._limits.queue_bytes
