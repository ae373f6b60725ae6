"""The dashboard's view of the pipeline: an idle, a busy and a stalled one look different."""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Locator, Page, expect

from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.kept_lag import KeptLag
from event_analytics.pipeline_state import COUNTED_MAX, ObjectsState, PipelineState, StoredState, describe_state
from event_analytics.routing import EVENTS_TOPIC, Record
from local_runtime.kafka_trigger.invoker import make_client
from tests.browser.visit import PHONE, Visit
from tests.builders import an_event
from tests.conftest import EmbeddedStack
from tests.e2e.http_client import ApiClient
from tests.e2e.scheduled_jobs import run_jobs

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
MEASURED = 40 * SECOND  # ago


def a_state(
    *,
    newest: timedelta | None = 2 * SECOND,
    measured: timedelta | None = MEASURED,
    load: int = 0,
    stalled: timedelta | None = None,
    letters: int = 0,
    spooled: int = 0,
    are_parts_silent: bool = False,
) -> PipelineState:
    """What the API would say where this is so now; times are how long ago."""
    now = datetime.now(UTC)

    def unix_ms(ago: timedelta) -> int:
        return int((now - ago).timestamp() * 1_000)

    newest_us = 0 if newest is None else unix_ms(newest) * 1_000
    stalled_ms = None if stalled is None else unix_ms(stalled)
    lag = None if measured is None else KeptLag(unix_ms(measured), load, 0, 9_000, stalled_ms)
    if are_parts_silent:
        return describe_state(now, None, None, None)
    return describe_state(now, StoredState(newest_us, 2), ObjectsState(letters, spooled), lag)


# What is so -> what waits and its tone, and the words and the tone in the header.
STATES: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "flowing": ({}, "0", "", "Newest event", "good"),
    "in flight": ({"load": 7}, "7", "", "Newest event", "good"),
    "idle": ({"newest": 55 * MINUTE}, "0", "", "Newest event 55 min ago", "calm"),
    "nothing recent": ({"newest": None}, "0", "", "No recent event", "calm"),
    "catching up": ({"newest": 5 * MINUTE, "load": 51_234}, "51,234", "warn", "Catching up", "warn"),
    "counted twice at once": (
        {"newest": None, "load": 7, "stalled": MEASURED + SECOND}, "7", "warn", "Catching up", "warn",
    ),
    "stalled": (
        {"newest": 9 * MINUTE, "load": 1_234, "stalled": 8 * MINUTE}, "1,234", "bad", "Load stands still", "bad",
    ),
    "never counted": ({"measured": None}, "unknown", "warn", "Lag unknown", "warn"),
    "counted long ago": ({"measured": 12 * MINUTE}, "unknown", "warn", "Lag unknown", "warn"),
    "spooled": ({"spooled": 3}, "0", "", "Catching up", "warn"),
    "silent": ({"are_parts_silent": True}, "unknown", "warn", "Store silent", "bad"),
}  # fmt: skip


def gauge(page: Page, name: str) -> Locator:
    return page.locator(".gauge").filter(has=page.get_by_text(name, exact=True))


def value_of(page: Page, name: str) -> Locator:
    return gauge(page, name).locator(".gauge-value")


def show(here: Visit, state: PipelineState) -> Page:
    """The view of the pipeline, where the API says this."""
    here.page.route("**/reports/pipeline", lambda route: route.fulfill(json=msgspec.to_builtins(state)))
    here.open("#/pipeline")
    expect(here.page.locator(".gauge")).to_have_count(5)
    return here.page


@pytest.mark.parametrize("name", STATES)
def test_what_waits_is_told_with_a_tone_of_its_own(reading: Callable[..., Visit], name: str) -> None:
    facts, value, tone, said, dot = STATES[name]
    here = reading()
    page = show(here, a_state(**facts))

    expect(value_of(page, "Waiting to be loaded")).to_have_text(value)
    expect(value_of(page, "Waiting to be loaded")).to_have_class(re.compile(rf"^gauge-value {tone}$"))
    expect(page.locator("#pulse")).to_contain_text(said)
    expect(page.locator("#pulse .dot")).to_have_class(f"dot {dot}")
    here.shoot(f"pipeline-{name.replace(' ', '-')}-light")


