"""A page of the dashboard in the browser, and where things stand on it."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

from local_runtime.settings import REPOSITORY
from tests.browser import sample

SCREENSHOTS = REPOSITORY / "build" / "screenshots"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 780}
DAY = f"#/?{sample.RANGE}"


@dataclass
class Visit:
    """A page of the browser, and what went wrong in it: errors, dialogs, violations of the policy."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str = "#/") -> None:
        """Go to an address of the dashboard, wherever the page is now."""
        self.page.goto(self.url + address)

    def enter(self, key: str) -> None:
        """Type a key into the form that asks for it."""
        self.page.get_by_label("API key").fill(key)
        self.page.get_by_role("button", name="Open dashboard").click()

    def shoot(self, name: str, *, is_whole: bool = True) -> None:
        """Save a picture for people to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_load_state("networkidle")
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=is_whole)

    def overflow_px(self) -> int:
        """How far the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def tile(page: Page, name: str) -> Any:
    """The figure in one of the four tiles."""
    return page.locator(".tile").filter(has=page.get_by_text(name, exact=True)).locator(".tile-value")
