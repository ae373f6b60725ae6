"""One HTTP request as the engine's part sees it: statement, settings, parameters, session, external tables.

Decides which URL parameters are ClickHouse settings and which belong to the HTTP interface. It checks form
only; whether a setting exists is the engine's to say.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code

# URL parameters of the HTTP interface itself; every other one is a setting of the query.
_OF_THE_INTERFACE: Final = (
    {"query", "database", "default_format", "query_id", "user", "password", "quota_key", "role"}
    | {"session_id", "session_timeout", "session_check", "close_session", "client_protocol_version"}
    | {"compress", "decompress", "enable_http_compression", "http_zlib_compression_level", "stacktrace"}
    | {"wait_end_of_query", "buffer_size", "cancel_http_readonly_queries_on_client_close"}
    | {"send_progress_in_http_headers", "http_headers_progress_interval_ms"}
)
_SETTING_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_TABLE_NAME: Final = re.compile(r"[A-Za-z_]\w*")
DEFAULT_SESSION_TIMEOUT_S: Final = 60  # ClickHouse's default_session_timeout
MAX_SESSION_TIMEOUT_S: Final = 3600  # ClickHouse's max_session_timeout


@dataclass(frozen=True)
class ExternalTable:
    """A table that lives for one query, sent as a file of a multipart form."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True)
class Request:
    """A decoded request. `headers` has lower-case names; `body` is unpacked and never a multipart form."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    external_tables: tuple[ExternalTable, ...] = field(default=())

    @property
    def query(self) -> bytes:
        """The SQL that stands in the URL or the form; it may go on in the body."""
        return self.parameters.get("query", "").encode()

    @property
    def database(self) -> str:
        """The database the query runs in; empty for the default one or the session's."""
        name = self.parameters.get("database") or self.headers.get("x-clickhouse-database", "")
        return "" if name == "__default__" else name

    @property
    def settings(self) -> dict[str, str]:
        """Settings of this query alone; a GET without `readonly` is readonly=2, as on any ClickHouse."""
        own = {
            name: value
            for name, value in self.parameters.items()
            if name not in _OF_THE_INTERFACE and not self._is_parameter(name)
        }
        if wrong := next((name for name in own if not _SETTING_NAME.fullmatch(name)), None):
            raise ClickHouseError(Code.UNKNOWN_SETTING, f"Unknown setting '{wrong[:100]}'")
        if self.method in ("GET", "HEAD") and own.get("readonly", "0") == "0":
            own["readonly"] = "2"
        return own

    def _is_parameter(self, name: str) -> bool:
        return name.startswith("param_") or any(
            name == f"{table.name}_{part}"
            for table in self.external_tables
            for part in ("structure", "types", "format")
        )

    @property
    def query_parameters(self) -> dict[str, str]:
        """Values of `{name:Type}`, escaped as ClickHouse's TSV, which is how the engine takes them."""
        return {name[6:]: value for name, value in self.parameters.items() if name.startswith("param_")}

    @property
    def session_timeout_s(self) -> int:
        """Seconds of silence after which the session is forgotten."""
        text = self.parameters.get("session_timeout", str(DEFAULT_SESSION_TIMEOUT_S))
        if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MAX_SESSION_TIMEOUT_S:
            raise ClickHouseError(
                Code.INVALID_SESSION_TIMEOUT,
                f"Invalid session timeout: '{text[:40]}' (1 to {MAX_SESSION_TIMEOUT_S})",
            )
        return int(text)

    def is_on(self, name: str) -> bool:
        """Whether a flag of the interface is set."""
        return self.parameters.get(name, "0").lower() in ("1", "true")


def read_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and parameters of a request target.

    Raises:
        ClickHouseError: 408 when the target is no URL or a parameter is not UTF-8.
    """
    try:
        url = urlsplit(target)
        return url.path, dict(parse_qsl(url.query, keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise ClickHouseError(Code.BAD_REQUEST_PARAMETER, f"Cannot read the URL: {error}") from None


def read_form(content_type: str, body: bytes, parameters: dict[str, str]) -> tuple[ExternalTable, ...]:
    """Adds the plain fields of a multipart form to `parameters` and returns its files as external tables."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise ClickHouseError(Code.BAD_REQUEST_PARAMETER, "multipart/form-data without a boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if not parts[1:] or not parts[-1].startswith(b"--"):
        raise ClickHouseError(Code.UNEXPECTED_END_OF_FILE, "The multipart body ends before its closing boundary")
    files: dict[str, bytes] = {}
    for part in parts[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name, is_file = _read_disposition(head)
        if is_file:
            files[name] = content
        else:
            parameters[name] = _text(content)
    return tuple(_external_table(name, content, parameters) for name, content in files.items())


def _read_disposition(head: bytes) -> tuple[str, bool]:
    message = Message()
    for line in head.split(b"\r\n"):
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name.strip().lower() == "content-disposition":
            message["Content-Disposition"] = value.strip()
    field_name = message.get_param("name", header="content-disposition")
    if not isinstance(field_name, str):
        raise ClickHouseError(Code.BAD_REQUEST_PARAMETER, "A part of the multipart form has no name")
    return field_name, message.get_param("filename", header="content-disposition") is not None


def _external_table(name: str, content: bytes, parameters: Mapping[str, str]) -> ExternalTable:
    structure = parameters.get(f"{name}_structure", "")
    if not structure and (types := parameters.get(f"{name}_types")):
        structure = ", ".join(f"_{index} {kind}" for index, kind in enumerate(types.split(","), 1))
    if not structure or not _TABLE_NAME.fullmatch(name):
        raise ClickHouseError(
            Code.BAD_ARGUMENTS, f"External table '{name[:100]}' needs a name and {name[:100]}_structure"
        )
    return ExternalTable(name, structure, parameters.get(f"{name}_format", "TabSeparated"), content)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ClickHouseError(
            Code.BAD_REQUEST_PARAMETER, f"A field of the multipart form is not UTF-8: {error}"
        ) from None
