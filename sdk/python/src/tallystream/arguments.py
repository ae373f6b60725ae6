"""What a client is told, checked before anything is opened."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_url(url: str) -> str:
    """The URL of an API, without a slash at its end.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url!r} is no http(s) URL")
    return url.rstrip("/")


def check_key(key: str) -> str:
    """The key, which travels in a header.

    Raises:
        ValueError: no header takes it.
    """
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key is empty or holds characters that no key has")
    return key
