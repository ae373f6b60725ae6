"""A Chromium for each module, and pages of it that notice what no page of ours may do."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, expect, sync_playwright

from local_runtime.settings import REPOSITORY
from scripts.bootstrap import steps
from scripts.chromium import DESCRIPTION
from tests.browser import sample
from tests.browser.visit import DESKTOP, Visit
from tests.e2e.http_client import ApiClient

WAIT_MS_MAX = 20_000  # two cores, and other tests beside this one
expect.set_options(timeout=WAIT_MS_MAX)
# As root there is no sandbox to be had, and the pages are ours.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# Tells of a violation of the Content-Security-Policy before anything of the page runs.
WATCH_POLICY = "addEventListener('securitypolicyviolation', (event) => console.error('CSP ' + event.violatedDirective))"


# Not for the session: while Playwright lives, an event loop counts as running, and asyncio.run of other tests fails.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The Chromium that `make setup` fetched; without it these tests fail."""
    folder = REPOSITORY / steps.CHROMIUM_VENV / steps.BROWSER_FOLDER
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        pytest.fail("no Chromium is set up: run `make setup`")
    environment = {"HOME": str(folder), "LANG": "en_GB.UTF-8", **description["environment"]}
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=description["executable"], args=ARGUMENTS, env=environment
        )
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser, stack: Any) -> Iterator[Callable[..., Visit]]:
    """Open pages, each in a profile of its own: `visit()` without a key, `visit(key=...)` with one in its tab."""
    opened: list[Visit] = []

    def make(*, key: str | None = None, url: str | None = None, **options: Any) -> Visit:
        defaults = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "UTC", "color_scheme": "light"}
        context = browser.new_context(**{**defaults, **options})
        context.set_default_timeout(WAIT_MS_MAX)
        context.add_init_script(WATCH_POLICY)
        if key:
            context.add_init_script(f"sessionStorage.setItem('tallystream.key', {json.dumps(key)})")
        made = Visit(context.new_page(), url or stack.connection.api_url)
        made.page.on("pageerror", lambda error: made.complaints.append(f"error: {error}"))
        made.page.on("dialog", lambda dialog: made.complaints.append(f"dialog: {dialog.message}") or dialog.dismiss())
        made.page.on("console", lambda message: _note(made, message))
        opened.append(made)
        return made

    yield make
    complaints = [each for made in opened for each in made.complaints]
    for made in opened:
        made.page.context.close()
    assert complaints == []


def _note(visit: Visit, message: ConsoleMessage) -> None:
    """Keep what is wrong; a refused request is an answer that the page shows."""
    if message.type == "error" and not message.text.startswith("Failed to load resource"):
        visit.complaints.append(message.text)


@pytest.fixture(scope="session")
def sender(stack: Any) -> ApiClient:
    return ApiClient(stack.connection.api_url, stack.connection.write_key)


@pytest.fixture
def reading(visit: Callable[..., Visit], stack: Any) -> Callable[..., Visit]:
    """As `visit`, with a key that may read."""
    return lambda **options: visit(key=stack.connection.read_key, **options)


@pytest.fixture(scope="session")
def events(stack: Any, sender: ApiClient) -> list[dict[str, Any]]:
    """The events of the sample's day, loaded."""
    made = sample.make_events()
    assert sender.post("/events", {"events": made}).status == 202
    stack.wait_until_delivered()
    return made
