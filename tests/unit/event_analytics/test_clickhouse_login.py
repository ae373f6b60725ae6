"""The login of ClickHouse, and a certificate that only we trust."""

import json
from pathlib import Path

import pytest

from event_analytics.adapters import secrets_manager
from event_analytics.adapters.clickhouse_event_store import ClickHouseEventStore
from event_analytics.adapters.secrets_manager import ClickHouseLogin, read_clickhouse_login

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("secret", "login"),
    [
        ({"user": "u", "password": "p"}, ClickHouseLogin("u", "p")),
        ({"user": "u", "password": "p", "ca_certificate": PEM}, ClickHouseLogin("u", "p", PEM)),
    ],
)
def test_a_secret_holds_the_login_and_may_hold_the_authority(
    secret: dict[str, str], login: ClickHouseLogin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets_manager.SecretsManagerSource, "read", lambda _: json.dumps(secret))

    assert read_clickhouse_login("arn") == login
    assert read_clickhouse_login("") == ClickHouseLogin()


def test_the_clients_tls_reads_the_authority_from_a_file() -> None:
    store = ClickHouseEventStore("https://clickhouse.invalid:8443", "u", "p", ca_certificate=PEM)

    path = Path(store._credentials["ca_cert"])
    assert path.read_text() == PEM
    path.unlink()
