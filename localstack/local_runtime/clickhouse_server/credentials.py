"""Checks a request's user and password against the one account of the server.

Decides only yes or no. A client may name itself in one of three ways, as on any ClickHouse: `X-ClickHouse-
User` and `X-ClickHouse-Key`, HTTP basic, or the `user` and `password` URL parameters.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from hmac import compare_digest

from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code


@dataclass(frozen=True)
class Account:
    """The only account; its password is not shown by repr."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Account(user={self.user!r})"


def check_credentials(account: Account | None, parameters: Mapping[str, str], headers: Mapping[str, str]) -> None:
    """Returns for the right user and password, or when the server has no account.

    Raises:
        ClickHouseError: 516 otherwise; the text never says which of the two was wrong.
    """
    if account is None:
        return
    user, password = _presented(parameters, headers)
    is_user = compare_digest(user.encode(), account.user.encode())
    is_password = compare_digest(password.encode(), account.password.encode())
    if not (is_user and is_password):
        raise ClickHouseError(
            Code.AUTHENTICATION_FAILED,
            f"{user[:100]}: Authentication failed: password is incorrect, or there is no such user.",
        )


def _presented(parameters: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, str]:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", "default"), headers.get("x-clickhouse-key", "")
    scheme, _, packed = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(packed.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ClickHouseError(Code.AUTHENTICATION_FAILED, "Invalid HTTP basic credentials.") from None
        return user, password
    return parameters.get("user", "default"), parameters.get("password", "")
