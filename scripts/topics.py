"""Make the topics as they should be: `python -m scripts.topics --bootstrap HOST:PORT [--partitions 8]`.

Creates what is missing and sets what differs; run again, it changes nothing. A topic that is there keeps its number of
partitions. On AWS `make deploy` does the same through the function `setup`, from within the brokers' network.
Exit code 1 when the brokers do not answer or refuse.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Final

from event_analytics.adapters.kafka_topics import KafkaTopics
from event_analytics.errors import LogUnavailable
from event_analytics.topics import Topic, TopicPlan, topics_of

POLL_SECONDS: Final = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(arguments)
    topics = topics_of(given.partitions, given.retention_hours, given.min_insync_replicas)
    try:
        plan = settle_within(KafkaTopics(given.bootstrap, given.security), topics, given.wait_seconds)
    except LogUnavailable as failure:
        print(f"topics are not settled: {failure}", file=sys.stderr)
        return 1
    print("\n".join(describe_plan(plan)))
    return 0


def settle_within(kafka: KafkaTopics, topics: Sequence[Topic], seconds: float) -> TopicPlan:
    """What was done; brokers that are still starting are asked again until the time is over.

    Raises:
        LogUnavailable: the last answer.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return kafka.settle(topics)
        except LogUnavailable:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)


def describe_plan(plan: TopicPlan) -> list[str]:
    """A line for each topic that was touched, or that is not as asked for."""
    lines = [f"{topic.name}: created with {topic.partitions} partitions" for topic in plan.create]
    lines += [f"{name}: set {', '.join(sorted(config))}" for name, config in plan.alter.items()]
    lines += [f"{name}: keeps its {number} partitions, docs/scaling.md" for name, number in plan.unlike.items()]
    return lines or ["all topics are as they should be"]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.topics", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bootstrap", required=True, help="brokers, host:port[,host:port]")
    parser.add_argument("--security", default="plaintext", choices=["plaintext", "tls", "msk-iam"])
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--retention-hours", type=int, default=168)
    parser.add_argument("--min-insync-replicas", default="", help="left to the brokers where not given")
    parser.add_argument("--wait-seconds", type=float, default=0.0, help="for brokers that are still starting")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
