"""How long after its 202 an update is seen. Prints figures; `pytest -m long -s tests/e2e/test_freshness.py`."""

import os
import time
import uuid

import pytest

from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient
from tests.e2e.test_changes import an_event, put

UPDATES = 100
LOOK_EVERY_SECONDS = 0.01


def seconds_until_seen(writer: ApiClient, reader: ApiClient, identifier: str, value: int) -> float:
    assert put(writer, identifier, {"latency_ms": value}).status == 202
    started = time.perf_counter()
    while reader.get(f"/event/{identifier}").body.get("latency_ms") != value:
        assert time.perf_counter() - started < 60
        time.sleep(LOOK_EVERY_SECONDS)
    return time.perf_counter() - started


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_freshness_of_an_update_long(stack: EmbeddedStack, writer: ApiClient, reader: ApiClient) -> None:
    ids = [str(uuid.uuid4()) for _ in range(UPDATES)]
    assert writer.post("/events", {"events": [an_event(identifier) for identifier in ids]}).status == 202
    stack.wait_until_delivered()

    taken = sorted(seconds_until_seen(writer, reader, identifier, number) for number, identifier in enumerate(ids, 1))

    p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
    load = os.getloadavg()[0]
    print(f"\n{UPDATES} updates: p50 {p50:.2f} s, p99 {p99:.2f} s after 202; load of the machine {load:.1f}")  # noqa: T201
    assert p50 <= p99 < 60
