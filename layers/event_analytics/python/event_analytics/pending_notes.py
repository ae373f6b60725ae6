"""Notes of changes that may not be in their row yet: the SQL that makes, reads and closes them.

A change that was folded right away is never noted. A mark with is_folded = 1 wins over any number of notes.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from event_analytics.fold import Statement
from event_analytics.id_lists import IDS_SQL, pack_ids

_NOTE: Final = f"""
INSERT INTO pending_changes (id, change_id, is_folded)
SELECT id, change_id, 0 FROM event_changes WHERE id IN {IDS_SQL}
"""  # noqa: S608 - constants of ours
_FORGET_MARKS: Final = f"DELETE FROM pending_changes WHERE id IN {IDS_SQL} AND is_folded = 1"  # noqa: S608
_PAGE: Final = """
SELECT id, toUnixTimestamp(min(noted_at)) AS waiting_since
FROM (SELECT id, change_id, min(noted_at) AS noted_at FROM pending_changes WHERE id > {after:UUID}
      GROUP BY id, change_id HAVING max(is_folded) = 0)
GROUP BY id
ORDER BY id
LIMIT {limit:UInt32}
"""


def compile_notes(ids: Sequence[UUID]) -> Statement:
    """Notes the changes of the ids as pending. Runs after a fold has looked for their rows, and a check too."""
    return Statement(_NOTE, pack_ids(ids))


def compile_reopening(ids: Sequence[UUID]) -> list[Statement]:
    """Notes all changes of the ids as pending, also those that were folded: into a row that shall not count."""
    return [Statement(sql, pack_ids(ids)) for sql in (_FORGET_MARKS, _NOTE)]


def compile_page(after: UUID, limit: int) -> Statement:
    """The next ids, in the store's order, that have unfolded changes: rows {id, waiting_since}, Unix seconds."""
    return Statement(_PAGE, {"after": str(after), "limit": limit})
