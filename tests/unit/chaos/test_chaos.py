"""The chaos run's own logic: what it sends, what it allows, what it notices. A blind judge would prove nothing."""

import json
from collections import Counter
from typing import Any

import pytest

from scripts.chaos.history import ACCEPTED, SPOOLED, UNKNOWN, History, Sent, final_state
from scripts.chaos.order import InTopic, Sender, judge_order, ordering_key
from scripts.chaos.reading import Answers, Archived
from scripts.chaos.sending import encode, statuses_of
from scripts.chaos.verdict import Verdict, judge
from scripts.chaos.workload import CREATE, DELETE, UPDATE, Operation, Request, Workload
from scripts.http_calls import Answer

EVENT = {
    "id": "1", "user_id": "u", "conversation_id": "c", "event_name": "e", "timestamp": "2005-01-01T00:00:00.000Z",
    "input": "in", "properties": {"a": 1, "b": {"c": 2, "n": None}},
}  # fmt: skip
CREATED = Operation(CREATE, "1", EVENT)
DELETED = Operation(DELETE, "1", {})


def updated(**fields: Any) -> Operation:
    return Operation(UPDATE, "1", fields)


def history_of(*sent: tuple[Operation, bool]) -> History:
    history = History()
    for operation, is_certain in sent:
        history.add(Sent(operation, ACCEPTED if is_certain else UNKNOWN))
    return history


def judged(history: History, state: Any, **changes: Any) -> Verdict:
    """The verdict over one id, whose answers all agree unless told otherwise."""
    given: dict[str, Any] = {
        "states": {"1": state},
        "deleted": set(),
        "listed": {"c": ["1"] if state else []},
        "users": {"u": 1} if state else {},
        **changes,
    }
    archived = given.pop("archived", None) or Archived({"1"}, Counter({"1": 9}), [])
    return judge({"1": history}, Answers(**given), archived)


def faults(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.lost, verdict.duplicated, verdict.wrong


def test_a_seed_sends_the_same_again_and_as_much_as_it_was_asked_for() -> None:
    first, second, other = ([*Workload(seed, 0, 2_000).requests()] for seed in (3, 3, 4))

    assert first == second != other
    operations = [operation for request in first for operation in request.operations]
    assert 2_000 <= len(operations) < 2_200  # creates that come after their changes are sent on top
    assert {operation.kind for operation in operations} == {CREATE, UPDATE, DELETE}
    assert {request.path for request in first} == {"", "/events", "/batch"}


def test_every_change_that_goes_ahead_is_followed_by_its_event_and_some_are_sent_twice() -> None:
    operations = [each for request in Workload(5, 1, 2_000).requests() for each in request.operations]
    creates = {operation.id: number for number, operation in reversed([*enumerate(operations)])
               if operation.kind == CREATE}  # fmt: skip
    ahead = [each for number, each in enumerate(operations) if each.kind == UPDATE and number < creates[each.id]]

    assert len(ahead) > 50
    assert {operation.id for operation in operations} == creates.keys()
    assert len({json.dumps([each.kind, each.id, each.fields]) for each in operations}) < len(operations) - 50


def test_the_model_patches_clears_and_deletes() -> None:
    state = final_state([updated(error="early"), CREATED, updated(error=None, properties={"a": None, "b": {"d": 3}})])

    assert state is not None
    assert (state["error"], state["input"], state["properties"]) == (None, "in", {"b": {"c": 2, "d": 3}})
    assert final_state([CREATED]) == {
        **{name: value for name, value in EVENT.items() if name != "id"}, "error": None, "latency_ms": None,
        "output": None,
    }  # fmt: skip
    assert final_state([CREATED, DELETED, updated(error="x")]) is None
    assert final_state([updated(error="x")]) is None


def test_an_unknown_operation_may_have_landed_or_not_and_its_retry_settles_it() -> None:
    unknown = history_of((CREATED, True), (updated(error="x"), False))
    settled = history_of((CREATED, True), (updated(error="x"), False), (updated(error="x"), True))

    assert {(state or {})["error"] for state in unknown.allowed()} == {None, "x"}
    assert [(state or {})["error"] for state in settled.allowed()] == ["x"]
    assert len(history_of((CREATED, True), *[(updated(error=str(n)), False) for n in range(30)]).allowed()) > 1


def test_a_clean_end_is_clean() -> None:
    history = history_of((CREATED, True), (updated(error="x"), True))
    verdict = judged(history, history.allowed()[0])

    assert (faults(verdict), verdict.details) == ((0, 0, 0), [])
    assert verdict.is_clean
    assert judged(history_of((CREATED, True), (DELETED, True)), None, deleted={"1"}).is_clean
    assert judged(history_of((CREATED, False)), None, archived=Archived()).is_clean


@pytest.mark.parametrize(
    ("sent", "is_there", "changes", "expected"),
    [
        ([CREATED], False, {}, (1, 0, 0)),
        ([CREATED, updated(error="x")], True, {}, (0, 0, 1)),
        ([CREATED, DELETED], True, {}, (1, 0, 0)),
        ([CREATED], False, {"deleted": {"1"}}, (1, 0, 1)),
        ([CREATED], True, {"listed": {"c": ["1", "1"]}}, (0, 1, 0)),
        ([CREATED], True, {"listed": {"c": []}}, (1, 0, 0)),
        ([CREATED], True, {"users": {"u": 3}}, (0, 2, 0)),
        ([CREATED], True, {"users": {}}, (1, 0, 0)),
        ([CREATED], True, {"archived": Archived(set(), Counter(), [("events", 0, 7)])}, (2, 0, 0)),
    ],
    ids=["a lost event", "a lost update", "a lost delete", "a delete nobody sent", "listed twice", "not listed",
         "counted twice", "not counted", "not archived"],
)  # fmt: skip
def test_every_kind_of_fault_is_noticed(
    sent: list[Operation], is_there: bool, changes: Any, expected: tuple[int, int, int]
) -> None:
    history = history_of(*[(operation, True) for operation in sent])

    assert faults(judged(history, final_state([CREATED]) if is_there else None, **changes)) == expected


def test_a_change_that_is_not_archived_is_lost() -> None:
    history = history_of((CREATED, True), (updated(error="x"), True))

    assert faults(judged(history, history.allowed()[0], archived=Archived({"1"}, Counter(), []))) == (1, 0, 0)


def judged_order(sent: list[Sent], topic: list[InTopic]) -> tuple[int, int]:
    """How many neighbours were looked at and how many were at fault, of one lane that sent all this."""
    sequences: dict[Sender, list[Sent]] = {}
    for each in sent:
        sequences.setdefault(Sender(0, *ordering_key(each.operation)), []).append(each)
    topics = {name: [each for each in topic if bool(each.change_id) == (name != "events")]
              for name in ("events", "event-changes")}  # fmt: skip
    order = judge_order(sequences, topics)
    return order.looked_at, len(order.faults)


def created(*statuses: str) -> list[Sent]:
    """Creates "0", "1", ... of one user, in this order."""
    return [Sent(Operation(CREATE, str(n), {**EVENT, "id": str(n)}), each) for n, each in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "offsets", "expected"),
    [
        ((ACCEPTED, ACCEPTED, ACCEPTED), (3, 4, 9), (2, 0)),
        ((ACCEPTED, ACCEPTED, ACCEPTED), (4, 3, 9), (2, 1)),
        ((ACCEPTED, ACCEPTED, ACCEPTED), (4, 9, 3), (2, 1)),
        ((SPOOLED, ACCEPTED, ACCEPTED), (9, 3, 4), (1, 0)),
        ((ACCEPTED, SPOOLED, ACCEPTED), (3, 9, 4), (2, 0)),
        ((ACCEPTED, SPOOLED, ACCEPTED), (9, 3, 4), (2, 2)),
        ((UNKNOWN, ACCEPTED, ACCEPTED), (9, 3, 4), (1, 0)),
    ],
    ids=["in order", "first two", "last two", "spooled first", "spooled later", "before the spooled", "unknown"],
)
def test_a_create_lies_behind_what_the_broker_acknowledged_before_it(
    statuses: tuple[str, ...], offsets: tuple[int, ...], expected: Any
) -> None:
    topic = sorted(InTopic(2, offset, str(n), "", 0) for n, offset in enumerate(offsets))

    assert judged_order(created(*statuses), topic) == expected


