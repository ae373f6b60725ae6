"""Which migrations are still to run: files `NNNN_verb_noun.sql`, in the order of their numbers, forward only.

One file may hold several statements, each ending in `;` at the end of a line. A statement must be able to run twice:
ClickHouse has no transaction around DDL, so a migration that failed half-way runs again from its start.
"""

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, NamedTuple

_FILE: Final = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")
_STATEMENT_END: Final = re.compile(r";[ \t]*$", re.MULTILINE)

CREATE_JOURNAL: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplacingMergeTree ORDER BY name
"""
SELECT_JOURNAL: Final = "SELECT DISTINCT name FROM schema_migrations ORDER BY name"
INSERT_JOURNAL: Final = "INSERT INTO schema_migrations (name) VALUES ('{name}')"


class MigrationsBroken(Exception):  # noqa: N818 - names the state of the folder
    """The folder's files do not form one sequence."""


class Migration(NamedTuple):
    """One file: its name and its statements in order."""

    name: str
    statements: tuple[str, ...]


def read_migrations(folder: Path) -> list[Migration]:
    """All migrations of a folder in order.

    Raises:
        MigrationsBroken: a file is misnamed, or two share a number.
    """
    files = sorted(folder.glob("*.sql"))
    numbers = [match["number"] for file in files if (match := _FILE.fullmatch(file.name))]
    if len(numbers) != len(files) or len(set(numbers)) != len(numbers):
        raise MigrationsBroken(f"files are named NNNN_verb_noun.sql, each number once: {[f.name for f in files]}")
    return [Migration(file.stem, split_statements(file.read_text("utf-8"))) for file in files]


def split_statements(sql: str) -> tuple[str, ...]:
    """The statements of a file, without their semicolons."""
    return tuple(part.strip() for part in _STATEMENT_END.split(sql) if part.strip())


def pending(migrations: Iterable[Migration], applied: Collection[str]) -> list[Migration]:
    """Those not applied yet, in order."""
    return [migration for migration in migrations if migration.name not in applied]
