"""The dashboard in a real Chromium, on events that these tests send."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import sample
from tests.browser.visit import DAY, PHONE, Visit, tile


@pytest.fixture
def overview(reading: Callable[..., Visit], events: list[dict[str, Any]]) -> Visit:
    """The overview of the day, drawn."""
    visit = reading()
    visit.open(DAY)
    expect(tile(visit.page, "Events")).to_have_text(f"{len(events):,}")
    return visit


def rows_of(page: Page, panel: str) -> list[list[str]]:
    """Texts of a panel's table, cell by cell."""
    rows = page.locator(f"#{panel} tbody tr")
    expect(rows.first).to_be_visible()
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def test_the_key_is_asked_for_once_and_stays_in_the_tab(visit: Callable[..., Visit], stack: Any, events: Any) -> None:
    here = visit()
    here.open(DAY)
    here.enter("no-such-key")
    expect(here.page.get_by_role("alert")).to_contain_text("unknown, revoked or expired")
    here.shoot("key-refused")

    here.enter(stack.connection.write_key)
    expect(here.page.get_by_role("alert")).to_contain_text("may not read")

    here.enter(stack.connection.read_key)
    expect(tile(here.page, "Events")).to_have_text(f"{len(events):,}")
    expect(here.page.get_by_role("heading", level=1)).to_be_focused()
    here.page.reload()
    expect(tile(here.page, "Events")).to_have_text(f"{len(events):,}")
    kept = here.page.evaluate("[location.href, JSON.stringify(localStorage), document.cookie].join()")
    assert stack.connection.read_key not in kept

    here.page.get_by_role("button", name="Forget the key").click()
    expect(here.page.get_by_label("API key")).to_be_focused()
    assert here.page.evaluate("sessionStorage.length") == 0


def test_the_overview_says_what_was_sent(overview: Visit, events: list[dict[str, Any]]) -> None:
    page, failures = overview.page, sample.failed(events)

    expect(tile(page, "Users")).to_have_text(str(len({event["user_id"] for event in events})))
    expect(tile(page, "Error rate")).to_have_text(f"{len(failures) / len(events) * 100:.1f}%")
    expect(page.locator("#course")).to_contain_text(f"{len(failures)} errors")
    assert [(row[0], int(row[1])) for row in rows_of(page, "users")] == sample.counted(events, "user_id")[:8]
    by_type = {row[0]: int(row[1]) for row in rows_of(page, "errors")}
    assert by_type == dict(sample.counted(failures, "event_name"))
    assert {row[0]: int(row[1]) for row in rows_of(page, "texts")} == dict(sample.counted(failures, "error"))
    assert {row[0]: int(row[1]) for row in rows_of(page, "latency")} == dict(sample.counted(events, "event_name"))
    worst, its_events = sample.worst_session(events)
    first = rows_of(page, "sessions")[0]
    assert first[:3] == [worst, str(len(its_events)), str(len(sample.failed(its_events)))]
    overview.shoot("overview-light")


def test_the_course_of_each_figure_stands_in_a_table_too(overview: Visit, events: list[dict[str, Any]]) -> None:
    page = overview.page
    page.get_by_text("Show as table").click()
    counts = [int(text) for text in page.locator("#course tbody td:nth-child(2)").all_inner_texts()]
    assert len(counts) == 24
    assert sum(counts) == len(events)
    page.locator(".tile").filter(has_text="Latency p95").click()

    expect(page.locator("#course .panel-title")).to_have_text("Latency p95 over time")
    assert "metric=p95_ms" in page.url
    assert "highest" in page.locator("#course figcaption").inner_text()
    page.go_back()
    expect(page.locator("#course .panel-title")).to_have_text("Events over time")


def test_filters_stand_in_the_address_and_the_back_button_undoes_them(overview: Visit, events: Any) -> None:
    page = overview.page
    page.locator("#latency").get_by_role("link", name="agent.step").click()
    chosen = [event for event in events if event["event_name"] == "agent.step"]
    expect(tile(page, "Events")).to_have_text(str(len(chosen)))

    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_label("Field").select_option("property")
    page.get_by_label("Name").fill("tokens.input")
    page.get_by_label("Comparison").select_option("gt")
    page.get_by_label("Value").fill("2000")
    page.get_by_role("button", name="Apply").click()
    narrow = [event for event in chosen if event["properties"]["tokens"]["input"] > 2_000]
    expect(tile(page, "Events")).to_have_text(str(len(narrow)))
    expect(page.get_by_role("list", name="Filters")).to_contain_text("tokens.input greater than 2000")
    shared = page.url

    page.go_back()
    expect(tile(page, "Events")).to_have_text(str(len(chosen)))
    page.go_back()
    expect(tile(page, "Events")).to_have_text(str(len(events)))
    page.goto(shared)
    expect(tile(page, "Events")).to_have_text(str(len(narrow)))
    page.get_by_role("link", name=re.compile("Remove filter tokens.input")).click()
    expect(tile(page, "Events")).to_have_text(str(len(chosen)))


