"""Statements that read, over clickhouse-connect's own connections and with its own binding of parameters.

Its `raw_query` takes each statement apart, in Python, to find out whether it may be sent twice: 1.3 ms for one of ours,
of 30 for a point read. Ours only read, so they may.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from clickhouse_connect.driver.binding import bind_query
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from clickhouse_connect.driver.httpclient import HttpClient
from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import HTTPError, ProtocolError

_OK: Final = 200
_CODE_HEADER: Final = "X-ClickHouse-Exception-Code"
_URL_CHARACTERS_MAX: Final = 4_000  # of parameters; longer ones go into the body: servers take 1 MiB, proxies 8 kB
_TEXT_BYTES_MAX: Final = 1_000  # of an error, which may quote the whole statement


class Reader:
    """Reads through the connections of one client. `timeout`: of each attempt."""

    def __init__(self, client: HttpClient, timeout: Timeout) -> None:
        self._client = client
        self._timeout = timeout

    def read(self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any], form: str) -> bytes:
        """The result in the format `form`, whole: an error half-way is an error.

        Raises:
            ClickHouseError: with ClickHouse's `code`, or None where ClickHouse did not answer.
        """
        text, bound = bind_query(f"{sql}\nFORMAT {form}", dict(parameters))
        fields = {**settings, "wait_end_of_query": 1}
        if self._client.database:  # else that of the user, as for what the client writes
            fields["database"] = self._client.database
        if sum(map(len, bound.values())) > _URL_CHARACTERS_MAX:
            request: dict[str, Any] = {"fields": {"query": text, **bound}}
        else:
            request, fields = {"body": text}, {**fields, **bound}
        try:
            response = self._post(f"{self._client.url}/?{urlencode(fields)}", request)
        except HTTPError as error:
            raise OperationalError(str(error)) from error
        if response.status != _OK:
            code = response.headers.get(_CODE_HEADER, "")
            told = response.data[:_TEXT_BYTES_MAX].decode("utf-8", "replace")
            raise DatabaseError(told, code=int(code) if code.isdecimal() else None)
        return response.data

    def _post(self, url: str, request: Mapping[str, Any]) -> BaseHTTPResponse:
        options: dict[str, Any] = {"headers": self._client.headers, "timeout": self._timeout, "retries": False}
        try:
            return self._client.http.request("POST", url, **options, **request)
        except ProtocolError:  # a connection that was kept, and that the other side had closed meanwhile
            return self._client.http.request("POST", url, **options, **request)