def test_a_create_that_was_sent_again_counts_where_it_came_first() -> None:
    first, second, third = created(ACCEPTED, ACCEPTED, ACCEPTED)
    topic = [InTopic(2, offset, each, "", 0) for offset, each in enumerate("0102")]

    assert judged_order([first, second, first, third], topic) == (2, 0)
    assert judged_order([first, second], [InTopic(2, 0, "0", "", 0), InTopic(3, 1, "1", "", 0)]) == (1, 1)


def test_changes_of_one_id_lie_in_the_order_of_their_versions() -> None:
    sent = [Sent(updated(error=text), ACCEPTED) for text in "abc"]
    first, second, third = (InTopic(0, n, "1", f"change {n}", 10 + n) for n in range(3))

    assert judged_order(sent, [first, second, first, third]) == (2, 0)
    assert judged_order(sent, [second, first, third]) == (2, 1)
    assert judged_order([*sent[:2], Sent(DELETED, UNKNOWN)], [second, first, third]) == (0, 0)


def test_a_request_becomes_the_call_that_the_api_knows() -> None:
    update = updated(error="x")

    assert encode(Request((CREATED,), ""))[:2] == ("POST", "/event")
    assert encode(Request((update,), "")) == ("PUT", "/event/1", b'{"error": "x"}')
    assert encode(Request((DELETED,), "")) == ("DELETE", "/event/1", b"")
    batch = json.loads(encode(Request((CREATED, update, DELETED), "/batch"))[2])["operations"]
    assert batch == [{"op": "create", **EVENT}, {"op": "update", "id": "1", "error": "x"}, {"op": "delete", "id": "1"}]


@pytest.mark.parametrize(
    ("status", "items", "expected"),
    [
        (202, ["accepted", "spooled"], ["accepted", "spooled"]),
        (202, ["accepted", "retry"], ["accepted", "unknown"]),
        (503, ["retry", "retry"], ["unknown", "unknown"]),
        (202, ["rejected", "accepted"], ["rejected", "accepted"]),
        (502, None, ["unknown", "unknown"]),
        (400, None, ["rejected", "rejected"]),
    ],
)
def test_only_an_acknowledgement_counts_as_one(status: int, items: list[str] | None, expected: list[str]) -> None:
    body = json.dumps({"items": [{"status": each} for each in items]} if items else {}).encode()

    assert statuses_of(Answer(status, body, 0.0), 2) == expected
    assert statuses_of(None, 2) == ["unknown", "unknown"]
