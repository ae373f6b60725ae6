"""Who calls, at a handler: whom the authorizer let through, or, where none ran, whom the key names.

An ALB or an emulator that enforces no authorizer is closed too.
"""

from datetime import datetime

from event_analytics.access import Caller, caller_of_authorizer, identify, read_key_ring, require_scope
from event_analytics.http_exchange import Request
from event_analytics.ports import KeySource


def admit(request: Request, keys: KeySource, scope: str, now: datetime) -> Caller:
    """The caller, who has the scope.

    Raises:
        Refused: key_missing, key_invalid or scope_missing.
    """
    caller = caller_of_authorizer(request.authorizer)
    if caller is None:
        caller = identify(request.headers.get("authorization"), read_key_ring(keys.read()), now)
    require_scope(caller, scope)
    return caller
