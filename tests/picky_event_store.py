"""A fake ClickHouse that refuses rows for what they hold, as the real one does. A contract test runs over both."""

from collections.abc import Sequence

from event_analytics.clickhouse_codes import ErrorKind, classify_code, name_of_code
from event_analytics.errors import StoreRejected
from tests.fakes import FakeEventStore


class PickyEventStore(FakeEventStore):
    """`refused`: text in a row -> ClickHouse's code for it. `tokens`: of all inserts that were tried, in order."""

    def __init__(self, refused: dict[bytes, int] | None = None) -> None:
        super().__init__()
        self.refused = refused or {b'"accepted_us": -1': 72}
        self.tokens: list[str] = []

    def insert_rows(self, table: str, rows: bytes, token: str, columns: Sequence[str] = ()) -> None:
        self.tokens.append(token)
        for text, code in self.refused.items():
            if text in rows:
                is_known = classify_code(code) is ErrorKind.CONTENT
                raise StoreRejected(code, name_of_code(code), f"refused: {text!r}", is_known=is_known)
        super().insert_rows(table, rows, token, columns)
