"""HTTP for operators -> S3 and Kafka. Every route needs the scope `admin`, and does a bounded piece of work.

Each call leaves one line with `audit`: who (the key's id), what, when, and, beside it, how it ended (`status`).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from chalice.app import Response

from event_analytics.access import require_scope
from event_analytics.adapters.alb_door import call_app
from event_analytics.adapters.chalice_http import ANY_CONTENT_TYPE, answering, new_app
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.adapters.secrets_manager import SecretsManagerSource
from event_analytics.admission import identify_caller
from event_analytics.decode import media_type_of, read_body
from event_analytics.erasure_journal import read_record, request_erasure
from event_analytics.erasure_state import ErasureRequest
from event_analytics.errors import Reason, Refused
from event_analytics.event import TEXT_KEY_LENGTH_MAX
from event_analytics.http_exchange import Answer, Request, answer
from event_analytics.identifiers import mint_uuid7
from event_analytics.letter_admin import (
    LetterPage,
    describe_letter,
    letter_id,
    name_of_letter,
    read_listing,
    read_named,
    read_page,
    read_redrive,
    refuse_absent,
    show_letter,
    status_of_step,
    write_letter_cursor,
)
from event_analytics.observability import InvocationLine, Telemetry
from event_analytics.ports import EventLog, KeySource, ObjectStore
from event_analytics.questions.parameters import refuse_unknown
from event_analytics.redrive import letter_in, plan_redrive, redrive
from event_analytics.settings import AdminSettings, ObservabilitySettings
from event_analytics.windows import format_instant

ADMIN_SCOPE: Final = "admin"
NO_PARAMETERS: Final[frozenset[str]] = frozenset()
_RANDOM_BYTES: Final = 10  # of a UUIDv7
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Deps:
    """What an operator's call needs."""

    objects: ObjectStore
    log: EventLog
    keys: KeySource
    now: Callable[[], datetime]
    cors_origin: str = ""
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    @classmethod
    def from_settings(cls, settings: AdminSettings) -> "Deps":
        """The real ones."""
        return cls(
            objects=S3ObjectStore(settings.archive_bucket),
            log=KafkaEventLog(settings.kafka_bootstrap, settings.kafka_security, "tallystream-admin"),
            keys=SecretsManagerSource(settings.keys_secret_id),
            now=lambda: datetime.now(UTC),
            cors_origin=settings.cors_origin,
        )


