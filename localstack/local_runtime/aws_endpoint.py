"""The AWS emulator as the embedded stack runs it, in the emulator's own environment: nothing else may be imported.

A REST API hands paths to Lambda as they were sent, percent-encoded; the emulator would hand them over decoded, and what
functions do with them could not be tried. So paths of APIs, and of these alone, are given to it as they came.

It also reads and writes each invocation's payload as JSON, 5 MB of a Kafka batch: with Python's own `json` that is half
of what the endpoint costs. And it unpacks all layers for each worker that starts, with every request waiting: here they
are unpacked once (docs/decisions/0040-less-work-around-an-event.md).
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import sys
import tempfile
import threading
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

API_PREFIX = "/_aws/execute-api/"
# It holds payloads of thousands of objects, as our functions do: `event_analytics.garbage` tells why so rarely.
COLLECT_AFTER = (50_000, 20, 50)

# Threads that wait for each other's turn ask for it every 5 ms by Python's default, 3,600 times a second under load.
SWITCH_SECONDS = 0.05
WORKER_MODULE = "ministack.core.lambda_runtime"
PAYLOAD_MODULES = (WORKER_MODULE, "ministack.services.lambda_svc")
LAYER_PREFIX = "layer_"  # of the archives that the emulator writes into a worker's folder

Serve = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def with_paths_as_sent(serve: Serve) -> Serve:
    """Return the ASGI application with paths of APIs as they were sent."""

    async def serve_as_sent(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(API_PREFIX):
            scope = {**scope, "path": scope["raw_path"].decode("ascii")}
        await serve(scope, receive, send)

    return serve_as_sent


class QuickJson:
    """The module `json`, by pydantic's core where nothing special is asked for; what that refuses, `json` decides.

    The emulator brings pydantic along; functions could import a library of our own beside it, which AWS has not.
    """

    def __init__(self) -> None:
        self._core: Any = importlib.import_module("pydantic_core")

    def __getattr__(self, name: str) -> Any:
        return getattr(json, name)

    def loads(self, text: str | bytes, **options: Any) -> Any:
        """As `json.loads`."""
        if not options:
            try:
                return self._core.from_json(text)
            except ValueError:
                pass
        return json.loads(text, **options)

    def dumps(self, document: Any, **options: Any) -> str:
        """As `json.dumps`, without its spaces and escapes where there are no options."""
        if not options:
            try:
                return str(self._core.to_json(document), "utf-8")
            except ValueError:
                pass
        return json.dumps(document, **options)


class LayerStore:
    """The module `zipfile` for starting workers: a layer is unpacked once for all, each worker gets a link to it.

    What Python compiles there serves the next worker, too. It lies in the stack's temporary folder, and goes with it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(zipfile, name)

    def ZipFile(self, path: str) -> Any:  # noqa: N802 - it stands for zipfile's
        """As `zipfile.ZipFile`, to be read."""
        archive = zipfile.ZipFile(path)
        return UnpackedLayer(self, Path(path), archive) if Path(path).name.startswith(LAYER_PREFIX) else archive

    def folder_of(self, path: Path, archive: zipfile.ZipFile) -> Path:
        """The folder that holds what the archive at `path` does."""
        with path.open("rb") as file:
            folder = Path(tempfile.gettempdir()) / f"layer-{hashlib.file_digest(file, 'sha256').hexdigest()}"
        with self._lock:
            if not folder.is_dir():
                unfinished = tempfile.mkdtemp(prefix="layer-unfinished-")
                archive.extractall(unfinished)
                Path(unfinished).rename(folder)
        return folder


class UnpackedLayer:
    """What the emulator needs of an open archive. It names nothing, as each name would be checked: they are our own."""

    def __init__(self, store: LayerStore, path: Path, archive: zipfile.ZipFile) -> None:
        self._store, self._path, self._archive = store, path, archive

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the archive."""
        self._archive.close()

    def namelist(self) -> list[str]:
        """Return no name."""
        return []

    def extractall(self, target: str) -> None:
        """Make `target`, an empty folder, a link to the contents."""
        folder = self._store.folder_of(self._path, self._archive)
        Path(target).rmdir()
        Path(target).symlink_to(folder, target_is_directory=True)


def main() -> None:
    """Serve until SIGTERM."""
    emulator: Any = importlib.import_module("ministack.app")
    emulator.app = with_paths_as_sent(emulator.app)
    for name in PAYLOAD_MODULES:
        importlib.import_module(name).json = QuickJson()  # type: ignore[attr-defined]
    importlib.import_module(WORKER_MODULE).zipfile = LayerStore()  # type: ignore[attr-defined]
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    emulator.main()


if __name__ == "__main__":
    main()
