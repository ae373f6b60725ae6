"""Secrets Manager through Powertools Parameters, which keeps a value for a minute."""

import json
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters import SecretsProvider

SECRET_AGE_SECONDS_MAX: Final = 60  # a revoked key stops working this much later
# Readings beyond that, for keys that may be new: one a second and some at once. Wrong keys cannot make us read more.
REREAD_SECONDS: Final = 1.0
REREADS_AT_ONCE: Final = 5


class SecretsManagerSource:
    """One secret as a `KeySource`. Errors are Powertools' `GetParameterError`: the call may be repeated."""

    def __init__(
        self,
        secret_id: str,
        provider: SecretsProvider | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secret_id = secret_id
        self._read: Callable[..., Any] = provider.get if provider else parameters.get_secret
        self._clock = clock
        self._reread_due = 0.0

    def read(self) -> str:
        """As `KeySource.read`."""
        return str(self._read(self._secret_id, max_age=SECRET_AGE_SECONDS_MAX))

    def reread(self) -> str:
        """As `KeySource.reread`."""
        now = self._clock()
        due = max(self._reread_due, now - (REREADS_AT_ONCE - 1) * REREAD_SECONDS)
        if due > now:
            return self.read()
        self._reread_due = due + REREAD_SECONDS
        return str(self._read(self._secret_id, max_age=SECRET_AGE_SECONDS_MAX, force_fetch=True))


class ClickHouseLogin(NamedTuple):
    """`ca_certificate`: PEM of who signed the server's certificate; None: one that the world knows."""

    user: str | None = None
    password: str | None = None
    ca_certificate: str | None = None

    def __repr__(self) -> str:
        return f"ClickHouseLogin(user={self.user!r})"


def read_clickhouse_login(secret_id: str) -> ClickHouseLogin:
    """What a secret `{"user", "password", "ca_certificate"?}` holds; nothing if no secret is named."""
    if not secret_id:
        return ClickHouseLogin()
    secret = json.loads(SecretsManagerSource(secret_id).read())
    return ClickHouseLogin(secret["user"], secret["password"], secret.get("ca_certificate"))


def read_cache_password(secret_id: str) -> str | None:
    """The password inside a secret `{"password"}`; None if no secret is named."""
    return json.loads(SecretsManagerSource(secret_id).read())["password"] if secret_id else None
