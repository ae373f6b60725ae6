"""Who calls, at a handler: whom the authorizer let through, or, where none ran, whom the key names.

An ALB or an emulator that enforces no authorizer is closed too.
"""

from datetime import datetime

from event_analytics.access import Caller, caller_of_authorizer, identify, read_key_ring, require_scope
from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import Request
from event_analytics.ports import KeySource


def admit(request: Request, keys: KeySource, scope: str, now: datetime) -> Caller:
    """The caller, who has the scope.

    Raises:
        Refused: key_missing, key_invalid or scope_missing.
    """
    caller = identify_caller(request, keys, now)
    require_scope(caller, scope)
    return caller


def identify_caller(request: Request, keys: KeySource, now: datetime) -> Caller:
    """The caller, whatever he may do.

    Raises:
        Refused: key_missing or key_invalid.
    """
    caller = caller_of_authorizer(request.authorizer)
    return caller or identify_key(request.headers.get("authorization"), keys, now)


def identify_key(authorization: str | None, keys: KeySource, now: datetime) -> Caller:
    """The caller whom the header names. A key that is not known may be new: then the secret is read once more.

    Raises:
        Refused: key_missing or key_invalid.
    """
    try:
        return identify(authorization, read_key_ring(keys.read()), now)
    except Refused as refused:
        if refused.reason is not Reason.KEY_INVALID:
            raise
    return identify(authorization, read_key_ring(keys.reread()), now)
