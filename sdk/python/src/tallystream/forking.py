"""Forks: a child has the parent's objects and none of its threads, so each client starts anew there.

What the parent had queued stays the parent's to send. What a thread of ours has locked at the moment of a fork would
stay locked in the child for ever, so a fork waits at the gate for what cannot be interrupted.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Final

GATE: Final = threading.RLock()
"""Held by our threads while they import modules or are inside SQLite, and by a fork."""


def leave_alone(objects: object) -> None:
    """Keeps objects from ever being freed in this process.

    A child that freed a SQLite connection of its parent would close it: SQLite would then delete the parent's log.
    """
    try:
        import ctypes  # noqa: PLC0415 - only after a fork
    except ImportError:  # pragma: no cover - a Python built without it
        return
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(objects))


_remembered: weakref.WeakSet[Any] = weakref.WeakSet()


def remember(client: Any) -> None:
    """Calls the client's `_start_anew` in every child that this process forks, before any code of the application."""
    _remembered.add(client)


def _start_all_anew() -> None:
    GATE.release()
    for client in list(_remembered):
        client._start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=GATE.acquire, after_in_parent=GATE.release, after_in_child=_start_all_anew)
