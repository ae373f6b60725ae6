"""Operators' calls -> answers, with fakes."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from event_analytics.dead_letters import DeadLetterWriter, DeadRecord, parse_letter_name
from event_analytics.errors import Refused
from event_analytics.letter_admin import LETTERS_READ_MAX, LETTERS_REDRIVEN_MAX, letter_id, name_of_letter
from event_analytics.observability import InvocationLine
from functions.admin import app
from tests.builders import ACCEPTED_MS, a_record, a_request
from tests.fakes import FakeEventLog, FakeKeySource, FakeObjectStore

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


class Operator:
    """Calls the handlers with fakes behind them."""

    def __init__(self) -> None:
        self.objects, self.log, self.keys = FakeObjectStore(), FakeEventLog(), FakeKeySource()
        self.deps = app.Deps(self.objects, self.log, self.keys, lambda: NOW)
        self.line = InvocationLine()

    def kept(self, offset: int, dead_ms: int = ACCEPTED_MS, **fields: Any) -> str:
        """Id of a letter that is there from now on."""
        before = set(self.objects.objects)
        dead = DeadRecord(a_record(offset, value=fields.pop("value", b"{")), fields.pop("reason", "r"), "d", **fields)
        DeadLetterWriter(self.objects, FakeEventLog()).write([dead], "1", dead_ms)
        (name,) = filter(parse_letter_name, set(self.objects.objects) - before)
        return letter_id(name)

    def letters(self, **query: str) -> dict[str, Any]:
        return self._ask(app.handle_letters, query=query)

    def letter(self, identifier: str) -> dict[str, Any]:
        return self._ask(app.handle_letter, path_parameters={"id": identifier})

    def redrive(self, **body: Any) -> dict[str, Any]:
        return self._ask(app.handle_redrive, body=body)

    def _ask(self, handle: Any, **fields: Any) -> dict[str, Any]:
        answer = handle(a_request(key=self.keys.admin_key, **fields), self.deps, self.line)
        assert answer.status == 200
        return dict(json.loads(answer.body))


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_a_listing_tells_all_but_the_record_itself(operator: Operator) -> None:
    identifier = operator.kept(17, reason="store_rejected", error_code=36, error_name="BAD_ARGUMENTS", value=b"{17")

    assert operator.letters() == {
        "letters": [
            {
                "id": identifier, "reason": "store_rejected", "detail": "d",
                "error_code": 36, "error_name": "BAD_ARGUMENTS", "needs_classification": False,
                "topic": "events", "partition": 0, "offset": 17, "epoch": "1",
                "timestamp": "2026-09-21T14:13:20.000Z", "dead_at": "2026-09-21T14:13:20.000Z", "value_bytes": 3,
            }
        ],
        "next_cursor": None,
        "unreadable": [],
    }  # fmt: skip
    assert identifier.startswith("events~000~1~17-")


def test_a_listing_takes_reason_and_half_open_times(operator: Operator) -> None:
    operator.kept(1, 1_000)
    second = operator.kept(2, 2_000)
    operator.kept(3, 2_000, reason="other")
    operator.kept(4, 3_000)

    answer = operator.letters(reason="r", start="1970-01-01T00:00:02Z", end="1970-01-01T01:00:03 01:00")

    assert [letter["id"] for letter in answer["letters"]] == [second]


def test_pages_hold_every_letter_once_in_the_order_of_their_names(operator: Operator) -> None:
    kept = sorted(operator.kept(offset) for offset in range(8, 13))
    seen, cursor = [], {}
    while True:
        page = operator.letters(limit="2", **cursor)
        seen += [letter["id"] for letter in page["letters"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == kept


def test_a_page_reads_a_bounded_number_of_letters_and_goes_on_after_them(operator: Operator) -> None:
    for offset in range(1_000, 1_000 + LETTERS_READ_MAX):
        operator.kept(offset)
    last = operator.kept(9_999, reason="rare")

    first = operator.letters(reason="rare")
    second = operator.letters(reason="rare", cursor=first["next_cursor"])

    assert first["letters"] == []
    assert [letter["id"] for letter in second["letters"]] == [last]
    assert second["next_cursor"] is None


def test_other_objects_under_the_prefix_are_no_letters(operator: Operator) -> None:
    operator.objects.put_new("dead-letters/v1/README", b"hello")

    assert operator.letters() == {"letters": [], "next_cursor": None, "unreadable": []}


def test_an_object_that_is_no_letter_is_named_and_is_in_nobodys_way(operator: Operator) -> None:
    first, damaged, last = (operator.kept(offset) for offset in (1, 2, 3))
    name = name_of_letter(damaged)
    operator.objects.objects[name] = b"{"

    page = operator.letters()

    assert ([letter["id"] for letter in page["letters"]], page["unreadable"]) == ([first, last], [name])
    assert operator.line.fields["unreadable_letters"] == [name]
    assert operator.redrive(ids=[damaged])["letters"] == [{"id": damaged, "status": "unreadable"}]
    answer = operator.redrive()
    assert (answer["redriven"], answer["unreadable"]) == (2, [name])
    assert operator.objects.objects[name] == b"{"
    with pytest.raises(Refused) as refused:
        operator.letter(damaged)
    assert refused.value.reason == "dead_letter_not_found"


def test_one_letter_shows_its_record_as_text_where_it_is_text(operator: Operator) -> None:
    plain, binary = (
        operator.letter(operator.kept(1, value=b'{"a": 1')),
        operator.letter(operator.kept(2, value=b"\xff")),
    )

    assert (plain["key"], plain["value"], base64.b64decode(plain["value_base64"])) == ("u1", '{"a": 1', b'{"a": 1')
    assert (binary["value"], binary["value_base64"]) == (None, "/w==")


def test_a_long_value_is_shown_once_so_that_the_answer_stays_below_the_limit_of_a_call(operator: Operator) -> None:
    shown = operator.letter(operator.kept(1, value=b"x" * 1_000_000))

    assert (shown["value"], shown["value_bytes"]) == (None, 1_000_000)


def test_times_that_no_calendar_holds_are_null(operator: Operator) -> None:
    assert operator.letter(operator.kept(1, dead_ms=10**18))["dead_at"] is None
    assert operator.letter(operator.kept(2, dead_ms=0))["dead_at"] is None


@pytest.mark.parametrize("identifier", ["x", "events~000~1~17-0011aabb", "~~~", "events~000~1~../raw", "a~b~c~d~e"])
def test_a_letter_that_is_not_there_is_404(operator: Operator, identifier: str) -> None:
    with pytest.raises(Refused) as refused:
        operator.letter(identifier)

    assert (refused.value.reason, refused.value.status) == ("dead_letter_not_found", 404)


def test_an_id_names_its_letter_again() -> None:
    name = "dead-letters/v1/topic=event-changes/partition=003/epoch=boot-1.2/17-0011aabb.json"

    assert letter_id(name) == "event-changes~003~boot-1.2~17-0011aabb"
    assert name_of_letter(letter_id(name)) == name


def test_letters_named_by_id_go_again_and_are_gone(operator: Operator) -> None:
    meant, other = operator.kept(1, value=b"{1"), operator.kept(2, value=b"{2")

    answer = operator.redrive(ids=[meant, meant])

    assert answer == {
        "dry_run": False,
        "redriven": 1,
        "letters": [{"id": meant, "status": "redriven"}],
        "next_cursor": None,
        "unreadable": [],
    }
    assert [(record.topic, record.value) for record in operator.log.records] == [("events-replay", b"{1")]
    assert [letter["id"] for letter in operator.letters()["letters"]] == [other]
    assert operator.redrive(ids=[meant])["letters"] == [{"id": meant, "status": "not_found"}]
    assert operator.line.counts["redriven_letters"] == 1


def test_a_dry_run_says_what_would_go_and_sends_nothing(operator: Operator) -> None:
    meant = operator.kept(1)
    operator.kept(2, reason="other")

    answer = operator.redrive(reason="r", dry_run=True)

    assert answer["letters"] == [{"id": meant, "status": "would_redrive"}]
    assert (answer["redriven"], operator.log.records) == (0, [])
    assert len(operator.letters()["letters"]) == 2


def test_a_redrive_of_many_letters_is_done_in_several_calls(operator: Operator) -> None:
    empty = operator.kept(1_000, value=None)
    for offset in range(1_001, 1_001 + LETTERS_REDRIVEN_MAX):
        operator.kept(offset)

    first = operator.redrive()
    second = operator.redrive(cursor=first["next_cursor"])

    assert first["letters"][0] == {"id": empty, "status": "no_value"}
    assert (first["redriven"], second["redriven"]) == (LETTERS_REDRIVEN_MAX - 1, 1)
    assert second["next_cursor"] is None
    assert [letter["id"] for letter in operator.letters()["letters"]] == [empty]


def test_what_the_broker_does_not_acknowledge_stays_a_letter(operator: Operator) -> None:
    ids = sorted([operator.kept(1), operator.kept(2)])
    operator.log.refuse_after = 1

    answer = operator.redrive()

    assert [letter["status"] for letter in answer["letters"]] == ["redriven", "not_acknowledged"]
    assert [letter["id"] for letter in operator.letters()["letters"]] == ids[1:]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"ids": ["events~000~1~1-0011aabb"], "reason": "r"}, "body_unreadable"),
        ({"id": "x"}, "body_unreadable"),
        ({"dry_run": 1}, "body_unreadable"),
        ("[", "body_unreadable"),
        ({"ids": []}, "body_unreadable"),
        ({"ids": ["x"] * (LETTERS_REDRIVEN_MAX + 1)}, "too_many_letters"),
        ({"ids": ["x"]}, "dead_letter_not_found"),
        ({"start": "yesterday"}, "window_invalid"),
        ({"end": "2026-01-01T00:00:00"}, "window_invalid"),
        ({"cursor": "x"}, "cursor_invalid"),
        ({"cursor": "\u00e9"}, "cursor_invalid"),
    ],
)
def test_a_redrive_that_cannot_be_meant_is_refused(operator: Operator, body: Any, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        app.handle_redrive(a_request(body, key=operator.keys.admin_key), operator.deps, operator.line)

    assert refused.value.reason == reason


def test_a_listing_refuses_parameters_that_it_does_not_know(operator: Operator) -> None:
    with pytest.raises(Refused) as refused:
        operator.letters(since="1")

    assert refused.value.reason == "parameter_unknown"


@pytest.mark.parametrize("handle", [app.handle_letters, app.handle_letter, app.handle_redrive])
def test_other_scopes_than_admin_are_refused(operator: Operator, handle: Any) -> None:
    for key in (operator.keys.write_key, operator.keys.read_key):
        with pytest.raises(Refused) as refused:
            handle(a_request({}, key=key, path_parameters={"id": "x"}), operator.deps, operator.line)

        assert refused.value.reason == "scope_missing"
