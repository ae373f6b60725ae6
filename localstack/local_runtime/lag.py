"""What the Kafka trigger tells about its mappings: how many records each has delivered, and has still to deliver."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
from typing import Any

STATUS_TIMEOUT_SECONDS = 2.0  # the trigger answers from memory
LAG_TIMEOUT_SECONDS = 20.0  # it asks the broker, 5 s at most for each topic
DRAIN_SECONDS_MAX = 20.0  # a stop that takes longer looks hung; what is left then is told
DRAIN_POLL_SECONDS = 0.1
COUNTS = ("polled", "filtered", "invoked", "failed", "dropped", "committed")


def read_lag(status_url: str) -> dict[str, int | None]:
    """Return records not yet delivered, by mapping: None is not known yet. Empty when no trigger answers."""
    return {mapping["name"]: mapping["lag"] for mapping in _read_mappings(status_url)}


def read_lag_now(status_url: str) -> dict[str, int | None]:
    """Return the same against the ends of the topics as they are now, which costs the trigger a look at the broker."""
    return {mapping["name"]: mapping["lag"] for mapping in _read(status_url, "/lag", LAG_TIMEOUT_SECONDS)}


def read_committed(status_url: str) -> dict[str, int]:
    """Return records delivered since the trigger started, by mapping. Empty when no trigger answers."""
    return {mapping["name"]: mapping["committed"] for mapping in _read_mappings(status_url)}


def describe_mappings(status_url: str) -> list[str]:
    """Return a table for people, one line per mapping with its lag and counts; empty when no trigger answers."""
    mappings = _read_mappings(status_url)
    if not mappings:
        return []
    lines = [f"{'mapping':<24}{'state':<10}{'lag':>10}" + "".join(f"{name:>11}" for name in COUNTS)]
    for mapping in mappings:
        lag = "unknown" if mapping["lag"] is None else mapping["lag"]
        counts = "".join(f"{mapping[name]:>11}" for name in COUNTS)
        lines.append(f"{mapping['name']:<24}{mapping['state']:<10}{lag:>10}{counts}")
        lines += [f"  {mapping['last_error']}"] if mapping["last_error"] else []
    return lines


def wait_until_drained(status_url: str) -> dict[str, int | None]:
    """Wait until no mapping has records left, or the time is over; return those that have."""
    deadline = time.monotonic() + DRAIN_SECONDS_MAX
    while True:
        left = _nonzero(read_lag(status_url)) or _nonzero(read_lag_now(status_url))
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(DRAIN_POLL_SECONDS)


def _nonzero(lags: dict[str, int | None]) -> dict[str, int | None]:
    return {name: lag for name, lag in lags.items() if lag != 0}


def _read_mappings(status_url: str) -> list[dict[str, Any]]:
    wanted = {"name", "state", "lag", "last_error", *COUNTS}
    return [mapping for mapping in _read(status_url, "/", STATUS_TIMEOUT_SECONDS) if wanted <= mapping.keys()]


def _read(status_url: str, path: str, timeout_seconds: float) -> list[dict[str, Any]]:
    address = urllib.parse.urlsplit(status_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        mappings = json.load(connection.getresponse())["mappings"]
        return [mapping for mapping in mappings if {"name", "lag"} <= mapping.keys()]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return []  # nobody answers there, or somebody who is no trigger
    finally:
        connection.close()
