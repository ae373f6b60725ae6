"""Exit codes, and which error leaves with which."""

from __future__ import annotations

from typing import Final

from tallystream.errors import EventDeleted, KeyRefused, NotFound, TallystreamError, Unavailable

OK: Final = 0
SOME_FAILED: Final = 1  # events were refused, or the doctor found something
USAGE: Final = 2  # click's own
UNAVAILABLE: Final = 3  # the same may succeed later
KEY_REFUSED: Final = 4
NOT_FOUND: Final = 5
REFUSED: Final = 6
INTERRUPTED: Final = 130

_CODES: Final[tuple[tuple[type[TallystreamError], int], ...]] = (
    (Unavailable, UNAVAILABLE),
    (KeyRefused, KEY_REFUSED),
    (NotFound, NOT_FOUND),
    (EventDeleted, NOT_FOUND),
)


def code_of(error: TallystreamError) -> int:
    """The exit code that stands for an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), REFUSED)
