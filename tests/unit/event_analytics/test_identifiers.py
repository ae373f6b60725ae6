"""UUIDs of events."""

import uuid
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from event_analytics.identifiers import derive_uuid8, mint_uuid7, text_of, timestamp_ms_of


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_version_7_gives_back_its_time(timestamp_ms: int, random_bytes: bytes) -> None:
    minted = mint_uuid7(timestamp_ms, random_bytes)

    assert (minted.version, minted.variant) == (7, uuid.RFC_4122)
    assert timestamp_ms_of(minted) == timestamp_ms


def test_version_7_sorts_by_time() -> None:
    assert str(mint_uuid7(1, b"\xff" * 10)) < str(mint_uuid7(2, b"\0" * 10))


def test_a_minted_id_is_as_the_standard_library_makes_it() -> None:
    minted = mint_uuid7(1, b"\xa7" * 10)
    made = UUID(int=minted.int)

    assert (minted, hash(minted), minted.is_safe, type(minted)) == (made, hash(made), made.is_safe, UUID)


@given(st.uuids())
def test_the_text_of_an_id_is_its_canonical_one(identifier: UUID) -> None:
    assert text_of(identifier) == str(identifier)


def test_other_versions_carry_no_time() -> None:
    assert timestamp_ms_of(uuid.uuid4()) is None


@given(st.lists(st.text(max_size=5), max_size=3), st.lists(st.text(max_size=5), max_size=3))
def test_version_8_is_equal_only_for_equal_parts(first: list[str], second: list[str]) -> None:
    derived = derive_uuid8(*first)

    assert (derived.version, derived.variant) == (8, uuid.RFC_4122)
    assert (derived == derive_uuid8(*second)) == (first == second)
