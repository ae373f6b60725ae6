"""One drain at a time, on nothing but "write if new", "list" and "delete".

Every contender writes an object of its own, `spool/leases/v1/<expires_us>-<owner>`, and then lists: it holds the lease
if no other that is not expired stands there. Of two contenders the one that wrote second lists after both writes and
sees the first, so two never hold it together; both may give up, and the next minute decides. Nothing is ever taken
over by deleting what another may just have renewed.
"""

import re
from typing import Final

from event_analytics.ports import ObjectStore

LEASE_PREFIX: Final = "spool/leases/v1/"
# A clock that runs ahead must not see a lease as expired that its holder still works under.
_CLOCK_SKEW_US: Final = 5_000_000
_NAME: Final = re.compile(rf"{re.escape(LEASE_PREFIX)}([0-9]{{16}})-.+")


def take_lease(spool: ObjectStore, owner: str, now_us: int, seconds: float) -> str | None:
    """The lease's object name, to be deleted at the end; None while another holds it.

    `owner`: an id that no other contender has, as a Lambda request id. Work must end within `seconds`; a holder that
    was killed is in the way until then.
    """
    name, body = f"{LEASE_PREFIX}{now_us + int(seconds * 1_000_000):016d}-{owner}", owner.encode()
    # A PUT whose answer was lost is sent again by the client and finds its own object: left behind, it would be in the
    # way of every drain until it has expired.
    if not spool.put_new(name, body) and spool.get(name) != body:
        return None
    others = [entry.name for entry in spool.list(LEASE_PREFIX) if entry.name != name]
    if any(not _is_expired(other, now_us) for other in others):
        spool.delete(name)
        return None
    for expired in others:
        spool.delete(expired)
    return name


def _is_expired(name: str, now_us: int) -> bool:
    matched = _NAME.fullmatch(name)
    return matched is None or int(matched[1]) + _CLOCK_SKEW_US < now_us
