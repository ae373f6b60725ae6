"""clickhouse-connect as an `EventStore`. `raw_insert` of JSONEachRow is its fastest way in: nothing is re-encoded."""

import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3 import Timeout

from event_analytics.adapters.clickhouse_reading import Reader
from event_analytics.clickhouse_codes import WEIGHT_CODES, ErrorKind, classify_code, name_of_code
from event_analytics.errors import (
    Reason,
    Refused,
    StoreMisconfigured,
    StoreOverburdened,
    StoreRejected,
    StoreUnavailable,
)
from event_analytics.ports import ANSWER_LIMITS, ASK_SECONDS_MAX, AnswerLimits, Reading

_CONNECT_SECONDS_MAX: Final = 5
_INSERT_SECONDS_MAX: Final = 60
_SELECT_SECONDS_MAX: Final = 20  # a job's statement is small; what is slow comes again
_SELECT_MEMORY_BYTES_MAX: Final = 4_000_000_000
HANGING_SECONDS_MAX: Final = 24  # a store that stops no question in time hangs: given up before the gateway does
_ANSWER_BYTES_MAX: Final = 64_000_000  # of one result: an answer takes 4 MB
_SPILL_SHARE: Final = 2  # from half of an answer's memory on, groups go to disk, so that the limit holds
_NEEDS_NO_ESCAPE: Final = re.compile(r"[A-Za-z0-9_=-]{1000,}")  # lists of ids: 2.5 us for each and statement
# ClickHouse's code -> which limit was met, in the caller's words.
_TOO_HEAVY: Final = {
    158: "reads too many rows",
    159: "takes too long",
    160: "takes too long",
    241: "needs too much memory",
    307: "reads too many bytes",
    396: "has too large a result",
}

_INSERT_SETTINGS: Final = {
    "input_format_skip_unknown_fields": 1,  # one line serves events and embeddings
    "input_format_json_read_objects_as_strings": 1,  # properties stay the text that was sent
    "max_partitions_per_insert_block": 0,  # years of history in one batch are no error
    "date_time_input_format": "best_effort",
}
_EXECUTE_SETTINGS: Final = {
    "min_table_rows_to_use_projection_index": 0,
    "max_projection_rows_to_use_projection_index": 1_000_000_000,  # a fold finds ids by their index, never by a scan
    "max_partitions_per_insert_block": 0,
}
_SELECT_SETTINGS: Final = {
    "max_execution_time": _SELECT_SECONDS_MAX,
    "max_memory_usage": _SELECT_MEMORY_BYTES_MAX,
    "min_table_rows_to_use_projection_index": 0,  # its default of 1,000,000 is per part: point reads would scan
    "output_format_json_quote_64bit_integers": 0,
}
_ASK_SETTINGS: Final = {
    **_SELECT_SETTINGS,
    "optimize_use_implicit_projections": 0,  # none fits FINAL, and looking for one takes time in each part
    "max_result_bytes": _ANSWER_BYTES_MAX,
}


class _Statistics(msgspec.Struct):
    elapsed: float
    rows_read: int
    bytes_read: int


class _Result(msgspec.Struct):
    """ClickHouse's FORMAT JSON, as far as it is read: the one form whose body says what the query cost."""

    data: list[dict[str, Any]]
    statistics: _Statistics