def test_another_range_is_one_click_or_one_stroke_away(overview: Visit, events: list[dict[str, Any]]) -> None:
    page = overview.page
    box = page.locator("#course .u-over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50, steps=4)
    page.mouse.up()
    expect(tile(page, "Events")).not_to_have_text(str(len(events)))
    start, end = re.search(r"start=([^&]+)&end=([^&]+)", page.url.replace("%3A", ":")).groups()  # type: ignore[union-attr]
    inside = [event for event in events if start <= event["timestamp"] < end]
    expect(tile(page, "Events")).to_have_text(str(len(inside)))

    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("last 7 days")
    assert page.url.endswith("window=7d")


def test_one_goes_from_a_failing_session_to_its_events_and_back(overview: Visit, events: Any) -> None:
    page = overview.page
    worst, its_events = sample.worst_session(events)
    page.locator("#sessions").get_by_role("link", name=worst).click()
    expect(page.locator(".timeline li")).to_have_count(len(its_events))
    assert page.locator(".timeline .what > b").all_inner_texts() == [event["event_name"] for event in its_events]
    overview.shoot("session-light")

    broken = sample.failed(its_events)[0]
    page.locator(f'[data-event="{broken["id"]}"] a').click()
    detail = page.get_by_role("region", name="Event", exact=True)
    expect(detail.get_by_role("heading", level=2)).to_have_text(broken["event_name"])
    for text in (broken["error"], broken["input"], str(broken["properties"]["tokens"]["input"]), broken["id"], "web"):
        expect(detail).to_contain_text(text)
    overview.shoot("event-light")

    detail.get_by_role("link", name="Close this event").click()
    expect(detail).to_be_hidden()
    page.go_back()
    expect(detail).to_be_visible()
    page.go_back()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Overview")


def test_events_are_listed_page_by_page(reading: Callable[..., Visit], events: list[dict[str, Any]]) -> None:
    visit = reading()
    visit.open(f"#/events?{sample.RANGE}")
    newest = sorted(events, key=lambda event: (event["timestamp"], event["id"]), reverse=True)
    rows = visit.page.locator("#list tbody tr")
    expect(rows).to_have_count(50)
    visit.page.get_by_role("button", name="Load more").click()
    expect(rows).to_have_count(100)

    listed = visit.page.locator("#list a[data-event]").evaluate_all("links => links.map((link) => link.dataset.event)")
    assert listed == [event["id"] for event in newest[:100]]
    visit.shoot("events-light")


def test_a_report_is_saved_as_csv(overview: Visit, events: list[dict[str, Any]]) -> None:
    with overview.page.expect_download() as saving:
        overview.page.get_by_role("button", name="CSV of Top users").click()

    lines = saving.value.path().read_text(encoding="utf-8").splitlines()
    assert lines == ["user_id,events", *(f"{name},{count}" for name, count in sample.counted(events, "user_id"))]


@pytest.mark.parametrize("end", ["", "/", "?from=a-mail"])
def test_the_page_works_whatever_ends_its_address(
    reading: Callable[..., Visit], events: Any, stack: Any, end: str
) -> None:
    visit = reading(url=stack.connection.api_url + end)
    visit.open(DAY)

    expect(tile(visit.page, "Events")).to_have_text(str(len(events)))


def test_the_page_works_behind_another_prefix(reading: Callable[..., Visit], events: Any, stack: Any) -> None:
    base, _, rest = stack.connection.api_url.partition("/_aws/execute-api/")
    visit = reading(url=f"{base}/restapis/{rest}/_user_request_")
    visit.open(DAY)

    expect(tile(visit.page, "Events")).to_have_text(str(len(events)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_shown_in_the_systems_theme_until_another_is_chosen(
    reading: Callable[..., Visit], events: Any, scheme: str
) -> None:
    visit = reading(color_scheme=scheme)
    visit.open(DAY)
    expect(visit.page.locator(".uplot")).to_be_visible()
    shown = "getComputedStyle(document.body).colorScheme"
    assert visit.page.evaluate(shown) == scheme
    if scheme == "dark":
        visit.shoot("overview-dark")

    visit.page.get_by_role("button", name="Theme").click()
    visit.page.get_by_role("button", name="Theme").click()
    assert visit.page.evaluate(shown) == "dark"
    visit.page.reload()
    assert visit.page.evaluate(shown) == "dark"


@pytest.mark.parametrize("view", ["", "sessions", "events", "pipeline", "session", "event"])
def test_it_fits_a_phone(reading: Callable[..., Visit], events: list[dict[str, Any]], view: str) -> None:
    worst, its_events = sample.worst_session(events)
    path = {"session": f"sessions/{worst}", "event": f"sessions/{worst}/{its_events[0]['id']}"}.get(view, view)
    visit = reading(viewport=PHONE, has_touch=True)
    visit.open(f"#/{path}?{sample.RANGE}")
    expect(visit.page.locator("[aria-busy]")).to_have_count(0)
    visit.page.wait_for_load_state("networkidle")

    assert visit.overflow_px() == 0
    visit.shoot(f"phone-{view or 'overview'}")


def test_live_asks_again_every_ten_seconds(reading: Callable[..., Visit], events: list[dict[str, Any]]) -> None:
    here = reading()
    here.page.clock.install()
    here.open(DAY)
    expect(tile(here.page, "Events")).to_have_text(str(len(events)))
    here.page.get_by_role("button", name="Live").click()
    for _ in range(2):
        with here.page.expect_response(lambda response: "reports/volume" in response.url):
            here.page.clock.fast_forward(10_000)

    expect(here.page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "true")
    expect(tile(here.page, "Events")).to_have_text(str(len(events)))


def test_similar_events_are_found_and_opened(reading: Callable[..., Visit], events: list[dict[str, Any]]) -> None:
    one = next(event for event in events if "input_embeddings" in event)
    nearest = sample.nearest(events, one)
    here = reading()
    here.open(f"#/events/{one['id']}?{sample.RANGE}")
    here.page.get_by_text("Similar events").click()
    found = here.page.locator(".similar-list a")
    expect(found).to_have_count(8)
    expect(found.first).to_contain_text(f"{nearest[0][0] * 100:.1f}%")
    expect(found.first).to_contain_text(nearest[0][1]["input"])
    here.shoot("similar-light", is_whole=False)
    found.first.click()

    expect(here.page.get_by_role("region", name="Event", exact=True)).to_contain_text(nearest[0][1]["id"])
