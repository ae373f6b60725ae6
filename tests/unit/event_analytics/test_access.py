"""Who may do what."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from event_analytics.access import (
    Caller,
    KeyRing,
    caller_of_authorizer,
    identify,
    mint_key,
    read_key_ring,
    record_of,
    require_scope,
)
from event_analytics.errors import Refused

NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)
KEY = mint_key("k1", b"\1" * 32)


def a_ring(**fields: object) -> KeyRing:
    return KeyRing("pepper", (msgspec.structs.replace(record_of(KEY, "pepper", ["write"]), **fields),))


def test_knows_the_caller_by_the_key() -> None:
    assert identify(f"Bearer {KEY}", a_ring(), NOW) == Caller("k1", frozenset({"write"}))


def test_the_secret_reads_back_and_holds_no_key() -> None:
    secret = msgspec.json.encode(a_ring()).decode()

    assert read_key_ring(secret) == a_ring()
    assert KEY not in secret


@pytest.mark.parametrize("header", [None, "", KEY, f"Basic {KEY}"])
def test_refuses_a_request_without_key(header: str | None) -> None:
    with pytest.raises(Refused) as refused:
        identify(header, a_ring(), NOW)

    assert (str(refused.value.reason), refused.value.status) == ("key_missing", 401)


@pytest.mark.parametrize(
    ("key", "ring"),
    [
        (mint_key("k1", b"\2" * 32), a_ring()),
        (mint_key("k2", b"\1" * 32), a_ring()),
        (KEY, a_ring(expires_at=NOW)),
        (KEY, KeyRing("another", a_ring().keys)),
        (KEY, KeyRing("pepper")),
        ("nonsense", a_ring()),
        ("\udcff", a_ring()),
    ],
)
def test_refuses_a_key_that_is_wrong_unknown_or_expired_in_one_word(key: str, ring: KeyRing) -> None:
    with pytest.raises(Refused) as refused:
        identify(f"Bearer {key}", ring, NOW)

    assert (str(refused.value.reason), refused.value.status) == ("key_invalid", 403)


def test_a_key_works_until_it_expires() -> None:
    ring = a_ring(expires_at=NOW + timedelta(seconds=1))

    assert identify(f"bearer {KEY}", ring, NOW).key_id == "k1"


def test_an_expiry_without_a_time_zone_closes_its_own_key_and_no_other() -> None:
    other = mint_key("k2", b"\2" * 32)
    written = msgspec.to_builtins(KeyRing("pepper", (*a_ring().keys, record_of(other, "pepper", ["read"]))))
    written["keys"][0]["expires_at"] = "2999-01-01T00:00:00"
    ring = read_key_ring(msgspec.json.encode(written).decode())

    assert identify(f"Bearer {other}", ring, NOW).key_id == "k2"
    with pytest.raises(Refused) as refused:
        identify(f"Bearer {KEY}", ring, NOW)
    assert str(refused.value.reason) == "key_invalid"


def test_refuses_a_caller_without_the_scope() -> None:
    with pytest.raises(Refused) as refused:
        require_scope(Caller("k1", frozenset({"read"})), "write")

    assert str(refused.value.reason) == "scope_missing"


@pytest.mark.parametrize("scopes", [{"write"}, {"admin"}])
def test_lets_through_who_has_the_scope_or_may_everything(scopes: set[str]) -> None:
    require_scope(Caller("k1", frozenset(scopes)), "write")

    assert scopes


@pytest.mark.parametrize(
    ("context", "caller"),
    [
        (None, None),
        ({}, None),
        ({"principalId": "x"}, None),
        ({"key_id": "k1", "scopes": "read write"}, Caller("k1", frozenset({"read", "write"}))),
    ],
)
def test_takes_the_authorizers_word_only_where_ours_ran(context: dict[str, str] | None, caller: Caller | None) -> None:
    assert caller_of_authorizer(context) == caller


def test_an_unknown_id_is_compared_as_long_as_a_wrong_key(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("event_analytics.access.hmac.compare_digest", compare)
    for key in (mint_key("k1", b"\2" * 32), mint_key("nobody", b"\2" * 32), "nonsense"):
        with pytest.raises(Refused):
            identify(f"Bearer {key}", a_ring(), NOW)

    assert compared == [(64, 64)] * 3
