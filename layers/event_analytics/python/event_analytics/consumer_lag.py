"""How many records load and archive have not taken yet, over all topics that they read."""

from typing import Final

from event_analytics.erasure_run import CONSUMERS
from event_analytics.kept_lag import Lags
from event_analytics.ports import TopicOffsets

_ARCHIVE_PREFIX: Final = "tallystream-archive"


def measure_lag(offsets: TopicOffsets) -> Lags:
    """The lag at this moment; a partition that began anew below its group's offset counts as read.

    Raises:
        LogUnavailable: the brokers did not say.
    """
    ends = {topic: offsets.ends(topic) for topic in dict.fromkeys(topic for _, topic in CONSUMERS)}
    load = archive = load_taken = 0
    for group, topic in CONSUMERS:
        reached = offsets.reached(group, topic)
        lag = _lag_of(ends[topic], reached)
        if group.startswith(_ARCHIVE_PREFIX):
            archive += lag
        else:
            load += lag
            load_taken += sum(reached.values())
    return Lags(load, archive, load_taken)


def _lag_of(ends: dict[int, int], reached: dict[int, int]) -> int:
    return sum(max(0, end - reached.get(partition, 0)) for partition, end in ends.items())
