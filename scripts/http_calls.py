"""One keep-alive HTTP connection to our API, on the standard library. Decides nothing about retries."""

import http.client
import json
import ssl
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

from scripts.failures import EndpointWrong

SERVER_ERROR: Final = 500


class NoAnswer(Exception):  # noqa: N818 - a fact about one call; the callers decide whether it is an error
    """The connection failed before a whole answer was read; the request may or may not have been served."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `seconds`: from the first byte sent to the last read. Header names are lower case."""

    status: int
    body: bytes
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def reason(self) -> str:
        """Our own reason name, else the gateway's message, else the status."""
        document = self.document()
        error = document.get("error")
        if isinstance(error, dict) and error.get("reason"):
            return str(error["reason"])
        return str(document.get("message") or f"http_{self.status}")


class HttpCaller:
    """Owns one connection, opened at the first call and again after a failure. For one thread at a time."""

    def __init__(self, base_url: str, *, bearer: str = "", timeout_seconds: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EndpointWrong(f"{base_url!r} is no http(s) URL")
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self._connection = (
            http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout_seconds, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_seconds)
        )

    def call(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Answer:
        """The answer to one request.

        Raises:
            NoAnswer: refused, dropped, timed out or cut short. The next call connects again.
        """
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        started = perf_counter()
        try:
            self._connection.request(method, self._prefix + path, body=body, headers=headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as problem:
            self._connection.close()
            raise NoAnswer(str(problem) or type(problem).__name__) from problem
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, content, perf_counter() - started, names)

    def close(self) -> None:
        """Closes the socket; a call after it opens a new one."""
        self._connection.close()
