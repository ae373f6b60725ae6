"""Notes of changes that may not be in their row yet: the SQL that makes, reads and closes them.

A change that was folded right away is never noted. A mark with is_folded = 1 wins over any number of notes. An id waits
while one of its notes has no mark. Most that wait have no event, and most of those never get one: ClickHouse tells the
few that have a row by now apart, so that the others cost a look at an index and no fold. Nothing is decided by it: an
id that is passed over waits on, until the next pass or until it is given up.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from event_analytics.fold import TOMBSTONE_VERSION_MIN, Statement, index_settings
from event_analytics.id_lists import IDS_SQL, pack_ids

_NOTE: Final = f"""
INSERT INTO pending_changes (id, change_id, is_folded)
SELECT id, change_id, 0 FROM event_changes WHERE id IN {IDS_SQL}
"""  # noqa: S608 - constants of ours
_FORGET_MARKS: Final = f"DELETE FROM pending_changes WHERE id IN {IDS_SQL} AND is_folded = 1"  # noqa: S608


def _waiting(condition: str) -> str:
    """Ids that wait, more than once where several of their changes do. `condition`: on the rows of notes."""
    return f"""
    SELECT id FROM pending_changes WHERE {condition} GROUP BY id, change_id HAVING max(is_folded) = 0
"""  # noqa: S608 - constants of ours


def _with_row(ids: str) -> str:
    """Those of the ids that have a row to fold into: one that is hidden (`conflicts`) takes no change."""
    return f"SELECT id FROM events WHERE id IN ({ids}) AND version < {TOMBSTONE_VERSION_MIN}"  # noqa: S608 - as above


_PAGES: Final = f"""
SELECT max(id) AS last, count() AS ids
FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM ({_waiting("1")}) GROUP BY id)
GROUP BY intDiv(number, {{page_ids:UInt32}})
ORDER BY last
"""  # noqa: S608 - constants of ours
_READY: Final = f"""
SELECT DISTINCT id FROM ({_with_row(_waiting("id > {after:UUID} AND id <= {last:UUID}"))}) ORDER BY id
"""  # noqa: S608 - constants of ours

# Most minutes none is that old, and then nothing else is read.
_OLD: Final = "SELECT id FROM pending_changes WHERE is_folded = 0 AND noted_at < toDateTime({before:UInt32}, 'UTC')"
_EXPIRED_IDS: Final = f"""
SELECT id
FROM
(
    SELECT id, min(noted_at) AS since FROM pending_changes WHERE id IN ({_OLD})
    GROUP BY id, change_id HAVING max(is_folded) = 0 AND since < toDateTime({{before:UInt32}}, 'UTC')
)
WHERE id NOT IN ({_with_row(_OLD)})
GROUP BY id
ORDER BY min(since), id
LIMIT {{limit:UInt32}}
"""  # noqa: S608 - constants of ours


class NotedPage(NamedTuple):
    """Neighbours among the ids that wait, in the store's order: above `after`, up to and with `last`; how many."""

    after: UUID
    last: UUID
    ids: int


def compile_notes(ids: Sequence[UUID]) -> Statement:
    """Notes the changes of the ids as pending. Runs after a fold has looked for their rows, and a check too."""
    return Statement(_NOTE, pack_ids(ids))


def compile_reopening(ids: Sequence[UUID]) -> list[Statement]:
    """Notes all changes of the ids as pending, also those that were folded: into a row that shall not count."""
    return [Statement(sql, pack_ids(ids)) for sql in (_FORGET_MARKS, _NOTE)]


def compile_pages(page_ids: int) -> Statement:
    """The pages into which the ids that wait fall by now, in the store's order: rows {last, ids}."""
    return Statement(_PAGES, {"page_ids": page_ids})


def compile_ready(page: NotedPage) -> Statement:
    """The ids of a page that wait and have a row by now, in order: rows {id}."""
    sql = f"{_READY}{index_settings(page.ids)}"
    return Statement(sql, {"after": str(page.after), "last": str(page.last)})


def compile_expired_ids(before_s: int, limit: int) -> Statement:
    """Ids that have waited since before `before_s` (Unix seconds) and have no row, the oldest first: rows {id}."""
    return Statement(f"{_EXPIRED_IDS}{index_settings(limit)}", {"before": before_s, "limit": limit})
