"""The SQL of erasures: what loading asks, and what is counted and deleted in each table.

Rows are found by the user's id, which travels as a parameter only. What deletes them is a mutation, whose text
ClickHouse keeps: it names hashes and event ids, never a user. A mutation rewrites the parts that hold such rows and is
waited for, so the bytes are gone with the old parts, minutes later; a lightweight delete would leave them to the next
merge.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from event_analytics.erasure import Erasure
from event_analytics.fold import Statement
from event_analytics.id_lists import IDS_SQL, pack_ids
from event_analytics.integrity import CHANGE_VERSION_MARGIN_US

ERASURES_TABLE: Final = "erasures"
ERASED_IDS_TABLE: Final = "erased_ids"

COUNT_ERASURES: Final = "SELECT count() AS number FROM erasures"
SELECT_ERASURES: Final = "SELECT user_hash, max(erased_us) AS erased_us FROM erasures GROUP BY user_hash"
_ERASED_AMONG: Final = f"""
SELECT id, argMax(noted.user_hash, noted.erased_us) AS user_hash, max(noted.erased_us) AS erased_us
FROM erased_ids AS noted
WHERE id IN {IDS_SQL}
GROUP BY id
"""  # noqa: S608 - a constant of ours

_USERS: Final = "{users:Array(String)}, {hashes:Array(String)}, ''"
_ERASED_US: Final = "transform(user_id, {users:Array(String)}, {times:Array(UInt64)}, toUInt64(0))"
_OF_USERS: Final = f"has({{users:Array(String)}}, user_id) AND accepted_us <= {_ERASED_US}"
_HASH: Final = "lower(hex(SHA256(user_id)))"
_ERASED_US_BY_HASH: Final = f"transform({_HASH}, {{hashes:Array(String)}}, {{times:Array(UInt64)}}, toUInt64(0))"
_IDS: Final = "(SELECT id FROM erased_ids WHERE user_hash IN {hashes:Array(String)})"
_OWNERS: Final = "(SELECT DISTINCT id, user_hash FROM erased_ids WHERE user_hash IN {hashes:Array(String)})"
_IN_HOURS: Final = "toUnixTimestamp(hour) IN {hours:Array(UInt32)}"
_CHANGES_LEFT: Final = f"(SELECT id, change_id FROM event_changes WHERE id IN {_IDS} AND version > {{latest:UInt64}})"  # noqa: S608 - as below

_COLLECT_IDS: Final = f"""
INSERT INTO erased_ids (id, user_hash, erased_us)
SELECT DISTINCT id, transform(user_id, {_USERS}), {_ERASED_US} FROM events WHERE {_OF_USERS}
"""  # noqa: S608 - constants of ours

_HOURS: Final = f"""
SELECT toUnixTimestamp(toStartOfHour(timestamp)) AS hour FROM events WHERE {_OF_USERS} GROUP BY hour
UNION DISTINCT
SELECT toUnixTimestamp(hour) FROM user_hours WHERE has({{users:Array(String)}}, user_id)
"""  # noqa: S608 - constants of ours


class ErasedTable(NamedTuple):
    """One table that holds users' rows. `counting` answers rows {user_hash, number}, `condition` says what goes.

    Versions of one row count once, as merges leave one of them at any time.
    `is_derived`: a rollup, made anew where the events change. So it is looked at only when others went, and once they
    are gone it loses all rows of their hours, whoever they are about: nobody else's are lost that are not made again.
    """

    name: str
    counting: str
    condition: str
    is_derived: bool = False


def _counted_by_id(table: str, key: str, condition: str) -> str:
    return f"""
SELECT owners.user_hash AS user_hash, uniqExact({key}) AS number
FROM {table} AS stored INNER JOIN {_OWNERS} AS owners ON stored.id = owners.id
WHERE {condition}
GROUP BY user_hash
"""  # noqa: S608 - constants of ours


# Rows of one id under another user, and those of ids that were sent again after the erasure, go as well where a table
# does not know the user. The archive has their records, and what is kept of an erased id is sent again from there.
TABLES: Final = (
    ErasedTable(
        "events",
        f"SELECT transform(user_id, {_USERS}) AS user_hash, uniqExact(id) AS number FROM events"  # noqa: S608 - as above
        f" WHERE {_OF_USERS} GROUP BY user_hash",
        f"id IN {_IDS} AND accepted_us <= {_ERASED_US_BY_HASH}",
    ),
    ErasedTable(
        "event_embeddings",
        _counted_by_id("event_embeddings", "stored.id", "stored.accepted_us <= {latest:UInt64}"),
        f"id IN {_IDS} AND accepted_us <= {{latest:UInt64}}",
    ),
    ErasedTable(
        "event_changes",
        _counted_by_id("event_changes", "stored.id, stored.change_id", "stored.version <= {latest:UInt64}"),
        f"id IN {_IDS} AND version <= {{latest:UInt64}}",
    ),
    ErasedTable(
        "pending_changes",
        _counted_by_id(
            "pending_changes", "stored.id, stored.change_id", f"(stored.id, stored.change_id) NOT IN {_CHANGES_LEFT}"
        ),
        f"id IN {_IDS}",  # also of changes that stay: they were folded into a row that goes, and are noted again
    ),
    ErasedTable(
        "user_hours",
        f"SELECT transform(user_id, {_USERS}) AS user_hash, uniqExact(hour) AS number FROM user_hours"  # noqa: S608 - as above
        " WHERE has({users:Array(String)}, user_id) GROUP BY user_hash",
        _IN_HOURS,
        is_derived=True,
    ),
    ErasedTable(  # a conversation may be named after who had it
        "conversation_hours",
        f"""
