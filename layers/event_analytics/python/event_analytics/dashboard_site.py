"""The dashboard's files -> HTTP answers: what may be asked for, as which type, and how long it may be kept.

Every file is asked for as `?asset=NAME&v=VERSION` of the page's own address. A stage of API Gateway is reached with and
without a slash at its end, behind whatever prefix, and only the query means the same in all of them. VERSION is a hash
of all files: what carries it never changes and is kept for a year, a deployment changes every address at once, and the
page itself is always asked for.
"""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from event_analytics.dashboard_bundle import bundle_modules
from event_analytics.errors import Reason, Refused
from event_analytics.http_exchange import Answer

PAGE: Final = "index.html"
ENTRY: Final = "main.js"
# Served as it is: before the first paint, the first of them; the library draws the charts.
SCRIPT_BEFORE_PAINT: Final = "theme.js"
LIBRARY: Final = "uplot.js"
SCRIPT: Final = "app.js"
STYLE: Final = "app.css"
STYLES: Final = ("uplot.css", "theme.css", "dashboard.css")
CONTENT_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
# Nothing inline, nothing from elsewhere: text of an event that became markup by mistake would still run nothing.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_KEPT_FOR_A_YEAR: Final = "public, max-age=31536000, immutable"
_ASKED_FOR_AGAIN: Final = "no-cache"
_VERSION_CHARACTERS: Final = 12  # 48 bits of a hash tell deployments apart
_VERSION_MARK: Final = b"{{version}}"  # stands in the page for what is known only when all files are


class Site(NamedTuple):
    """The dashboard, ready to serve. `files`: name -> bytes; only these names are answered."""

    version: str
    page: bytes
    files: Mapping[str, bytes]


def build_site(sources: Mapping[str, bytes]) -> Site:
    """The site of these sources: style sheets and modules joined, the rest as it is.

    Raises:
        ValueError: the modules do not fit together.
    """
    scripts = {name: content.decode() for name, content in sources.items() if name.endswith(".js")}
    library = scripts.pop(LIBRARY)
    kept = {name: content for name, content in sources.items() if name.endswith((".svg", ".txt"))}
    files = {
        **kept,
        SCRIPT_BEFORE_PAINT: scripts.pop(SCRIPT_BEFORE_PAINT).encode(),
        SCRIPT: f"{library}\n{bundle_modules(scripts, ENTRY)}".encode(),
        STYLE: b"\n".join(sources[name] for name in STYLES),
    }
    version = _version_of({**files, PAGE: sources[PAGE]})
    return Site(version, sources[PAGE].replace(_VERSION_MARK, version.encode()), files)


def answer_page(site: Site, headers: Mapping[str, str]) -> Answer:
    """The page; 304 to a browser that has it. `headers`: of the request, names in lower case."""
    return _answer_file(site.page, "html", _ASKED_FOR_AGAIN, headers)


def answer_asset(site: Site, name: str, version: str | None, headers: Mapping[str, str]) -> Answer:
    """One file; an address of another version is answered with today's file, and not kept.

    Raises:
        Refused: route_not_found; the names are a closed set, so none reaches a file system.
    """
    content = site.files.get(name)
    if content is None:
        raise Refused(Reason.ROUTE_NOT_FOUND, "the dashboard has no such file", "asset")
    keeping = _KEPT_FOR_A_YEAR if version == site.version else _ASKED_FOR_AGAIN
    return _answer_file(content, name.rpartition(".")[2], keeping, headers)


def _version_of(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:_VERSION_CHARACTERS]


def _answer_file(content: bytes, extension: str, keeping: str, headers: Mapping[str, str]) -> Answer:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    sent = {"Content-Type": CONTENT_TYPES[extension], "Cache-Control": keeping, "ETag": tag, **_SECURITY_HEADERS}
    # API Gateway packs the body and then marks the tag as weak; the browser sends back what it got.
    known = {given.strip().removeprefix("W/") for given in headers.get("if-none-match", "").split(",")}
    return Answer(304, b"", sent) if tag in known else Answer(200, content, sent)
