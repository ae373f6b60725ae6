"""What the process's environment decides: places and proxies. The only module that reads it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

URL: Final = "TALLYSTREAM_URL"
KEY: Final = "TALLYSTREAM_KEY"
SPOOL_DIR: Final = "TALLYSTREAM_SPOOL_DIR"


def setting(name: str) -> str:
    """The value of one of the names above; empty where it is not set."""
    return os.environ.get(name, "")


def default_spool_root() -> Path:
    """Where spools lie unless the program says otherwise: TALLYSTREAM_SPOOL_DIR, else the user's state folder."""
    if named := setting(SPOOL_DIR):
        return Path(named)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "tallystream"
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "tallystream"


def find_proxy(scheme: str, host: str) -> str | None:
    """The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY name for this host; None where there is none."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow to import

    return None if proxy_bypass(host) else getproxies().get(scheme)
