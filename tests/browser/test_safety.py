"""What an event says is text, whatever it looks like: markup in every field of an event, in a real Chromium."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.visit import Visit
from tests.e2e.http_client import ApiClient

RANGE = "start=2026-04-01T00%3A00%3A00.000Z&end=2026-04-02T00%3A00%3A00.000Z"
# Each would run in another place: element content, an attribute, an address, a script, a template, a style.
ATTACKS = (
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)//",
    "</script><script>alert(1)</script>",
    "{{constructor.constructor('alert(1)')()}}",
    "<style>*{display:none}</style>",
)


def an_attack(number: int) -> dict[str, Any]:
    """An event that attacks with every field that takes a text."""

    def text(field: str) -> str:
        return f"{field}-{ATTACKS[number]}"

    return {
        "id": f"00000000-0000-4000-8000-00000000000{number}",
        "timestamp": f"2026-04-01T00:00:0{number}.000Z",
        "event_name": text("name"),
        "user_id": text("user"),
        "conversation_id": text("session"),
        "error": text("error"),
        "input": json.dumps([{"role": text("role"), "content": text("input")}]),
        "output": text("output"),
        "properties": {text("key"): text("value"), "nested": {text("inner"): [text("listed")]}},
        "conversation_metadata": {text("metadata"): text("channel")},
        "input_embeddings": [0.1, 0.2, 0.3 + number],
        "latency_ms": 5,
    }


@pytest.fixture(scope="module")
def attacks(stack: Any, sender: ApiClient) -> list[dict[str, Any]]:
    made = [an_attack(number) for number in range(len(ATTACKS))]
    assert sender.post("/events", {"events": made}).status == 202
    stack.wait_until_delivered()
    return made


def test_markup_in_any_field_of_an_event_is_shown_as_text(reading: Callable[..., Visit], attacks: Any) -> None:
    visit = reading()
    page = visit.page
    elements = "document.querySelectorAll('img, script:not([src]), main style, [onerror], [onload]').length"
    visit.open(f"#/?{RANGE}")
    for panel, name in (
        ("users", "user"),
        ("latency", "name"),
        ("errors", "name"),
        ("texts", "error"),
        ("sessions", "session"),
    ):
        for attack in ATTACKS:
            expect(page.locator(f"#{panel}").get_by_text(f"{name}-{attack}", exact=True).first).to_be_visible()
    visit.open(f"#/events?{RANGE}")
    for event in attacks:
        page.locator(f'[data-event="{event["id"]}"]').click()
        detail = page.get_by_role("region", name="Event", exact=True)
        attack = event["event_name"].removeprefix("name-")
        for name in (
            "name",
            "user",
            "session",
            "error",
            "role",
            "input",
            "output",
            "key",
            "value",
            "metadata",
            "channel",
        ):
            expect(detail.get_by_text(f"{name}-{attack}").first).to_be_visible()

    assert page.evaluate(elements) == 0
    assert page.evaluate(
        "[...document.querySelectorAll('a')].every((link) => link.getAttribute('href').startsWith('#'))"
    )
    assert visit.complaints == []


def test_a_session_is_opened_whatever_its_name(reading: Callable[..., Visit], attacks: Any) -> None:
    visit = reading()
    for event in attacks:
        visit.open(f"#/sessions?{RANGE}")
        visit.page.get_by_role("link", name=event["conversation_id"], exact=True).click()
        expect(visit.page.locator(".timeline li")).to_have_count(1)
        expect(visit.page.locator(".timeline .what > b")).to_have_text(event["event_name"])


def test_a_property_is_filtered_by_whatever_its_name(reading: Callable[..., Visit], attacks: Any) -> None:
    visit = reading()
    page = visit.page
    for event in attacks:
        [(name, value), *_] = event["properties"].items()
        if "." in name:
            continue  # a dot leads into an object, in every filter
        visit.open(f"#/events/{event['id']}?{RANGE}")
        page.get_by_role("link", name=f"Events with {name} {value}").click()
        expect(page.locator("#list tbody tr")).to_have_count(1)
        expect(page.get_by_role("list", name="Filters").get_by_text(value, exact=True)).to_be_visible()


def test_text_in_the_address_itself_is_text_too(reading: Callable[..., Visit], attacks: Any) -> None:
    visit = reading()
    for attack in ("<img src=x onerror=alert(1)>", "javascript:alert(1)"):
        visit.open(f"#/events/{attack}?{RANGE}&event_name={attack}&properties.{attack}=eq:{attack}&unknown={attack}")
        expect(visit.page.get_by_role("list", name="Filters").get_by_role("link")).to_have_count(2)
        expect(visit.page.get_by_text("not the id of an event")).to_be_visible()
        visit.open(f"#/sessions/{attack}")
        expect(visit.page.get_by_text("No event of this session is stored")).to_be_visible()
        visit.open(f"#/%zz/%e0%a4%a/{attack}")
        expect(visit.page.get_by_role("heading", level=1)).to_contain_text("Overview")


def test_the_page_runs_under_a_policy_that_allows_nothing_inline(visit: Callable[..., Visit]) -> None:
    here = visit()
    answer = here.page.goto(here.url)
    assert answer
    policy = answer.header_value("content-security-policy") or ""
    here.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
    )

    assert "script-src 'self'" in policy
    assert here.page.evaluate("window.ran") is None
    assert here.complaints
    here.complaints.clear()