@pytest.mark.parametrize("name", ["idle", "stalled"])
@pytest.mark.parametrize("look", ["dark", "phone"])
def test_the_tones_are_those_of_the_theme_and_fit_a_phone(reading: Callable[..., Visit], name: str, look: str) -> None:
    here = reading(**{"color_scheme": "dark"} if look == "dark" else {"viewport": PHONE, "has_touch": True})
    page = show(here, a_state(**STATES[name][0]))
    expect(page.locator("#pulse")).to_contain_text(STATES[name][3])
    brand, tools = (page.locator(each).bounding_box() for each in (".brand", "#session-tools"))

    assert here.overflow_px() == 0
    assert brand
    assert tools
    assert tools["y"] < brand["y"] + brand["height"], "what the header says has no room beside the name"
    here.shoot(f"pipeline-{name}-{look}")


def test_dead_letters_are_told_on_every_view_and_up_to_the_number_that_is_counted(
    reading: Callable[..., Visit],
) -> None:
    here = reading()
    page = show(here, a_state(letters=COUNTED_MAX, spooled=COUNTED_MAX))
    expect(value_of(page, "Dead letters, 24 hours")).to_have_text("10,000 or more")
    expect(value_of(page, "Requests in the spool")).to_have_text("10,000 or more")
    here.shoot("pipeline-letters-light")
    show(here, a_state(letters=3))
    page.reload()
    here.open()
    page.get_by_role("link", name="3 not loaded").click()

    expect(value_of(page, "Dead letters, 24 hours")).to_have_text("3")
    expect(gauge(page, "Dead letters, 24 hours")).to_contain_text("GET /dead-letters")


def test_what_is_said_of_the_newest_event_is_true_of_the_dates_it_is_sought_by(reading: Callable[..., Visit]) -> None:
    page = show(reading(), a_state(newest=None))

    expect(value_of(page, "Newest event that shows")).to_have_text("none")
    expect(gauge(page, "Newest event that shows")).to_contain_text("dated from a day ago to a day ahead")


@pytest.fixture
def paused_load(stack: EmbeddedStack) -> Iterator[Callable[[], None]]:
    """Loading of events is paused; the call lets it go on and waits for it."""
    stack.wait_until_delivered()
    client = make_client("lambda", stack.connection.trigger_status_url)
    (mapping,) = (
        each
        for each in client.list_event_source_mappings()["EventSourceMappings"]
        if "LoadFunction" in each["FunctionArn"] and each["Topics"] == [EVENTS_TOPIC]
    )

    def resume() -> None:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        stack.wait_until_delivered()

    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    yield resume
    resume()
    client.close()


def test_records_that_wait_and_records_that_died_are_seen_as_they_are(
    reading: Callable[..., Visit], stack: EmbeddedStack, sender: ApiClient, paused_load: Callable[[], None]
) -> None:
    connection = stack.connection
    here = reading()
    here.open("#/pipeline")
    waiting, letters = (value_of(here.page, name) for name in ("Waiting to be loaded", "Dead letters, 24 hours"))
    expect(letters).to_have_text(re.compile(r"^[\d,]+$"))
    died = int(letters.inner_text().replace(",", ""))
    assert sender.post("/event", an_event(id=None, timestamp=datetime.now(UTC).isoformat())).status == 202
    for _ in range(2):
        run_jobs(connection, "measure_lag")
    here.page.keyboard.press("r")
    expect(waiting).to_have_text("1")
    state = ApiClient(connection.api_url, connection.read_key).get("/reports/pipeline").body
    assert state["load_stalled_since"] < state["lag_measured_at"]

    poison = Record(EVENTS_TOPIC, b"u1", b"{no event", time.time_ns() // 1_000_000)
    log = KafkaEventLog(connection.kafka, "plaintext", client_id="dashboard-test")
    assert log.append([poison]) == [True]
    log.close()
    paused_load()
    run_jobs(connection, "measure_lag")
    here.page.keyboard.press("r")
    expect(waiting).to_have_text("0")
    expect(letters).to_have_text(f"{died + 1:,}")
    expect(here.page.locator("#pulse")).to_contain_text("not loaded")
    here.shoot("pipeline-real-light")
