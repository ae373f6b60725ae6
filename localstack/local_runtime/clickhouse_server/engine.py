"""Runs one statement on the in-process chDB engine and shapes the outcome as an answer.

Decides which way into the engine a statement takes: data as a file, results that may be streamed through
`send_query`, the rest through `query`. Nothing here knows HTTP beyond the names of ClickHouse's headers.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final

import chdb

from local_runtime.clickhouse_server.answer import Answer, Progress, content_type, mid_stream_error, query_id
from local_runtime.clickhouse_server.data_file import as_file
from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code, EngineError
from local_runtime.clickhouse_server.handles import Handles, query_scope, quote
from local_runtime.clickhouse_server.request import ExternalTable, Request
from local_runtime.clickhouse_server.statement import Statement, read_statement

DEFAULT_MAX_MEMORY_BYTES: Final = 4 * 1024**3  # half a small laptop; a load of 20 million rows peaks at 2.3 GB
MARK_CACHE_BYTES: Final = 64 * 1024**2  # the server's default is 5 GB, for terabytes of tables
BACKGROUND_THREADS: Final = 2  # merges; more only take the two cores of a small machine from queries
# Formats whose blocks may be joined, so that the answer can be sent while the query runs.
_JOINABLE: Final = frozenset(
    {"native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "rowbinary"}
    | {"jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow"}
)
_PYTHON_ONLY: Final = frozenset({"dataframe", "datastore", "arrowtable"})  # chDB's, meaningless over HTTP


class Engine:
    """The one engine of this process. Owns the data directory while it is open."""

    def __init__(self, path: str, max_memory_bytes: int = DEFAULT_MAX_MEMORY_BYTES) -> None:
        self._address = (
            f"{path}?max_server_memory_usage={max_memory_bytes}&mark_cache_size={MARK_CACHE_BYTES}"
            f"&index_mark_cache_size={MARK_CACHE_BYTES}&uncompressed_cache_size=0"
            f"&background_pool_size={BACKGROUND_THREADS}"
        )
        try:
            self._keeper = self._connect()  # the engine lives as long as one connection does
            row = self._keeper.query("SELECT version(), timezone()", "TSV").bytes().decode()
        except Exception as error:  # noqa: BLE001 - the engine raises plain RuntimeError and its own class
            raise EngineError(error) from None
        self.version, self.timezone = row.split()
        self._handles = Handles(self._connect)

    def _connect(self) -> Any:
        return chdb.connect(self._address)  # type: ignore[no-untyped-call]  # untyped upstream

    def close(self) -> None:
        """Ends running queries and closes the data directory."""
        self._keeper.query("KILL QUERY WHERE query_id != queryID() ASYNC")
        self._handles.close()
        self._keeper.close()

    def run(self, request: Request) -> Answer:
        """Runs the request's statement.

        Raises:
            ClickHouseError: for every refusal, the engine's or ours, before the first byte of the answer.
        """
        statement = read_statement(request.query, request.body)
        settings = request.settings
        session_id = request.parameters.get("session_id", "")
        with ExitStack() as stack:
            if statement.is_reading and not session_id and not request.external_tables:
                connection = stack.enter_context(self._handles.lease_for_reading(request.database, settings))
                return _Run(connection, request, statement, stack, self.timezone).answer()
            connection, is_session = stack.enter_context(
                self._handles.lease(
                    session_id,
                    request.session_timeout_s,
                    must_exist=request.is_on("session_check"),
                    changes_session=statement.changes_session,
                )
            )
            if is_session:
                # readonly cannot be taken back from a connection that lives on
                _refuse_writes(statement, settings)
                stack.push(lambda kind, error, _trace: self._distrust(session_id, kind, error))
            database = "" if statement.verb == "USE" else request.database
            stack.enter_context(query_scope(connection, database, settings, must_restore=is_session))
            for table in request.external_tables:
                _load_temporary(connection, table, stack)
            return _Run(connection, request, statement, stack, self.timezone).answer()

    def _distrust(self, session_id: str, kind: object, error: BaseException | None) -> None:
        """A session whose settings could not be put back is dropped: better none than a leaking one."""
        if kind is not None and not isinstance(error, ClickHouseError):
            self._handles.forget(session_id)


class _Run:
    """One statement on one connection; `stack` gives the connection back, at the end of a stream if there is one."""

    def __init__(
        self, connection: Any, request: Request, statement: Statement, stack: ExitStack, timezone: str
    ) -> None:
        self._connection, self._request, self._statement, self._stack = connection, request, statement, stack
        self._parameters = request.query_parameters
        wanted = request.parameters.get("default_format") or request.headers.get("x-clickhouse-format")
        self._format = (None if statement.verb == "INSERT" else statement.format) or wanted or "TabSeparated"
        self._headers = {
            "X-ClickHouse-Query-Id": query_id(request.parameters.get("query_id", "")),
            "X-ClickHouse-Timezone": timezone,
            "X-ClickHouse-Server-Display-Name": "chdb",
        }
        self._begin_ns = time.perf_counter_ns()

    def answer(self) -> Answer:
        if self._format.lower() in _PYTHON_ONLY:
            raise ClickHouseError(Code.UNKNOWN_FORMAT, f"Unknown format {self._format}")
        try:
            if self._statement.data is not None:
                return self._insert(self._statement.data)
            is_streamed = self._statement.is_streamable and self._format.lower() in _JOINABLE
            if is_streamed and not self._request.is_on("wait_end_of_query"):
                return self._stream()
            return self._query(self._statement.sql)
        except ClickHouseError:
            raise
        except Exception as error:  # noqa: BLE001 - the engine raises plain RuntimeError and its own class
            raise EngineError(error) from None

    def _insert(self, data: bytes) -> Answer:
        statement, data_format = self._statement, str(self._statement.format)
        if data_format.lower() == "values" and self._parameters:  # {name:Type} may stand among the values
            return self._query(statement.sql + b" VALUES " + data)
        with as_file(data) as path:
            if call := statement.input_call:
                source = f"file({quote(path)}, {quote(data_format)}, {quote(call.structure)})"
                return self._query(statement.sql[: call.start] + source.encode() + statement.sql[call.end :])
            return self._query(_from_file(statement.sql, statement.settings_start, path, data_format))

    def _query(self, sql: bytes) -> Answer:
        result = self._connection.query(sql, self._format, params=self._parameters)
        body: bytes = result.bytes()
        if body or self._statement.is_reading:
            self._name_format()
        written = result.rows_written()
        return self._finish(
            Progress(
                read_rows=result.storage_rows_read(),
                read_bytes=result.storage_bytes_read(),
                written_rows=written,
                written_bytes=result.bytes_written(),
                result_rows=written or result.rows_read(),
                result_bytes=len(body),
            ),
            body,
        )

    def _finish(self, progress: Progress, body: bytes = b"") -> Answer:
        elapsed_ns = time.perf_counter_ns() - self._begin_ns
        self._headers["X-ClickHouse-Summary"] = Progress(**{**progress.__dict__, "elapsed_ns": elapsed_ns}).header()
        return Answer(headers=self._headers, body=body)

    def _stream(self) -> Answer:
        self._name_format()
        tag = self._headers["X-ClickHouse-Exception-Tag"] = uuid.uuid4().hex[:16]
        stream = self._connection.send_query(self._statement.sql, self._format, params=self._parameters)
        first = stream.fetch()  # an error before the first block still gets a status of its own
        self._stack.callback(stream.close)
        return Answer(headers=self._headers, body=_blocks(stream, first, tag), cleanup=self._stack.pop_all())

    def _name_format(self) -> None:
        self._headers["X-ClickHouse-Format"] = self._format
        self._headers["Content-Type"] = content_type(self._format)


def _blocks(stream: Any, first: Any, tag: str) -> Iterator[bytes]:
    block = first
    try:
        while block is not None:
            yield block.bytes()
            block = stream.fetch()
    except RuntimeError as error:
        yield mid_stream_error(EngineError(error), tag)


def _from_file(sql: bytes, settings_start: int, path: str, data_format: str) -> bytes:
    """The INSERT with its data in a file; each part on a line of its own, since one may end in a comment."""
    head, settings = sql[:settings_start], sql[settings_start:]
    source, form = f"FROM INFILE {quote(path)}".encode(), f"FORMAT {data_format}".encode()
    return b"\n".join((head, source, settings, form))


def _load_temporary(connection: Any, table: ExternalTable, stack: ExitStack) -> None:
    """Makes an external table, which lives for this query."""
    try:
        connection.query(f"CREATE TEMPORARY TABLE {table.name} ({table.structure}) ENGINE = Memory")
        stack.callback(connection.query, f"DROP TEMPORARY TABLE {table.name}")
        with as_file(table.data) as path:
            insert = f"INSERT INTO {table.name}".encode()
            connection.query(_from_file(insert, len(insert), path, table.format))
    except Exception as error:  # noqa: BLE001 - the engine raises plain RuntimeError and its own class
        raise EngineError(error) from None


def _refuse_writes(statement: Statement, settings: dict[str, str]) -> None:
    readonly = settings.pop("readonly", "0")
    if readonly != "0" and not statement.is_reading and statement.verb not in ("SET", "USE"):
        raise ClickHouseError(Code.READONLY, "default: Cannot execute query in readonly mode.")