class ClickHouseEventStore:
    """One connection pool, opened at the first use and kept between invocations.

    `wait_seconds_max`: for any one answer of ClickHouse. `ca_certificate`: PEM, where no public authority signed it.
    `limits`: of `ask`.
    """

    def __init__(
        self,
        url: str,
        user: str | None = None,
        password: str | None = None,
        wait_seconds_max: int = _INSERT_SECONDS_MAX,
        ca_certificate: str | None = None,
        *,
        limits: AnswerLimits = ANSWER_LIMITS,
    ) -> None:
        self._url = url
        self._wait_seconds_max = wait_seconds_max
        self._credentials: dict[str, Any] = {"username": user, "password": password or ""} if user else {}
        if ca_certificate:
            self._credentials["ca_cert"] = _write_file(ca_certificate)
        self._timeout = Timeout(connect=_CONNECT_SECONDS_MAX, read=wait_seconds_max)
        self._limits = limits
        self._client: HttpClient | None = None

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        """As `EventStore.insert_rows`."""
        settings = {**_INSERT_SETTINGS, "insert_deduplication_token": token}
        client = self._connected()
        try:
            client.raw_insert(
                table, column_names=columns or None, insert_block=rows, settings=settings, fmt="JSONEachRow"
            )
        except (ClickHouseError, OSError) as error:
            raise _write_failure_of(error) from error

    def select(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """As `EventStore.select`."""
        lines = self._query(sql, parameters, _SELECT_SETTINGS, "JSONEachRow")
        return msgspec.json.decode(b"[" + b",".join(lines.splitlines()) + b"]", type=list[dict[str, Any]])

    def ask(self, sql: str, parameters: Mapping[str, Any], seconds_max: float = ASK_SECONDS_MAX) -> Reading:
        """As `EventStore.ask`."""
        limits = self._limits._replace(seconds=min(seconds_max, self._limits.seconds))
        settings = {**_ASK_SETTINGS, **_settings_of(limits)}
        result = msgspec.json.decode(self._query(sql, parameters, settings, "JSON"), type=_Result)
        cost = result.statistics
        return Reading(result.data, cost.rows_read, cost.bytes_read, cost.elapsed * 1_000)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        """As `EventStore.execute`."""
        try:  # not `command`, which puts parameters into the URL
            self._connected().raw_query(sql, parameters=_ready(parameters), settings=_EXECUTE_SETTINGS)
        except (ClickHouseError, OSError) as error:
            raise _write_failure_of(error) from error

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing, such as a migration's.

        Raises:
            StoreUnavailable: it did not succeed.
        """
        try:
            self._connected().command(sql)
        except (ClickHouseError, OSError) as error:
            raise _unavailability_of(error) from error

    def _query(self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any], form: str) -> bytes:
        try:
            return Reader(self._connected(), self._timeout).read(sql, _ready(parameters), settings, form)
        except ClickHouseError as error:
            if limit := _TOO_HEAVY.get(_code_of(error) or 0):
                message = f"the question {limit}: ask for a shorter window, more filters or a lower limit"
                raise Refused(Reason.QUERY_TOO_HEAVY, message) from error
            raise _unavailability_of(error) from error
        except OSError as error:
            raise _unavailability_of(error) from error

    def _connected(self) -> HttpClient:
        if self._client is None:
            try:
                client = clickhouse_connect.get_client(
                    dsn=self._url,
                    connect_timeout=_CONNECT_SECONDS_MAX,
                    send_receive_timeout=self._wait_seconds_max,
                    autogenerate_session_id=False,
                    query_limit=0,
                    **self._credentials,
                )
            except (ClickHouseError, OSError) as error:  # whatever its code: no row had been sent yet
                raise _unavailability_of(error) from error
            self._client = cast("HttpClient", client)  # what it is for a URL of HTTP
        return self._client


def _settings_of(limits: AnswerLimits) -> dict[str, Any]:
    """Limits in ClickHouse's words. 0 would be no limit: seconds are rounded up, to the millisecond."""
    return {
        "max_execution_time": math.ceil(limits.seconds * 1_000) / 1_000,
        "max_memory_usage": limits.memory_bytes,
        "max_rows_to_read": limits.rows_read,
        "max_bytes_before_external_group_by": limits.memory_bytes // _SPILL_SHARE,
        "max_bytes_before_external_sort": limits.memory_bytes // _SPILL_SHARE,
    }


def _ready(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters; long ones that need no escaping are hidden from the client, which looks at each character."""
    return {
        name: _Ready(value) if isinstance(value, str) and _NEEDS_NO_ESCAPE.fullmatch(value) else value
        for name, value in parameters.items()
    }


class _Ready:
    """A text as it is sent."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def _write_file(pem: str) -> str:
    """Path of a file that holds it: the client's TLS reads certificates from files only."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write(pem)
    return file.name


def _write_failure_of(error: Exception) -> StoreUnavailable | StoreRejected:
    """What the failure of an insert or a statement means, by ClickHouse's code alone."""
    code = _code_of(error)
    kind = classify_code(code)
    if code in WEIGHT_CODES:
        return StoreOverburdened(code, _summary_of(error))
    if code is None or kind in (ErrorKind.RETRYABLE, ErrorKind.DEPLOYMENT):
        return _unavailability_of(error)
    return StoreRejected(code, name_of_code(code), _summary_of(error), is_known=kind is ErrorKind.CONTENT)


def _unavailability_of(error: Exception) -> StoreUnavailable:
    is_for_ever = classify_code(_code_of(error)) is ErrorKind.DEPLOYMENT
    return (StoreMisconfigured if is_for_ever else StoreUnavailable)(_summary_of(error))


def _code_of(error: Exception) -> int | None:
    """ClickHouse's code, which the client takes from the answer's header; None where ClickHouse did not answer."""
    code: int | None = getattr(error, "code", None)
    return code


def _summary_of(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"
