"""Ids as a parameter: as short as the server's limit asks for."""

from uuid import uuid4

from event_analytics.id_lists import IDS_MAX, pack_ids, rows_of
from tests.builders import ids_in

FIELD_BYTES_MAX = 131_072  # http_max_field_value_size, ClickHouse's default


def test_as_many_ids_as_one_statement_takes_fit_one_parameter_without_escapes() -> None:
    ids = [uuid4() for _ in range(IDS_MAX)]
    packed = pack_ids(ids)

    assert len(packed) < FIELD_BYTES_MAX
    assert packed.rstrip("=").replace("-", "").replace("_", "").isalnum()
    assert ids_in({"ids": packed}) == list(map(str, ids))


def test_no_ids_are_an_empty_list() -> None:
    assert ids_in({"ids": pack_ids([])}) == []


def test_the_sql_names_its_parameter() -> None:
    assert "{changes:String}" in rows_of("changes")
