"""The dashboard's files -> answers."""

import re

import pytest

from event_analytics.adapters.dashboard_files import FOLDER, read_dashboard
from event_analytics.dashboard_site import (
    CONTENT_SECURITY_POLICY,
    Site,
    answer_asset,
    answer_page,
    build_site,
)
from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import RESPONSE_BYTES_MAX

SOURCES = {
    "index.html": b'<script src="?asset=app.js&amp;v={{version}}"></script>',
    "theme.js": b"theme()",
    "uplot.js": b"var uPlot;",
    "main.js": b'import { other } from "./other.js";\nother();',
    "other.js": b"export function other() {}",
    "uplot.css": b"u{}",
    "theme.css": b"t{}",
    "dashboard.css": b"d{}",
    "icon.svg": b"<svg/>",
    "licence.txt": b"MIT",
}
DASHBOARD = read_dashboard()
MODULES = sorted(path for path in FOLDER.glob("*.js"))


@pytest.fixture
def site() -> Site:
    return build_site(SOURCES)


def test_style_sheets_and_modules_are_joined_and_the_rest_is_served_as_it_is(site: Site) -> None:
    assert site.files.keys() == {"app.js", "app.css", "theme.js", "icon.svg", "licence.txt"}
    assert site.files["app.css"] == b"u{}\nt{}\nd{}"
    assert site.files["app.js"].startswith(b"var uPlot;\n")
    assert f"v={site.version}".encode() in site.page


def test_a_change_in_any_file_changes_every_address() -> None:
    versions = {build_site({**SOURCES, name: content + b"\n"}).version for name, content in SOURCES.items()}

    assert len({*versions, build_site(SOURCES).version}) == len(SOURCES) + 1


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("licence.txt", "text/plain; charset=utf-8"),
    ],
)
def test_a_file_has_its_type(site: Site, name: str, content_type: str) -> None:
    answer = answer_asset(site, name, site.version, {})

    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, site.files[name], content_type)


def test_what_carries_the_version_is_kept_and_everything_else_is_asked_for_again(site: Site) -> None:
    keeping = {
        "page": answer_page(site, {}).headers["Cache-Control"],
        "today": answer_asset(site, "app.js", site.version, {}).headers["Cache-Control"],
        "yesterday": answer_asset(site, "app.js", "0123456789ab", {}).headers["Cache-Control"],
        "unversioned": answer_asset(site, "app.js", None, {}).headers["Cache-Control"],
    }

    assert keeping.pop("today") == "public, max-age=31536000, immutable"
    assert set(keeping.values()) == {"no-cache"}


@pytest.mark.parametrize("prefix", ["", "W/", '"another", '])
def test_a_browser_that_has_the_page_is_sent_none(site: Site, prefix: str) -> None:
    first = answer_page(site, {})

    again = answer_page(site, {"if-none-match": prefix + first.headers["ETag"]})

    assert (again.status, again.body) == (304, b"")
    assert again.headers == first.headers


@pytest.mark.parametrize(
    "name", ["", "index.html", "main.js", "..", "../index.html", "app.js/", "/etc/passwd", "APP.JS"]
)
def test_a_name_that_is_no_file_of_the_dashboard_is_refused(site: Site, name: str) -> None:
    with pytest.raises(Refused) as refused:
        answer_asset(site, name, None, {})

    assert refused.value.reason is Reason.ROUTE_NOT_FOUND


@pytest.mark.parametrize("name", ["page", *DASHBOARD.files])
def test_every_answer_forbids_what_a_page_of_ours_never_does(name: str) -> None:
    answer = answer_page(DASHBOARD, {}) if name == "page" else answer_asset(DASHBOARD, name, None, {})

    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert len(answer.body) < RESPONSE_BYTES_MAX
    assert answer.body.decode()


def test_the_page_has_nothing_inline_and_names_only_files_that_are_there() -> None:
    page = DASHBOARD.page.decode()
    named = re.findall(r'(?:src|href)="\?asset=([\w.]+)&amp;v=(\w+)"', page)

    assert {name for name, _ in named} == {"app.js", "app.css", "theme.js", "icon.svg"}
    assert {version for _, version in named} == {DASHBOARD.version}
    assert len(re.findall(r"<script|<link", page)) == len(named)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://", page)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_no_module_turns_text_into_markup_or_code(module) -> None:
    source = module.read_text("utf-8")

    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", source)
    assert source.startswith("// ")
    assert len(source.splitlines()) <= 250


def test_the_library_that_is_shipped_names_its_version_and_its_licence() -> None:
    vendored = (FOLDER / "vendor" / "README.txt").read_text("utf-8")
    version = re.search(r"uPlot ([\d.]+)", vendored)

    assert version
    assert f"(v{version[1]})".encode() in DASHBOARD.files["app.js"][:200]
    assert b"MIT" in DASHBOARD.files["uplot.LICENSE.txt"]
