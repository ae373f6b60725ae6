"""A client that sends what a test tells it to, however wrong. The SDK's care would hide what the API does."""

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit


class Response(NamedTuple):
    """`body`: decoded JSON, or the text where it is none."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def reason(self) -> str | None:
        """Name of the refusal, where the whole request was refused."""
        return self.body.get("error", {}).get("reason") if isinstance(self.body, dict) else None


class ApiClient:
    """Calls the API with one key."""

    def __init__(self, api_url: str, key: str | None) -> None:
        self._url = urlsplit(api_url)
        self._key = key

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """One request over a connection of its own."""
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=40)
        authorization = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            connection.request(method, self._url.path + path, body, {**authorization, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        try:
            decoded = json.loads(text)
        except ValueError:
            decoded = text
        return Response(answer.status, decoded, {name.lower(): value for name, value in answer.getheaders()})

    def get(self, path: str, **query: object) -> Response:
        """GET with query parameters."""
        return self.call("GET", quote(path) + (f"?{urlencode(query)}" if query else ""))

    def post(self, path: str, document: object, **headers: str) -> Response:
        """POST a document as JSON."""
        return self.call("POST", path, json.dumps(document).encode(), {"Content-Type": "application/json", **headers})
