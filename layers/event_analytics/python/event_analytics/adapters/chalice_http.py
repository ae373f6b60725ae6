"""Chalice as the HTTP door: it routes, our `Answer` says what goes back.

Chalice would turn any exception of a view into its own 500, so the views never raise: `answering` wraps them.
"""

from collections.abc import Callable
from typing import Any, cast

from chalice.app import Chalice, Response
from chalice.app import Request as ChaliceRequest

from event_analytics.errors import Reason, Refused, Unavailable
from event_analytics.http_exchange import (
    Answer,
    Request,
    answer_failed,
    answer_refused,
    answer_unavailable,
    read_request,
)
from event_analytics.observability import DETAIL_CHARACTERS_MAX, InvocationLine

REFUSED, FAILED = 400, 500  # the first status of each kind
# Chalice's own check would answer in its own words; `decode.media_type_of` decides.
ANY_CONTENT_TYPE = ["*/*"]


def new_app(name: str) -> Chalice:
    """An app that leaves logging to Powertools: both would put a handler on one logger."""
    return Chalice(app_name=f"tallystream-{name}", configure_logs=False)


def answering(app: Chalice, handle: Callable[[Request], Answer], line: InvocationLine, cors_origin: str) -> Response:
    """Handle Chalice's current request, whatever happens, and note the outcome on the invocation's line."""
    request = read_request(cast("ChaliceRequest", app.current_request).to_original_event())
    try:
        answer = handle(request)
    except Refused as refused:
        line.note(reason=str(refused.reason), field=refused.field)
        line.count_reasons([refused.reason])
        if refused.reason is Reason.KEY_INVALID:  # behind API Gateway, the authorizer has counted it
            line.count(refused_keys=1)
        answer = answer_refused(refused)
    except Unavailable as unavailable:
        line.note(reason=str(unavailable.reason), error_detail=str(unavailable)[:DETAIL_CHARACTERS_MAX])
        answer = answer_unavailable(unavailable)
    except Exception as error:  # noqa: BLE001 - the last line before the gateway's own words
        line.note(
            reason=str(Reason.INTERNAL_ERROR),
            error=type(error).__name__,
            error_detail=str(error)[:DETAIL_CHARACTERS_MAX],
        )
        answer = answer_failed()
    line.note(route=request.route, status=answer.status)
    line.count(
        refused_requests=int(REFUSED <= answer.status < FAILED), unavailable_requests=int(answer.status >= FAILED)
    )
    return _response_of(answer, cors_origin)


def _response_of(answer: Answer, cors_origin: str) -> Response:
    headers: dict[str, Any] = dict(answer.headers)
    if cors_origin:
        headers["Access-Control-Allow-Origin"] = cors_origin
        headers["Access-Control-Expose-Headers"] = "Next-Cursor, Retry-After"
        headers["Vary"] = "Origin"
    return Response(body=answer.body.decode(), status_code=answer.status, headers=headers)
