"""How many records load and archive have not taken yet, over all topics that they read."""

from typing import NamedTuple

from event_analytics.erasure_run import CONSUMERS
from event_analytics.ports import TopicOffsets

_ARCHIVE_PREFIX = "tallystream-archive"


class Lags(NamedTuple):
    """Records between what each has committed and the ends of its topics."""

    load: int
    archive: int


def measure_lag(offsets: TopicOffsets) -> Lags:
    """The lag at this moment; a partition that began anew below its group's offset counts as read.

    Raises:
        LogUnavailable: the brokers did not say.
    """
    ends = {topic: offsets.ends(topic) for topic in dict.fromkeys(topic for _, topic in CONSUMERS)}
    waiting = {group: _lag_of(ends[topic], offsets.reached(group, topic)) for group, topic in CONSUMERS}
    archive = sum(lag for group, lag in waiting.items() if group.startswith(_ARCHIVE_PREFIX))
    return Lags(sum(waiting.values()) - archive, archive)


def _lag_of(ends: dict[int, int], reached: dict[int, int]) -> int:
    return sum(max(0, end - reached.get(partition, 0)) for partition, end in ends.items())
