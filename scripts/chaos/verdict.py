"""The answers against what was acknowledged. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from scripts.chaos.history import History, State
from scripts.chaos.reading import Answers, Archived
from scripts.chaos.workload import CREATE, DELETE, UPDATE

DETAILS_MAX: Final = 20  # enough to see a pattern


@dataclass
class Verdict:
    """`lost`: acknowledged and not there; `duplicated`: there more than once; `wrong`: there, but not as it has to be.

    `details` names the first of each.
    """

    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    details: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.duplicated or self.wrong)

    def add(self, fault: str, detail: str, count: int = 1) -> None:
        """`fault`: lost, duplicated or wrong."""
        setattr(self, fault, getattr(self, fault) + count)
        if len(self.details) < DETAILS_MAX:
            self.details.append(f"{fault}: {detail}")


def judge(histories: Mapping[str, History], answers: Answers, archived: Archived) -> Verdict:
    """Hold everything that was read against every history."""
    verdict = Verdict()
    for identifier, history in histories.items():
        _judge_state(verdict, identifier, history, answers)
        _judge_archive(verdict, identifier, history, archived)
    _judge_lists(verdict, answers)
    _judge_users(verdict, answers)
    for topic, partition, offset in archived.missing:
        verdict.add("lost", f"{topic} partition {partition} offset {offset} is not archived")
    return verdict


def _judge_state(verdict: Verdict, identifier: str, history: History, answers: Answers) -> None:
    state, allowed = answers.states[identifier], history.allowed()
    is_deleted = identifier in answers.deleted
    if is_deleted and not any(sent.operation.kind == DELETE for sent in history.sent):
        verdict.add("wrong", f"{identifier} is told to be deleted and never was")
    if state in allowed:
        return
    if state is None:
        verdict.add("lost", f"{identifier} is {'deleted' if is_deleted else 'not there'}: {_tell(history)}")
    elif allowed == [None]:
        verdict.add("lost", f"the delete of {identifier}: {_tell(history)}")
    else:
        verdict.add("wrong", f"{identifier} is {state}, allowed {allowed}: {_tell(history)}")


def _judge_archive(verdict: Verdict, identifier: str, history: History, archived: Archived) -> None:
    if history.count_certain(CREATE) and identifier not in archived.creates:
        verdict.add("lost", f"the create of {identifier} is not archived: {_tell(history)}")
    missing = history.count_certain(UPDATE, DELETE) - archived.changes[identifier]
    if missing > 0:
        verdict.add("lost", f"{missing} changes of {identifier} are not archived: {_tell(history)}", missing)


def _judge_lists(verdict: Verdict, answers: Answers) -> None:
    """Each living event stands in its conversation once, by (timestamp, id)."""
    expected: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for identifier, state in answers.states.items():
        if state is not None:
            expected[state["conversation_id"]].append((state["timestamp"], identifier))
    for conversation, listed in answers.listed.items():
        wanted = [identifier for _, identifier in sorted(expected[conversation])]
        if listed == wanted:
            continue
        for identifier, times in (Counter(listed) - Counter(wanted)).items():
            verdict.add("duplicated", f"{identifier} is {times} times too often in {conversation}", times)
        for identifier, times in (Counter(wanted) - Counter(listed)).items():
            verdict.add("lost", f"{identifier} is not in {conversation}", times)
        if sorted(listed) == sorted(wanted):
            verdict.add("wrong", f"{conversation} is out of order")


def _judge_users(verdict: Verdict, answers: Answers) -> None:
    living: list[State] = list(answers.states.values())
    wanted = Counter(state["user_id"] for state in living if state is not None)
    for user in sorted(wanted.keys() | answers.users.keys()):
        difference = answers.users.get(user, 0) - wanted[user]
        if difference:
            fault = "duplicated" if difference > 0 else "lost"
            verdict.add(fault, f"{user} has {difference:+} events in the report", abs(difference))


def _tell(history: History) -> str:
    return ", ".join(
        f"{sent.operation.kind} {sent.operation.fields if sent.operation.kind == UPDATE else ''} ({sent.note})"
        for sent in history.sent
    )
