"""Ids as parameters: as short as the server's limit asks for."""

from uuid import uuid4

from event_analytics.id_lists import IDS_MAX, pack_ids, rows_of
from tests.builders import ids_in

FIELD_BYTES_MAX = 131_072  # http_max_field_value_size, ClickHouse's default


def test_as_many_ids_as_one_statement_takes_fit_two_parameters_without_escapes() -> None:
    ids = [uuid4() for _ in range(IDS_MAX)]
    packed = pack_ids(ids)

    assert all(len(text) < FIELD_BYTES_MAX for text in packed.values())
    assert "".join(packed.values()).rstrip("=").replace("-", "").replace("_", "").isalnum()
    assert ids_in(packed) == list(map(str, ids))


def test_no_ids_are_an_empty_list() -> None:
    assert ids_in(pack_ids([])) == []


def test_the_sql_names_its_parameters() -> None:
    sql = rows_of("changes")

    assert all(f"{{{name}:String}}" in sql for name in pack_ids([], "changes"))