SELECT user_hash, uniqExact(hour) AS number
FROM conversation_hours INNER JOIN
(
    SELECT DISTINCT toStartOfHour(timestamp) AS hour, conversation_id, transform(user_id, {_USERS}) AS user_hash
    FROM events WHERE {_OF_USERS} AND conversation_id != ''
) AS had USING (hour, conversation_id)
GROUP BY user_hash
""",  # noqa: S608 - as above
        _IN_HOURS,
        is_derived=True,
    ),
)

_DELETE: Final = "ALTER TABLE {table.name} DELETE WHERE {table.condition} SETTINGS mutations_sync = 0"
_NOTE_PENDING: Final = f"""
INSERT INTO pending_changes (id, change_id, is_folded)
SELECT id, change_id, 0 FROM event_changes WHERE id IN {_IDS}
"""  # noqa: S608 - constants of ours

_SURVIVORS: Final = f"SELECT DISTINCT id FROM events WHERE id IN {_IDS}"  # noqa: S608 - as above

_MASKED: Final = """
SELECT DISTINCT table FROM system.parts
WHERE database = currentDatabase() AND active AND has_lightweight_delete AND table IN {tables:Array(String)}
"""
_UNFINISHED: Final = """
SELECT count() AS number FROM system.mutations
WHERE database = currentDatabase() AND NOT is_done AND table IN {tables:Array(String)}
"""
_IDS_PAGE: Final = """
SELECT id, groupUniqArray(user_hash) AS hashes FROM erased_ids
WHERE user_hash IN {hashes:Array(String)} AND id > {after:UUID}
GROUP BY id
ORDER BY id
LIMIT {limit:UInt32}
"""


class ErasedUser(NamedTuple):
    """A user while an erasure runs: the only place where the id itself is used."""

    user_id: str
    erasure: Erasure


def compile_erased_among(ids: Sequence[UUID]) -> Statement:
    """Which of up to IDS_MAX ids were erased: rows {id, user_hash, erased_us}."""
    return Statement(_ERASED_AMONG, pack_ids(ids))


def compile_collection(users: Sequence[ErasedUser]) -> Statement:
    """Notes the ids of the users' events as erased."""
    return Statement(_COLLECT_IDS, _parameters(users))


def compile_hours(users: Sequence[ErasedUser]) -> Statement:
    """Hours (Unix seconds) that the users' rows lie in: rows {hour}."""
    return Statement(_HOURS, _parameters(users))


def compile_count(table: ErasedTable, users: Sequence[ErasedUser]) -> Statement:
    """How much of each user there is: rows {user_hash, number}."""
    return Statement(table.counting, _parameters(users, table.name))


def compile_deletion(table: ErasedTable, users: Sequence[ErasedUser]) -> Statement:
    """Begins to delete the rows that the count counts; `compile_unfinished` tells when they are gone."""
    parameters = _parameters(users, table.name)
    del parameters["users"]
    return Statement(_DELETE.format(table=table), parameters)


def compile_hours_deletion(table: ErasedTable, hours: Sequence[int]) -> Statement:
    """The same for a derived table: all rows of some hours, Unix seconds."""
    return Statement(_DELETE.format(table=table), {"hours": hours})


def compile_masked() -> Statement:
    """Tables with rows that were deleted before and are still there, masked: rows {table}."""
    return Statement(_MASKED, {"tables": [table.name for table in TABLES]})


def compile_unmasking(table: str) -> Statement:
    """Begins to take rows away that a lightweight delete has only masked."""
    return Statement(f"ALTER TABLE {table} APPLY DELETED MASK SETTINGS mutations_sync = 0", {})


def compile_unfinished() -> Statement:
    """How many deletions are still under way: one row {number}."""
    return Statement(_UNFINISHED, {"tables": [table.name for table in TABLES]})


def compile_pending_notes(users: Sequence[ErasedUser]) -> Statement:
    """Notes the changes that are left of erased ids as not folded: the row that they were in is gone."""
    return Statement(_NOTE_PENDING, {"hashes": [user.erasure.user_hash for user in users]})


def compile_survivors(users: Sequence[ErasedUser]) -> Statement:
    """Erased ids that still have rows, of other users or accepted later: rows {id}."""
    return Statement(_SURVIVORS, {"hashes": [user.erasure.user_hash for user in users]})


def compile_ids_page(hashes: Sequence[str], after: UUID, limit: int) -> Statement:
    """The next erased ids of users, in the store's order: rows {id, hashes}."""
    return Statement(_IDS_PAGE, {"hashes": list(hashes), "after": str(after), "limit": limit})


def _parameters(users: Sequence[ErasedUser], table: str = "events") -> dict[str, Any]:
    latest = max((user.erasure.erased_us for user in users), default=0)
    is_about_changes = table in ("event_changes", "pending_changes")
    return {
        "users": [user.user_id for user in users],
        "hashes": [user.erasure.user_hash for user in users],
        "times": [user.erasure.erased_us for user in users],
        "latest": latest + CHANGE_VERSION_MARGIN_US if is_about_changes else latest,
    }
