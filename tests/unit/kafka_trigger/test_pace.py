"""How often a mapping fetches: the trickle is gathered, a backlog is not held up."""

import pytest

from local_runtime.kafka_trigger.pace import FULL_FETCH_BYTES, PAUSE_SECONDS_MAX, Pace
from local_runtime.kafka_trigger.positions import Fetched
from local_runtime.kafka_trigger.record_batch import RawBatch

NOW = 100.0


def a_fetch(size: int) -> list[Fetched]:
    batch = RawBatch(first_offset=0, last_offset=0, payload=b"x" * size, base_offset=0)
    return [Fetched(0, 0, [batch])]


def test_the_first_fetch_is_due_at_once() -> None:
    assert Pace(1_000).seconds_until_due(NOW) == 0


@pytest.mark.parametrize(("window_ms", "seconds"), [(0, 0), (500, 0.05), (1_000, 0.1), (30_000, PAUSE_SECONDS_MAX)])
def test_a_trickle_is_gathered_for_a_part_of_the_window(window_ms: int, seconds: float) -> None:
    pace = Pace(window_ms)

    pace.note(a_fetch(1), NOW)

    assert pace.seconds_until_due(NOW) == pytest.approx(seconds)
    assert pace.seconds_until_due(NOW + seconds) == 0


def test_a_mapping_that_is_behind_asks_at_once() -> None:
    pace = Pace(30_000)

    pace.note(a_fetch(FULL_FETCH_BYTES), NOW)

    assert pace.seconds_until_due(NOW) == 0


def test_a_fetch_that_brought_nothing_has_waited_already() -> None:
    pace = Pace(30_000)

    pace.note([], NOW)

    assert pace.seconds_until_due(NOW) == 0
