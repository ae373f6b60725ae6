"""From a raw HTTP request to an answer: path, credentials, unpacking, forms, the engine, packing.

Every way a request can go wrong ends here as a ClickHouse code; the HTTP part only carries bytes.
"""

import sys
import threading
from contextlib import ExitStack
from itertools import chain
from typing import Final

from local_runtime.clickhouse_server.answer import TEXT, Answer, error_answer
from local_runtime.clickhouse_server.compression import choose_packer, unpack
from local_runtime.clickhouse_server.credentials import Account, check_credentials
from local_runtime.clickhouse_server.engine import Engine
from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code
from local_runtime.clickhouse_server.request import ExternalTable, Request, read_form, read_target

MAX_RUNNING_QUERIES: Final = 100  # ClickHouse's own limit is of this order; more only share two cores
MIN_PACKED_BYTES: Final = 1024  # below this, packing costs more than it saves
_OPEN_PATHS: Final = ("/ping", "/replicas_status")


class Service:
    """Answers requests with one engine; safe to call from many threads."""

    def __init__(self, engine: Engine, account: Account | None = None) -> None:
        self._engine = engine
        self._account = account
        self._slots = threading.BoundedSemaphore(MAX_RUNNING_QUERIES)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer to one request; errors are answers too. `headers` has lower-case names."""
        try:
            return self._answer(method, target, headers, body)
        except ClickHouseError as error:
            return error_answer(error)
        except Exception as error:  # noqa: BLE001 - the last boundary: a defect must not look like a lost connection
            print(f"clickhouse: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            reason = f"{type(error).__name__} inside the server"
            return error_answer(ClickHouseError(Code.UNKNOWN_EXCEPTION, reason))

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        path, parameters = read_target(target)
        if path in _OPEN_PATHS:
            return Answer(headers={"Content-Type": TEXT}, body=b"Ok.\n")
        if path not in ("", "/"):
            raise ClickHouseError(Code.BAD_REQUEST_PARAMETER, f"There is no handle {path[:200]}", status=404)
        check_credentials(self._account, parameters, headers)
        request = _decode(method, path, parameters, headers, body)
        if method in ("GET", "HEAD") and not request.query and not request.body:
            return Answer(headers={"Content-Type": TEXT}, body=b"Ok.\n")
        answer = self._run(request)
        return (
            _packed(answer, headers.get("accept-encoding", "")) if request.is_on("enable_http_compression") else answer
        )

    def _run(self, request: Request) -> Answer:
        if not self._slots.acquire(blocking=False):
            raise ClickHouseError(
                Code.TOO_MANY_SIMULTANEOUS_QUERIES,
                f"Too many simultaneous queries. Maximum: {MAX_RUNNING_QUERIES}",
            )
        with ExitStack() as slot:
            slot.callback(self._slots.release)
            answer = self._engine.run(request)
            if not isinstance(answer.body, bytes):
                answer.cleanup.push(slot.pop_all())  # a stream keeps its place until it ends
            return answer


def _decode(method: str, path: str, parameters: dict[str, str], headers: dict[str, str], body: bytes) -> Request:
    for name in ("compress", "decompress"):
        if parameters.get(name, "0") not in ("0", "false"):
            raise ClickHouseError(
                Code.NOT_IMPLEMENTED,
                f"{name}=1, ClickHouse's block compression, is not spoken here: use Content-Encoding.",
            )
    body = unpack(body, headers.get("content-encoding", ""))
    tables: tuple[ExternalTable, ...] = ()
    content_type = headers.get("content-type", "")
    if content_type.lower().startswith("multipart/form-data"):
        tables, body = read_form(content_type, body, parameters), b""
    return Request(method, path, parameters, headers, body, tables)


def _packed(answer: Answer, accept_encoding: str) -> Answer:
    if isinstance(answer.body, bytes) and len(answer.body) < MIN_PACKED_BYTES:
        return answer
    packer = choose_packer(accept_encoding)
    if packer is None:
        return answer
    answer.headers["Content-Encoding"] = packer.encoding
    if isinstance(answer.body, bytes):
        answer.body = b"".join(packer.pack(chain((answer.body,))))
    else:
        answer.body = packer.pack(answer.body)
    return answer
