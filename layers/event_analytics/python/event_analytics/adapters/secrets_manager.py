"""Secrets Manager through Powertools Parameters, which keeps a value for a minute."""

import json
from collections.abc import Callable
from typing import Any, Final

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters import SecretsProvider

SECRET_AGE_SECONDS_MAX: Final = 60  # a revoked key stops working this much later


class SecretsManagerSource:
    """One secret as a `KeySource`. Errors are Powertools' `GetParameterError`: the call may be repeated."""

    def __init__(self, secret_id: str, provider: SecretsProvider | None = None) -> None:
        self._secret_id = secret_id
        self._read: Callable[..., Any] = provider.get if provider else parameters.get_secret

    def read(self) -> str:
        """As `KeySource.read`."""
        return str(self._read(self._secret_id, max_age=SECRET_AGE_SECONDS_MAX))


def read_clickhouse_credentials(secret_id: str) -> tuple[str | None, str | None]:
    """(user, password) inside a secret `{"user", "password"}`; (None, None) if no secret is named."""
    if not secret_id:
        return None, None
    secret = json.loads(SecretsManagerSource(secret_id).read())
    return secret["user"], secret["password"]
