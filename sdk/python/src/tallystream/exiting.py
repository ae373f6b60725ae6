"""The end of a process: what is still to be sent is sent then, for a bounded time."""

from __future__ import annotations

import atexit
import sys
import weakref
from collections.abc import Callable
from typing import Any


def close_at_exit(close: Callable[[], None]) -> Callable[[], None]:
    """Calls a client's method when the process ends, unless the client is gone by then. Returns what calls that off."""
    alive = weakref.WeakMethod(close)

    def close_if_alive() -> None:
        found = alive()
        if found is not None:
            found()

    atexit.register(close_if_alive)
    # A process of `multiprocessing` runs no `atexit`. One that was just forked forgets what is registered now, too.
    processes: Any = sys.modules.get("multiprocessing.util")
    if processes is not None:
        processes.Finalize(None, close_if_alive, exitpriority=10)
        processes.register_after_fork(
            close_if_alive, lambda _: processes.Finalize(None, close_if_alive, exitpriority=10)
        )
    return lambda: atexit.unregister(close_if_alive)
