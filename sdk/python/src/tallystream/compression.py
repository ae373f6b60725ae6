"""Whether requests travel as gzip: only where the API says that it unpacks them (`GET /health`)."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Final

from tallystream.answers import Answer, NoAnswer

WORTHWHILE_BYTES: Final = 1_024  # below that the packet count is the same
_LEVEL: Final = 1  # three quarters of the gain of the default level for a fifth of its time
ASK_AGAIN_SECONDS: Final = 600.0  # a gateway's setting changes with a deployment
_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS


class Compression:
    """Packs bodies, or leaves them. `wanted` None: as `/health` says; else the caller knows. Owned by one thread."""

    def __init__(self, ask_health: Callable[[], Answer], *, wanted: bool | None) -> None:
        self._ask_health = ask_health
        self._is_on = bool(wanted)
        self._is_settled = wanted is not None
        self._asked_at: float | None = None

    def pack(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        """The body to send, and the headers that say how it is packed."""
        if len(body) < WORTHWHILE_BYTES or not self._is_accepted():
            return body, {}
        return _pack(body), {"Content-Encoding": "gzip"}

    def refuse(self) -> None:
        """The API did not unpack a body: send none packed from now on."""
        self._is_on = False
        self._is_settled = True

    def _is_accepted(self) -> bool:
        now = time.monotonic()
        if not self._is_settled and (self._asked_at is None or now - self._asked_at > ASK_AGAIN_SECONDS):
            self._asked_at = now
            try:
                encodings = self._ask_health().document().get("request_encodings")
            except NoAnswer:
                encodings = None
            self._is_on = isinstance(encodings, list) and "gzip" in encodings
        return self._is_on


def _pack(body: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    return packer.compress(body) + packer.flush()
