"""Lists of ids as a statement's parameters: as base64 of their bytes, 22 characters each.

A server takes 128 KiB of one parameter (`http_max_field_value_size`): as text, with the quotes and commas of an array
escaped in the URL, those were 2,900 ids. It also reads them three times as fast.
"""

import sys
from array import array
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Final
from uuid import UUID

IDS_MAX: Final = 10_000  # of one statement: a whole batch of `load`, which a fold reads the touched granules for once
_CHARACTERS_MAX: Final = 120_000  # of one parameter; a list is two of them, the second often empty


def _rest_of(parameter: str) -> str:
    return f"more_{parameter}"


def unpacked(parameter: str) -> str:
    """SQL: the Array(UUID) that was packed under this name."""
    packed = f"concat({{{parameter}:String}}, {{{_rest_of(parameter)}:String}})"
    return f"reinterpret(base64URLDecode({packed}), 'Array(UUID)')"


def rows_of(parameter: str) -> str:
    """SQL: the same as a subquery of one column, for `IN`: it becomes a set that an index can be asked for."""
    return f"(SELECT arrayJoin({unpacked(parameter)}))"


IDS_SQL: Final = rows_of("ids")


def pack_ids(ids: Sequence[UUID], parameter: str = "ids") -> dict[str, str]:
    """The two parameters that hold up to IDS_MAX ids. ClickHouse has a UUID as two 64-bit numbers, the higher first."""
    halves = array("Q", b"".join([identifier.bytes for identifier in ids]))
    if sys.byteorder == "little":  # a UUID's bytes are its number with the highest first; ClickHouse's lowest first
        halves.byteswap()
    packed = urlsafe_b64encode(halves).decode()
    return {parameter: packed[:_CHARACTERS_MAX], _rest_of(parameter): packed[_CHARACTERS_MAX:]}
