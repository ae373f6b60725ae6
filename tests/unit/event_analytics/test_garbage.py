"""A batch of `load` is not walked through while it is in hand."""

import gc
from collections.abc import Iterator

import pytest

from event_analytics.garbage import collect_rarely

OBJECTS_OF_A_BATCH = 40_000


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.usefixtures("collector")
def test_objects_that_live_to_the_end_of_a_batch_start_no_collection() -> None:
    collect_rarely()
    before = sum(generation["collections"] for generation in gc.get_stats())

    batch = [[number] for number in range(OBJECTS_OF_A_BATCH)]

    assert sum(generation["collections"] for generation in gc.get_stats()) <= before + 1
    assert gc.get_freeze_count() > 0
    assert len(batch) == OBJECTS_OF_A_BATCH
