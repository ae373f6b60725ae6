"""The dashboard for those who see, hear or steer it in another way, and when the API says no."""

import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser import sample
from tests.browser.visit import DAY, PHONE, Visit, tile

TABS_MAX = 80  # more strokes than this to a link is a trap
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
FIND_FAULTS = """async () => {
  const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const found = await axe.run(document, {runOnly: rules});
  return found.violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
}"""


def press_until(page: Page, wanted: Callable[[str], bool]) -> None:
    """Tab until what has the focus is called so."""
    called = "(document.activeElement.textContent || document.activeElement.title || '').trim()"
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if wanted(page.evaluate(called)):
            return
    pytest.fail(f"not reached by {TABS_MAX} strokes of Tab")


def test_everything_is_reached_by_keyboard(
    visit: Callable[..., Visit], stack: Any, events: list[dict[str, Any]]
) -> None:
    here = visit()
    page = here.page
    here.open(DAY)
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(stack.connection.read_key)
    page.keyboard.press("Enter")
    expect(tile(page, "Events")).to_have_text(str(len(events)))

    worst, its_events = sample.worst_session(events)
    expect(page.locator("#sessions tbody a").first).to_be_visible()
    press_until(page, lambda name: name == worst)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator(".timeline a").first).to_be_visible()
    press_until(page, lambda name: its_events[0]["event_name"] in name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Event", exact=True)).to_be_focused()
    press_until(page, lambda name: name == "Close this event")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Event", exact=True)).to_be_hidden()

    page.get_by_role("link", name="Overview").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Overview")
    page.keyboard.press("f")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_first_stroke_of_tab_offers_to_skip_the_header(reading: Callable[..., Visit], events: Any) -> None:
    here = reading()
    here.open(DAY)
    expect(tile(here.page, "Events")).to_be_visible()
    here.page.keyboard.press("Tab")
    expect(here.page.get_by_role("link", name="Skip to content")).to_be_focused()
    here.page.keyboard.press("Enter")

    expect(here.page.get_by_role("main")).to_be_focused()
    assert here.page.url.endswith(DAY)


@pytest.mark.parametrize(
    ("view", "scheme"),
    [
        *((view, "light") for view in ("", "sessions", "events", "pipeline", "event", "key")),
        ("", "dark"),
        ("event", "dark"),
    ],
)
def test_axe_finds_no_fault(
    reading: Callable[..., Visit], visit: Callable[..., Visit], events: Any, view: str, scheme: str
) -> None:
    worst, its_events = sample.worst_session(events)
    here = (visit if view == "key" else reading)(color_scheme=scheme)
    path = f"sessions/{worst}/{its_events[0]['id']}" if view == "event" else view
    here.open(f"#/{path}?{sample.RANGE}")
    expect(here.page.get_by_role("heading", level=1)).to_be_visible()
    expect(here.page.locator("[aria-busy]")).to_have_count(0)
    here.page.evaluate(AXE)

    assert here.page.evaluate(FIND_FAULTS) == []


def answering(status: int, reason: str, **headers: str) -> Callable[[Route], None]:
    """What answers every report in this way."""
    body = json.dumps({"error": {"reason": reason, "message": "said by a test"}})
    return lambda route: route.fulfill(status=status, body=body, content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (422, "query_too_heavy", "Choose a shorter time range"),
        (503, "store_unavailable", "This page asks again by itself"),
        (429, "throttled", "Wait a moment"),
        (400, "window_invalid", "said by a test"),
    ],
)
def test_a_refusal_says_what_to_do(reading: Callable[..., Visit], status: int, reason: str, said: str) -> None:
    here = reading()
    here.page.route("**/reports/*", answering(status, reason))
    here.open()

    expect(here.page.get_by_role("alert")).to_contain_text(said)
    here.shoot(f"refusal-{status}")


def test_a_refusal_that_passes_heals_by_itself(reading: Callable[..., Visit], events: list[dict[str, Any]]) -> None:
    here = reading()
    here.page.route("**/reports/*", answering(503, "store_unavailable", **{"Retry-After": "1"}))
    here.open(DAY)
    expect(here.page.get_by_role("alert")).to_contain_text("again in")
    here.page.unroute_all()

    expect(tile(here.page, "Events")).to_have_text(str(len(events)))
    expect(here.page.get_by_role("alert")).to_have_count(0)


def test_a_key_that_is_revoked_is_asked_for_again(reading: Callable[..., Visit]) -> None:
    here = reading()
    here.page.route("**/reports/*", answering(403, "key_invalid"))
    here.open()

    expect(here.page.get_by_label("API key")).to_be_focused()
    expect(here.page.get_by_role("alert")).to_contain_text("revoked")


def test_where_nothing_happened_it_says_so(reading: Callable[..., Visit], stack: Any) -> None:
    here = reading()
    here.open("#/?start=2001-01-01T00%3A00%3A00.000Z&end=2001-01-02T00%3A00%3A00.000Z")
    expect(here.page.locator("#course")).to_contain_text("No events in this range")
    here.shoot("empty")
    here.page.get_by_role("link", name="Look at the last 30 days").click()

    expect(here.page.get_by_role("heading", level=1)).to_contain_text("last 30 days")


def test_an_event_that_is_not_there_says_what_that_may_mean(reading: Callable[..., Visit]) -> None:
    here = reading(viewport=PHONE)
    here.open("#/events/00000000-0000-4000-8000-0000000000aa")

    expect(here.page.get_by_text("or it is not loaded yet")).to_be_visible()
