"""Where one event is looked for: in the hour that its id tells, then in whatever partition the id index knows."""

from typing import Any
from uuid import UUID

import pytest

from event_analytics.questions.event import find_event_row
from tests.builders import UUID7
from tests.unit.questions.asked import PreparedSelect

UUID4 = "7f3d3a52-2f4e-4d8e-9d0a-5b0c3d1e2f4a"
LIVE = {"is_deleted": 0}
DELETED = {"is_deleted": 1}


@pytest.mark.parametrize(
    ("identifier", "answers", "asked"),
    [
        (UUID7, [[LIVE]], ["hour"]),
        (UUID7, [[], [LIVE]], ["hour", "partition"]),  # sent with a timestamp of another hour
        (UUID7, [[DELETED], [LIVE]], ["hour", "partition"]),  # and once more under the key that counts
        (UUID4, [[LIVE]], ["partition"]),
    ],
)
def test_an_id_with_a_time_is_looked_for_there_first(
    identifier: str, answers: list[list[dict[str, Any]]], asked: list[str]
) -> None:
    select = PreparedSelect(*answers)

    row = find_event_row(UUID(identifier), select)

    assert row == LIVE
    assert ["partition" if "_partition_id" in query.sql else "hour" for query in select.queries] == asked
