"""Reads a request's body off the wire, by Content-Length or in chunks, and refuses cut or endless ones."""

from collections.abc import Iterator
from email.message import Message
from io import BufferedIOBase
from typing import Final

from local_runtime.clickhouse_server.compression import MAX_UNPACKED_BYTES
from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code

MAX_BODY_BYTES: Final = MAX_UNPACKED_BYTES
MAX_CHUNK_LINE_BYTES: Final = 1024  # a chunk's size in hex and its extensions


def read_body(method: str, headers: Message, source: BufferedIOBase) -> bytes:
    """The whole body.

    After an error the rest of the connection cannot be understood: the caller must close it.

    Raises:
        ClickHouseError: 381 without a length, 408 for a wrong length or chunk, 3 for a cut body, 307 when too
            large, 209 when the client stops sending.
    """
    try:
        if "chunked" in headers.get("Transfer-Encoding", "").lower():
            return b"".join(_chunks(source))
        length = headers.get("Content-Length")
        if length is None:
            if method in ("POST", "PUT"):
                raise ClickHouseError(
                    Code.HTTP_LENGTH_REQUIRED,
                    f"There is no Content-Length and no chunked encoding for {method}",
                )
            return b""
        if not length.isascii() or not length.isdigit():
            raise ClickHouseError(Code.BAD_REQUEST_PARAMETER, f"Invalid Content-Length: {length[:40]}")
        return _exactly(source, _checked(int(length[:20])))
    except TimeoutError:
        raise ClickHouseError(Code.SOCKET_TIMEOUT, "Timeout while reading the body", status=408) from None


def _chunks(source: BufferedIOBase) -> Iterator[bytes]:
    total = 0
    while size := _chunk_size(source):
        total = _checked(total + size)
        yield _exactly(source, size)
        if source.readline(MAX_CHUNK_LINE_BYTES) not in (b"\r\n", b"\n"):
            raise ClickHouseError(Code.BAD_REQUEST_PARAMETER, "A chunk does not end where its size says")
    while line := source.readline(MAX_CHUNK_LINE_BYTES):  # trailers are read and ignored
        if line in (b"\r\n", b"\n"):
            return
    raise ClickHouseError(Code.UNEXPECTED_END_OF_FILE, "Unexpected end of file after the last chunk")


def _chunk_size(source: BufferedIOBase) -> int:
    line = source.readline(MAX_CHUNK_LINE_BYTES)
    if not line.endswith(b"\n") and len(line) < MAX_CHUNK_LINE_BYTES:
        raise ClickHouseError(Code.UNEXPECTED_END_OF_FILE, "Unexpected end of file while reading a chunk header")
    digits = line.split(b";")[0].strip()
    if not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise ClickHouseError(Code.BAD_REQUEST_PARAMETER, "Unexpected data instead of HTTP chunk header")
    return int(digits, 16)


def _exactly(source: BufferedIOBase, size: int) -> bytes:
    content = source.read(size)
    if len(content) < size:
        raise ClickHouseError(
            Code.UNEXPECTED_END_OF_FILE,
            f"Unexpected end of file: {len(content)} of {size} bytes of the body arrived",
        )
    return content


def _checked(size: int) -> int:
    if size > MAX_BODY_BYTES:
        raise ClickHouseError(Code.TOO_MANY_BYTES, f"Body of {size} bytes is larger than {MAX_BODY_BYTES}")
    return size
