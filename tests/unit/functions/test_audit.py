"""Each call of an operator leaves who, what, when and how it ended; who was refused, too."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from event_analytics.errors import Refused
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.settings import ObservabilitySettings
from functions.admin import app
from local_runtime.settings import REPOSITORY
from tests.builders import a_request
from tests.fakes import FakeEventLog, FakeKeySource, FakeObjectStore

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
AT = "2026-09-21T12:00:00.000Z"
LETTER = "events~000~1~17-0011aabb"
# Handler -> what it is given, and what of it the line names.
CALLS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "list_letters": (app.handle_letters, {}, {}),
    "show_letter": (app.handle_letter, {"path_parameters": {"id": LETTER}}, {"letter_id": LETTER}),
    "redrive_letters": (
        app.handle_redrive,
        {"body": {"reason": "r"}},
        {"redriven": 0, "letter_ids": [], "is_dry_run": False},
    ),
    "erase_user": (app.handle_erase, {"path_parameters": {"user_id": "alice@example.org"}}, {}),
    "show_erasure": (app.handle_erasure, {"path_parameters": {"id": "e1"}}, {"erasure_id": "e1"}),
}


def audited(action: str, key: str | None, keys: FakeKeySource) -> InvocationLine:
    handle, fields, _ = CALLS[action]
    line = InvocationLine()
    deps = app.Deps(FakeObjectStore(), FakeEventLog(), keys, lambda: NOW)
    try:
        handle(a_request(key=key, **fields), deps, line)
    except Refused as refused:
        line.note(reason=str(refused.reason))
    return line


def test_every_route_of_the_operators_is_audited() -> None:
    views = {view for methods in app.app.routes.values() for view in methods}

    assert len(CALLS) == sum(len(methods) for methods in app.app.routes.values())
    assert views <= {"GET", "POST", "DELETE"}


@pytest.mark.parametrize("action", CALLS)
def test_a_call_says_who_did_what_and_when(action: str) -> None:
    keys = FakeKeySource()

    audit = audited(action, keys.admin_key, keys).audit

    if action == "erase_user":
        assert audit.pop("erasure_id")
    assert audit == {"action": action, "key_id": "admin", "at": AT, **CALLS[action][2]}


@pytest.mark.parametrize("action", CALLS)
def test_a_call_that_is_refused_says_who_tried(action: str) -> None:
    keys = FakeKeySource()

    reader = audited(action, keys.read_key, keys)
    stranger = audited(action, "tally_x_y", keys)

    assert (reader.audit["action"], reader.audit["key_id"], reader.fields["reason"]) == (
        action,
        "read",
        "scope_missing",
    )
    assert (stranger.audit["key_id"], stranger.fields["reason"]) == (None, "key_invalid")


def test_the_audit_is_one_line_and_names_no_user_that_is_erased(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry = Telemetry(ObservabilitySettings("audit-test", "Tallystream/test", "INFO"), "admin")
    keys = FakeKeySource()
    with telemetry.invocation(None) as line:
        app.handle_erase(
            a_request(key=keys.admin_key, path_parameters={"user_id": "alice@example.org"}),
            app.Deps(FakeObjectStore(), FakeEventLog(), keys, lambda: NOW),
            line,
        )

    [text] = capsys.readouterr().out.splitlines()
    assert json.loads(text)["audit"].keys() == {"action", "key_id", "at", "erasure_id"}
    assert "alice" not in text


def test_no_log_level_silences_the_audit() -> None:
    from local_runtime.sam_template import read_template

    admin = read_template(REPOSITORY / "template.yaml")["Resources"]["AdminFunction"]["Properties"]

    assert admin["LoggingConfig"]["ApplicationLogLevel"] == "INFO"
    assert admin["Environment"]["Variables"]["LOG_LEVEL"] == "INFO"
