"""The chaos run's own logic: what it sends, what it allows, what it notices. A blind judge would prove nothing."""

import json
from collections import Counter
from typing import Any

import pytest

from scripts.chaos.history import History, final_state
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
        history.add(operation, is_certain=is_certain)
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
