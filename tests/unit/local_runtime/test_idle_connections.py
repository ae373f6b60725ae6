"""Connections to the embedded ClickHouse that are kept for the next statement with the same settings."""

from local_runtime.clickhouse_server.idle_connections import IDLE_MAX, IdleConnections, Scope


class Connection:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def scope(**settings: str) -> Scope:
    return Scope("", frozenset(settings.items()))


def test_a_connection_is_taken_once_and_by_its_own_scope_only() -> None:
    idle, connection = IdleConnections(), Connection()
    idle.give(scope(max_threads="1"), connection)

    assert idle.take(scope(max_threads="2")) is None
    assert idle.take(Scope("other", scope(max_threads="1").settings)) is None
    assert idle.take(scope(max_threads="1")) is connection
    assert idle.take(scope(max_threads="1")) is None


def test_the_longest_unused_ones_are_closed_where_there_are_too_many() -> None:
    idle, connections = IdleConnections(), [Connection() for _ in range(IDLE_MAX + 2)]
    for number, connection in enumerate(connections):
        idle.give(scope(max_threads=str(number)), connection)

    assert [each.is_closed for each in connections] == [True] * 2 + [False] * IDLE_MAX

    idle.close()

    assert all(each.is_closed for each in connections)
