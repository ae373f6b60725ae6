"""The AWS emulator as the embedded stack runs it, in the emulator's own environment: nothing else may be imported.

A REST API hands paths to Lambda as they were sent, percent-encoded; the emulator would hand them over decoded, and what
functions do with them could not be tried. So paths of APIs, and of these alone, are given to it as they came.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

API_PREFIX = "/_aws/execute-api/"
# It holds payloads of thousands of objects, as our functions do: `event_analytics.garbage` tells why so rarely.
COLLECT_AFTER = (50_000, 20, 50)

Serve = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def with_paths_as_sent(serve: Serve) -> Serve:
    """Return the ASGI application with paths of APIs as they were sent."""

    async def serve_as_sent(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(API_PREFIX):
            scope = {**scope, "path": scope["raw_path"].decode("ascii")}
        await serve(scope, receive, send)

    return serve_as_sent


def main() -> None:
    """Serve until SIGTERM."""
    emulator: Any = importlib.import_module("ministack.app")
    emulator.app = with_paths_as_sent(emulator.app)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    emulator.main()


if __name__ == "__main__":
    main()
