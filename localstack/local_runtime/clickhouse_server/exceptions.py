"""ClickHouse error codes as Python exceptions, and the HTTP status of each code.

The codes and names are ClickHouse's. The statuses are those of its `exceptionCodeToHTTPStatus`, with one
deliberate difference: where the real server answers 500 although the request itself is at fault (readonly, a
damaged body, a missing parameter), this one answers 4xx, so that a 500 always means the engine. Clients
decide by the code anyway.
"""

import re
from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """The codes this package raises itself; the engine's own pass through unchanged."""

    UNEXPECTED_END_OF_FILE = 3
    BAD_ARGUMENTS = 36
    NOT_IMPLEMENTED = 48
    SYNTAX_ERROR = 62
    UNKNOWN_FORMAT = 73
    UNKNOWN_SETTING = 115
    READONLY = 164
    TOO_MANY_SIMULTANEOUS_QUERIES = 202
    SOCKET_TIMEOUT = 209
    QUERY_IS_TOO_LARGE = 229
    TOO_MANY_BYTES = 307
    ZLIB_INFLATE_FAILED = 354
    INTO_OUTFILE_NOT_ALLOWED = 358
    SESSION_NOT_FOUND = 372
    SESSION_IS_LOCKED = 373
    INVALID_SESSION_TIMEOUT = 374
    HTTP_LENGTH_REQUIRED = 381
    BAD_REQUEST_PARAMETER = 408
    BROTLI_READ_FAILED = 448
    AUTHENTICATION_FAILED = 516
    ZSTD_DECODER_FAILED = 561
    LZ4_DECODER_FAILED = 618
    UNKNOWN_EXCEPTION = 1002


# parse errors of text and of the query tree, wrong types, wrong values
_UNREADABLE: Final = (
    *(6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123),
    *(167, 168, 223, 321, 376, 427, 441, 675, 676),
)
_STATUS_OF_CODES: Final[dict[int, tuple[int, ...]]] = {
    400: _UNREADABLE,
    403: (164, 192, 193, 497, 512, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 372, 511),
    408: (159, 209),
    411: (381,),
    413: (229, 307),
    501: (48,),
    503: (76, 202, 439),
}
# 500 on the real server: cut or damaged bodies and blocks, broken compression, missing or wrong parameters
_DAMAGED: Final = (3, 32, 33, 43, 246, 354, 358, 373, 374, 386, 408, 448, 456, 457, 561, 618)
_STATUS: Final = {code: status for status, codes in _STATUS_OF_CODES.items() for code in codes} | dict.fromkeys(
    _DAMAGED, 400
)
_ENGINE_MESSAGE: Final = re.compile(r"Code: (\d+)\. .*", re.DOTALL)


def http_status(code: int) -> int:
    """The HTTP status for a ClickHouse code; 500 for every code that names no fault of the request."""
    return _STATUS.get(code, 500)


class ClickHouseError(Exception):
    """An answer with a ClickHouse code. `text` is the whole body of the HTTP answer, one line in ClickHouse's form."""

    def __init__(self, code: int, message: str, *, status: int | None = None) -> None:
        name = Code(code).name if code in Code.__members__.values() else "UNKNOWN_EXCEPTION"
        super().__init__(f"Code: {int(code)}. DB::Exception: {message} ({name})\n")
        self.code = int(code)
        self.status = status or http_status(code)

    @property
    def text(self) -> str:
        """The body of the HTTP answer."""
        return str(self)


class EngineError(ClickHouseError):
    """An error that the engine raised; its text is passed on as it is."""

    def __init__(self, raised: Exception) -> None:
        found = _ENGINE_MESSAGE.search(str(raised))
        code = int(found[1]) if found else int(Code.UNKNOWN_EXCEPTION)
        super().__init__(code, str(raised))
        if found:
            self.args = (found[0].rstrip() + "\n",)
