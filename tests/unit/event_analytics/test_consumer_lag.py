"""How many records the consumers have not taken."""

import pytest

from event_analytics.consumer_lag import measure_lag
from event_analytics.errors import LogUnavailable
from event_analytics.kept_lag import Lags
from tests.fakes import FakeTopicOffsets


def test_lag_is_what_lies_between_the_groups_and_the_ends_of_their_topics() -> None:
    offsets = FakeTopicOffsets()
    offsets.end_of = {"events": 100, "event-changes": 10, "events-replay": 7}
    offsets.reached_by = {
        ("tallystream-load", "events"): 60,
        ("tallystream-load-changes", "event-changes"): 10,
        ("tallystream-load-replay", "events-replay"): 9,  # the topic began anew
        ("tallystream-archive", "events"): 100,
        ("tallystream-archive-changes", "event-changes"): 4,
    }

    assert measure_lag(offsets) == Lags(load=40, archive=6, load_taken=60 + 10 + 9)


def test_nothing_is_known_while_the_brokers_are_away() -> None:
    offsets = FakeTopicOffsets()
    offsets.is_down = True

    with pytest.raises(LogUnavailable):
        measure_lag(offsets)