def handle_letters(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """`letters: [...]` in the order of their names, with `next_cursor` where there may be more.

    `unreadable: [...]` names the objects on the way that are no letters: of a listing and of a redrive.
    """
    _admit(request, deps, line, "list_letters")
    page = read_page(deps.objects, read_listing(request.query))
    letters = [describe_letter(name, letter) for name, letter in page.letters]
    _note_unreadable(page, line)
    next_cursor = write_letter_cursor(page.next_after)
    return answer(200, {"letters": letters, "next_cursor": next_cursor, "unreadable": page.unreadable})


def handle_letter(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """One letter with the record that it keeps."""
    _admit(request, deps, line, "show_letter", letter_id=request.path_parameters["id"])
    refuse_unknown(request.query, NO_PARAMETERS)
    name = name_of_letter(request.path_parameters["id"])
    body = deps.objects.get(name)
    letter = None if body is None else letter_in(body)
    if letter is None:
        raise refuse_absent()
    return answer(200, show_letter(name, letter))


def handle_redrive(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """`letters: [{id, status}]`, one for each that was meant; `next_cursor` where there may be more."""
    _admit(request, deps, line, "redrive_letters")
    refuse_unknown(request.query, NO_PARAMETERS)
    media_type_of(request.headers.get("content-type"))
    order = read_redrive(read_body(request.body, is_base64=request.is_base64, content_encoding=None))
    page = read_named(deps.objects, order.names) if order.names else read_page(deps.objects, order.listing)
    steps = [plan_redrive(name, letter) for name, letter in page.letters]
    done = set() if order.is_dry_run else {step.letter for step in redrive(deps.objects, deps.log, steps)}
    statuses = {step.letter: status_of_step(step, done, is_dry_run=order.is_dry_run) for step in steps}
    statuses |= dict.fromkeys(page.unreadable if order.names else (), "unreadable")
    _note_unreadable(page, line)
    line.count(redriven_letters=len(done))
    line.audit.update(redriven=len(done), letter_ids=sorted(map(letter_id, done)), is_dry_run=order.is_dry_run)
    body = {
        "dry_run": order.is_dry_run,
        "redriven": len(done),
        "letters": [
            {"id": letter_id(name), "status": statuses.get(name, "not_found")} for name in order.names or statuses
        ],
        "next_cursor": write_letter_cursor(page.next_after),
        "unreadable": page.unreadable,
    }
    return answer(200, body)


def _note_unreadable(page: LetterPage, line: InvocationLine) -> None:
    if page.unreadable:
        line.note(unreadable_letters=page.unreadable)


def handle_erase(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """202 with `{erasure_id, status}`: what was accepted of the user until now is going to be erased."""
    _admit(request, deps, line, "erase_user")
    now = deps.now()
    refuse_unknown(request.query, NO_PARAMETERS)
    user_id = request.path_parameters["user_id"]
    if len(user_id) > TEXT_KEY_LENGTH_MAX:
        raise Refused(Reason.TEXT_TOO_LONG, f"a user id has up to {TEXT_KEY_LENGTH_MAX} characters", "user_id")
    accepted_us = (now - _UNIX) // timedelta(microseconds=1)
    erasure_id = str(mint_uuid7(accepted_us // 1_000, deps.random_bytes(_RANDOM_BYTES)))
    request_erasure(deps.objects, ErasureRequest(erasure_id, user_id, accepted_us))
    line.audit.update(erasure_id=erasure_id)  # not the user's id: a log keeps what an erasure takes away
    return answer(202, {"erasure_id": erasure_id, "status": "accepted"})


def handle_erasure(request: Request, deps: Deps, line: InvocationLine) -> Answer:
    """How far an erasure is: status, steps, and counts before and after, per place."""
    _admit(request, deps, line, "show_erasure", erasure_id=request.path_parameters["id"])
    refuse_unknown(request.query, NO_PARAMETERS)
    record = read_record(deps.objects, request.path_parameters["id"])
    if record is None:
        raise Refused(Reason.ERASURE_NOT_FOUND, "there is no erasure of this id", "id")
    return answer(200, record)


def _admit(request: Request, deps: Deps, line: InvocationLine, action: str, **target: str) -> None:
    """Return if the caller may, and say on the line who does what; who was refused stands there too."""
    now = deps.now()
    line.audit.update(action=action, at=format_instant(now), key_id=None, **target)
    caller = identify_caller(request, deps.keys, now)
    line.audit.update(key_id=caller.key_id)
    require_scope(caller, ADMIN_SCOPE)


app = new_app("admin")


@app.route("/dead-letters", methods=["GET"])
def get_dead_letters() -> Response:
    """Route of the listing."""
    return _answer(handle_letters)


@app.route("/dead-letters/{id}", methods=["GET"])
def get_dead_letter(id: str) -> Response:  # noqa: A002, ARG001 - the name stands in the route
    """Route of one letter."""
    return _answer(handle_letter)


@app.route("/dead-letters/redrive", methods=["POST"], content_types=ANY_CONTENT_TYPE)
def post_redrive() -> Response:
    """Route of a redrive."""
    return _answer(handle_redrive)


@app.route("/users/{user_id}", methods=["DELETE"])
def delete_user(user_id: str) -> Response:  # noqa: ARG001 - as above
    """Route of an erasure."""
    return _answer(handle_erase)


@app.route("/erasures/{id}", methods=["GET"])
def get_erasure(id: str) -> Response:  # noqa: A002, ARG001 - as above
    """Route of its record."""
    return _answer(handle_erasure)


def _answer(handle: Callable[[Request, Deps, InvocationLine], Answer]) -> Response:
    line = _telemetry().line
    return answering(app, lambda request: handle(request, _deps(), line), line, _deps().cors_origin)


@lru_cache(maxsize=1)
def _deps() -> Deps:
    return Deps.from_settings(AdminSettings.from_env())


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry(ObservabilitySettings.from_env(), "admin")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Lambda's entry point: an event of API Gateway or of a load balancer in, its answer out."""
    with _telemetry().invocation(context):
        return call_app(app, event, context, lambda: _deps().cors_origin)
