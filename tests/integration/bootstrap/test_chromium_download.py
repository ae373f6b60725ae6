"""What happens when the registry does not give the Chromium of the browser tests."""

from pathlib import Path

import pytest

from scripts.chromium import ChromiumMissing, fetch_browser
from tests.integration.bootstrap.cut_index import CutIndex


def test_a_registry_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChromiumMissing, match=r"http://127\.0\.0\.1:9/@sparticuz/chromium/-/chromium-[\d.]+\.tgz"):
        fetch_browser("http://127.0.0.1:9", tmp_path / "browser")

    assert not (tmp_path / "browser").exists()


def test_a_registry_that_serves_something_else_leaves_nothing_behind(tmp_path: Path) -> None:
    index = CutIndex()
    try:
        with pytest.raises(ChromiumMissing):
            fetch_browser(index.url, tmp_path / "browser")
    finally:
        index.close()

    assert not (tmp_path / "browser").exists()
