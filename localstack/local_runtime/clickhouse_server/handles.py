"""Hands out connections to the one engine: one without a past per request, a kept one per session that holds state.

A fresh connection forgets everything, which is what a query of HTTP expects; one that has only read is as good, and has
the settings that it was opened for (`idle_connections`). clickhouse-connect puts a session id on every client and
hardly ever uses it, so a session gets a connection of its own only with its first SET, USE or CREATE TEMPORARY.
Settings and database of the URL hold for one query: on a session's connection they are put back afterwards, or a
leaked `insert_deduplication_token` would silently drop every later insert.
"""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code, EngineError
from local_runtime.clickhouse_server.idle_connections import IdleConnections, Scope

MAX_SESSIONS: Final = 1000  # names only, until a session holds state; the oldest idle one makes room
Connect = Callable[[], Any]


@dataclass
class _Session:
    deadline: float
    connection: Any = None
    in_use: threading.Lock = field(default_factory=threading.Lock)


class Handles:
    """Connections of one engine. Owns those of sessions and closes them when they expire."""

    def __init__(self, connect: Connect, clock: Callable[[], float] = time.monotonic) -> None:
        self._connect = connect
        self._clock = clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._guard = threading.Lock()
        self._idle = IdleConnections()

    @contextmanager
    def lease_for_reading(self, database: str, settings: Mapping[str, str]) -> Iterator[Any]:
        """A connection on which database and settings hold, for a statement that changes neither.

        Raises:
            EngineError: as `query_scope`.
        """
        scope = Scope(database, frozenset(settings.items()))
        connection = self._idle.take(scope)
        is_new = connection is None
        connection = connection or self._connect()
        try:
            if is_new:
                with query_scope(connection, database, settings, must_restore=False):
                    pass  # what it sets stays
            yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.give(scope, connection)

    @contextmanager
    def lease(
        self, session_id: str, timeout_s: int, *, must_exist: bool, changes_session: bool
    ) -> Iterator[tuple[Any, bool]]:
        """A connection for one query, and whether it is a session's own.

        Raises:
            ClickHouseError: 372 when the session must exist and does not, 373 when another query is using it.
        """
        session = self._session(session_id, timeout_s, must_exist=must_exist) if session_id else None
        if session is None or not (session.connection or changes_session):
            connection = self._connect()
            try:
                yield connection, False
            finally:
                connection.close()
            return
        if not session.in_use.acquire(blocking=False):
            raise ClickHouseError(
                Code.SESSION_IS_LOCKED, f"Session {session_id[:100]} is locked by a concurrent client."
            )
        try:
            session.connection = session.connection or self._connect()
            yield session.connection, True
        finally:
            session.deadline = self._clock() + timeout_s
            session.in_use.release()

    def _session(self, session_id: str, timeout_s: int, *, must_exist: bool) -> _Session:
        now = self._clock()
        with self._guard:
            self._forget_idle(now)
            session = self._sessions.get(session_id)
            if session is None:
                if must_exist:
                    raise ClickHouseError(Code.SESSION_NOT_FOUND, f"Session {session_id[:100]} not found")
                session = self._sessions[session_id] = _Session(now + timeout_s)
            session.deadline = now + timeout_s
            self._sessions.move_to_end(session_id)
            return session

    def _forget_idle(self, now: float) -> None:
        expired = [name for name, session in self._sessions.items() if session.deadline < now]
        surplus = list(self._sessions)[: max(0, len(self._sessions) - MAX_SESSIONS + 1)]
        for name in {*expired, *surplus}:
            if self._sessions[name].in_use.acquire(blocking=False):
                _close(self._sessions.pop(name))

    def forget(self, session_id: str) -> None:
        """Drops a session whose state can no longer be trusted; its next query starts an empty one."""
        with self._guard:
            self._sessions.pop(session_id, None)

    def close(self) -> None:
        """Closes the connections of all sessions, and those that are idle."""
        self._idle.close()
        with self._guard:
            while self._sessions:
                _close(self._sessions.popitem()[1])


def _close(session: _Session) -> None:
    if session.connection is not None:
        session.connection.close()


@contextmanager
def query_scope(connection: Any, database: str, settings: Mapping[str, str], *, must_restore: bool) -> Iterator[None]:
    """Sets database and settings for one query, and puts the old ones back on a connection that lives on.

    Raises:
        EngineError: 81 for an unknown database, 115 for an unknown setting.
    """
    with ExitStack() as undo:
        try:
            if database and (must_restore or database != "default"):
                if must_restore:
                    undo.callback(
                        connection.query,
                        _use(_rows(connection, "SELECT currentDatabase() AS name")[0]["name"]),
                    )
                connection.query(_use(database))
            if settings:
                if must_restore:
                    undo.callback(connection.query, _restore(connection, settings))
                connection.query(_set(settings))
        except ClickHouseError:
            raise
        except Exception as error:  # noqa: BLE001 - the engine raises plain RuntimeError and its own class
            raise EngineError(error) from None
        yield


def _set(settings: Mapping[str, str]) -> str:
    # readonly last, or the settings after it are refused
    ordered = sorted(settings.items(), key=lambda setting: setting[0] == "readonly")
    return "SET " + ", ".join(f"{name} = {quote(value)}" for name, value in ordered)


def _restore(connection: Any, settings: Mapping[str, str]) -> str:
    names = ", ".join(quote(name) for name in settings)
    rows = _rows(connection, f"SELECT name, value FROM system.settings WHERE changed AND name IN ({names})")  # noqa: S608
    changed = {row["name"]: row["value"] for row in rows}
    return "SET " + ", ".join(
        f"{name} = {quote(changed[name])}" if name in changed else f"{name} = DEFAULT" for name in settings
    )


def _rows(connection: Any, sql: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in connection.query(sql, "JSONEachRow").bytes().splitlines()]


def _use(database: str) -> str:
    escaped = database.replace("\\", "\\\\").replace("`", "\\`")
    return f"USE `{escaped}`"


def quote(text: str) -> str:
    """A SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
