"""The dashboard's files as they lie in this package."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from event_analytics.dashboard_site import CONTENT_TYPES, Site, build_site

FOLDER: Final = Path(__file__).parents[1] / "dashboard"


@lru_cache(maxsize=1)
def read_dashboard() -> Site:
    """The site; read once per process, as a deployed package never changes."""
    files = (path for path in FOLDER.rglob("*") if path.suffix.removeprefix(".") in CONTENT_TYPES)
    return build_site({path.name: path.read_bytes() for path in files})
