"""Whether the topics hold the records of each key in the order in which they were sent. Pure.

What the broker acknowledged before the next record of its key was sent lies before that one. A spooled record may come
later, and of one without an answer nobody knows: nothing has to lie behind these.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC
from scripts.chaos.history import ACCEPTED, Sent
from scripts.chaos.workload import CREATE, Operation


class Sender(NamedTuple):
    """One lane, which sends one request after the other, and one ordering key of a topic."""

    lane: int
    topic: str
    key: str


class InTopic(NamedTuple):
    """A record as a consumer sees it. `change_id` "" and `version` 0 for a create."""

    partition: int
    offset: int
    id: str
    change_id: str
    version: int


class Order(NamedTuple):
    """`looked_at`: how many neighbours of one key; `faults`: a line for each record before one it has to follow."""

    looked_at: int
    faults: list[str]


def ordering_key(operation: Operation) -> tuple[str, str]:
    """Topic and key that an operation's record has to have."""
    if operation.kind == CREATE:
        return EVENTS_TOPIC, str(operation.fields["user_id"])
    return EVENT_CHANGES_TOPIC, operation.id


def judge_order(sequences: Mapping[Sender, Sequence[Sent]], topics: Mapping[str, Sequence[InTopic]]) -> Order:
    """Hold the topics against what was sent."""
    creates = _first_places(topics[EVENTS_TOPIC])
    changes: dict[str, list[InTopic]] = {}
    for record in topics[EVENT_CHANGES_TOPIC]:
        changes.setdefault(record.id, []).append(record)
    orders: list[Order] = []
    for sender, sent in sequences.items():
        if sender.topic == EVENTS_TOPIC:
            orders.append(_judge_creates(sender, sent, creates))
        elif all(each.status == ACCEPTED for each in sent):
            orders.append(_judge_changes(sender, changes.get(sender.key, [])))
    return Order(sum(order.looked_at for order in orders), [fault for order in orders for fault in order.faults])


def _judge_creates(sender: Sender, sent: Sequence[Sent], places: Mapping[str, InTopic]) -> Order:
    """A create that was sent again counts where it came first."""
    looked_at, faults = 0, []
    last: InTopic | None = None  # of those acknowledged so far
    seen: set[str] = set()
    for each in sent:
        place = places.get(each.operation.id)
        if place is None:
            continue
        if last is not None and each.operation.id not in seen:
            looked_at += 1
            if place.partition != last.partition or place.offset < last.offset:
                faults.append(f"{sender}: {place} does not lie behind {last}, which was acknowledged before")
        seen.add(each.operation.id)
        if each.status == ACCEPTED and (last is None or place.offset > last.offset):
            last = place
    return Order(looked_at, faults)


def _judge_changes(sender: Sender, records: Sequence[InTopic]) -> Order:
    """Changes of one id by one lane get versions that grow as they are sent."""
    firsts: dict[str, InTopic] = {}
    for record in records:
        firsts.setdefault(record.change_id, record)
    changes = list(firsts.values())
    pairs = list(pairwise(changes))
    faults = [f"{sender}: {late} lies behind {one}" for one, late in pairs if late.version < one.version]
    return Order(len(pairs), faults)


def _first_places(records: Iterable[InTopic]) -> dict[str, InTopic]:
    places: dict[str, InTopic] = {}
    for record in records:
        places.setdefault(record.id, record)
    return places
