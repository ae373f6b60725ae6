"""A server that takes whatever the three SDKs send, counts events, and costs as little as it can.

`python sink.py` prints its port and serves until its standard input closes. `GET /count` answers the events so far.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

_HEADER_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_ID: Final = slice(7, 43)  # each of our lines begins with its id


class Sink(asyncio.Protocol):
    """One connection. Requests are whole in memory before they are answered."""

    events = 0

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        while (end := self._buffer.find(_HEADER_END)) >= 0:
            head = bytes(self._buffer[:end])
            lower = head.lower()
            at = lower.find(_LENGTH)
            length = int(lower[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            total = end + len(_HEADER_END) + length
            if len(self._buffer) < total:
                return
            body = bytes(self._buffer[end + len(_HEADER_END) : total])
            del self._buffer[:total]
            self._answer(head.split(b" ", 2)[1].split(b"?")[0].rstrip(b"/"), body)

    def _answer(self, path: bytes, body: bytes) -> None:
        status, answer = b"200 OK", b'{"success": true, "status": 1}'
        if path in (b"/events", b"/batch") and body.startswith(b'{"id":"'):  # ours
            ids = [line[_ID] for line in body.split(b"\n")]
            Sink.events += len(ids)
            items = b",".join([b'{"id":"%b","status":"accepted"}' % identifier for identifier in ids])
            status, answer = b"202 Accepted", b'{"accepted":%d,"rejected":0,"items":[%b]}' % (len(ids), items)
        elif path == b"/v1/batch":  # Segment's
            Sink.events += body.count(b'"messageId"')
        elif path == b"/batch":  # PostHog's
            Sink.events += body.count(b'"distinct_id"')
        elif path == b"/count":
            answer = str(Sink.events).encode()
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(answer))
        if self._transport is not None:
            self._transport.write(head + answer)


async def serve() -> None:
    """Serves until the standard input closes."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
