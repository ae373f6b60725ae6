"""Connections that wait for the next statement with the same database and settings, which need not be set again.

A client asks again and again with one set of settings: opening a connection and setting them is a fifth of the time of
a point read. Only what has read, and has ended well, is kept: nothing of it is left on its connection.
"""

import threading
from typing import Any, Final, NamedTuple

IDLE_MAX: Final = 32  # connections in all: our functions ask with four sets of settings, a few at a time


class Scope(NamedTuple):
    """What is set on a connection: its database, "" for the default one, and its settings."""

    database: str
    settings: frozenset[tuple[str, str]]


class IdleConnections:
    """Owns the connections that are given to it, until they are taken. The longest unused one makes room."""

    def __init__(self) -> None:
        self._kept: list[tuple[Scope, Any]] = []
        self._guard = threading.Lock()

    def take(self, scope: Scope) -> Any | None:
        """The last used one with just that scope; None where there is none."""
        with self._guard:
            for index in reversed(range(len(self._kept))):
                if self._kept[index][0] == scope:
                    return self._kept.pop(index)[1]
        return None

    def give(self, scope: Scope, connection: Any) -> None:
        """Keep it for whoever needs that scope next."""
        with self._guard:
            self._kept.append((scope, connection))
            surplus = self._kept[:-IDLE_MAX]
            del self._kept[: len(surplus)]
        for _, unused in surplus:
            unused.close()

    def close(self) -> None:
        """Close all of them."""
        with self._guard:
            while self._kept:
                self._kept.pop()[1].close()
