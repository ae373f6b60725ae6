"""Bodies in and out of HTTP content encodings: gzip, deflate, lz4, zstd, and brotli where it is installed.

Decides which encodings are spoken and how large an unpacked body may grow. ClickHouse's own block compression
(`compress=1`) is another thing and is refused by the service.
"""

import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code

MAX_UNPACKED_BYTES: Final = 512 * 1024 * 1024  # a body is held in memory whole; forty times the largest batch we send
STEP_BYTES: Final = 1024 * 1024  # unpacked at a time, so that a bomb is noticed early
FAST_LEVEL: Final = 1  # answers travel over loopback: speed before size


def unpack(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding.

    Every encoding may come as several frames or members one after another: clickhouse-connect sends one lz4
    frame per block, and a decoder that stops after the first loses rows silently.

    Raises:
        ClickHouseError: 48 for an unknown encoding, 354/448/561/618 for damaged or cut data, 307 when it is
            too large.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    start, code = _decoder(encoding)
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _decode_members(body, start):
            size += len(piece)
            if size > MAX_UNPACKED_BYTES:
                raise ClickHouseError(Code.TOO_MANY_BYTES, f"Body is larger than {MAX_UNPACKED_BYTES} bytes unpacked.")
            pieces.append(piece)
    except (
        zlib.error,
        EOFError,
        RuntimeError,
        ValueError,
        OSError,
        ArithmeticError,
        _codec_error(encoding),
    ) as error:
        raise ClickHouseError(code, f"Cannot unpack the body as {encoding}: {error}") from None
    return b"".join(pieces)


def _decode_members(body: bytes, start: Callable[[], Any]) -> Iterator[bytes]:
    rest = body
    while rest:
        decoder = start()
        yield from _decode_one(decoder, rest)
        if not decoder.eof:
            raise EOFError("unexpected end of data")
        rest = decoder.unused_data


def _decode_one(decoder: Any, packed: bytes) -> Iterator[bytes]:
    """One frame; zlib hands back what it has not read yet, the others keep it."""
    rest = packed
    while True:
        piece: bytes = decoder.decompress(rest, STEP_BYTES)
        yield piece
        rest = getattr(decoder, "unconsumed_tail", b"")
        if decoder.eof or not (piece or rest):
            return


class _Brotli:
    """brotli's decoder with the face of the others; it reads one stream to its end."""

    def __init__(self) -> None:
        self._decoder = import_module("brotli").Decompressor()
        self.unused_data = b""
        self.eof = False

    def decompress(self, packed: bytes, _step: int) -> bytes:
        unpacked: bytes = self._decoder.process(packed)
        self.eof = self._decoder.is_finished()
        return unpacked


def _decoder(encoding: str) -> tuple[Callable[[], Any], Code]:
    try:
        if encoding in ("gzip", "x-gzip", "deflate"):
            bits = zlib.MAX_WBITS if encoding == "deflate" else zlib.MAX_WBITS | 16
            return lambda: zlib.decompressobj(bits), Code.ZLIB_INFLATE_FAILED
        if encoding == "lz4":
            return import_module("lz4.frame").LZ4FrameDecompressor, Code.LZ4_DECODER_FAILED
        if encoding == "zstd":
            return _zstd().ZstdDecompressor, Code.ZSTD_DECODER_FAILED
        if encoding == "br":
            import_module("brotli")
            return _Brotli, Code.BROTLI_READ_FAILED
    except ImportError:
        raise ClickHouseError(Code.NOT_IMPLEMENTED, f"Compression method {encoding} is not installed.") from None
    raise ClickHouseError(Code.NOT_IMPLEMENTED, f"Unknown compression method: {encoding}")


def _codec_error(encoding: str) -> type[Exception]:
    error: type[Exception] = zlib.error
    if encoding == "zstd":
        error = _zstd().ZstdError
    elif encoding == "br":
        error = import_module("brotli").error
    return error


def _zstd() -> Any:
    try:
        return import_module("compression.zstd")  # Python 3.14
    except ImportError:
        return import_module("backports.zstd")


class Packer:
    """Packs an answer as one stream in `encoding`."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self._head = b""
        if encoding in ("gzip", "deflate"):
            self._codec: Any = zlib.compressobj(FAST_LEVEL, wbits=31 if encoding == "gzip" else 15)
        elif encoding == "zstd":
            self._codec = _zstd().ZstdCompressor(FAST_LEVEL)
        else:
            self._codec = import_module("lz4.frame").LZ4FrameCompressor()
            self._head = self._codec.begin()

    def pack(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The packed stream of the pieces."""
        if self._head:
            yield self._head
        for piece in pieces:
            if packed := self._codec.compress(piece):
                yield packed
        yield self._codec.flush()


def choose_packer(accept_encoding: str) -> Packer | None:
    """The first encoding of an Accept-Encoding header that is spoken here; None when there is none."""
    for offer in accept_encoding.split(","):
        encoding = offer.split(";")[0].strip().lower()
        if encoding in ("gzip", "deflate", "lz4", "zstd"):
            try:
                return Packer(encoding)
            except ImportError:
                continue
    return None
