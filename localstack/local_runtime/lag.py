"""What the Kafka trigger tells about its mappings: how many records each still has to deliver."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse

STATUS_TIMEOUT_SECONDS = 2.0  # the trigger answers from memory
DRAIN_SECONDS_MAX = 20.0  # a stop that takes longer looks hung; what is left then is told
# The trigger fetches several times in this time, so its lag has seen all that was acknowledged before.
SETTLE_SECONDS = 0.5
DRAIN_POLL_SECONDS = 0.1


def read_lag(status_url: str) -> dict[str, int | None]:
    """Return records not yet delivered, by mapping: None is not known yet. Empty when no trigger answers."""
    address = urllib.parse.urlsplit(status_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=STATUS_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/")
        mappings = json.load(connection.getresponse())["mappings"]
        return {mapping["name"]: mapping["lag"] for mapping in mappings}
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return {}  # nobody answers there, or somebody who is no trigger
    finally:
        connection.close()


def wait_until_drained(status_url: str) -> dict[str, int | None]:
    """Wait until no mapping has records left, or the time is over; return those that have."""
    settled = time.monotonic() + SETTLE_SECONDS
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    while True:
        left = {name: lag for name, lag in read_lag(status_url).items() if lag != 0}
        now = time.monotonic()
        if now > deadline or (now > settled and not left):
            return left
        time.sleep(DRAIN_POLL_SECONDS)
