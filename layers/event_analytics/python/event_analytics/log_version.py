"""The version that a log of changes asks of its event's row: greater for every superset of changes.

So of two folds at once the one that saw more wins, whatever the order in which changes arrive, and a row whose version
is that of the log holds all of the log.

Up to 4,095 changes the newest change's microsecond counts 4,096 and each change 1. That has no room for the 4,096th: a
late older change would leave the version as it was. From there on the second after the newest change's own counts as
much as its microseconds did, and each change 1 again, without end. The step from the one to the other is upwards too,
since the next second begins after every microsecond of this one.
"""

from typing import Final

VERSIONS_PER_MICROSECOND: Final = 4_096  # 2^12: microseconds need 51 bits until 2041, and 2^63 begins what is hidden
_CHANGES_BY_MICROSECOND_MAX: Final = VERSIONS_PER_MICROSECOND - 1
_MICROSECONDS: Final = 1_000_000  # of a second
_VERSIONS_PER_SECOND: Final = VERSIONS_PER_MICROSECOND * _MICROSECONDS
_VERSION_MAX: Final = 2**63 - 1  # of a row that is not hidden: some second in 2041 has no next one

# SQL over the rows of one id in `event_changes AS log`; columns are named in full, as what is selected has such names.
_CHANGES: Final = "uniqExact(log.version, log.change_id)"
_BY_MICROSECOND: Final = f"max(log.version) * {VERSIONS_PER_MICROSECOND}"
_BY_SECOND: Final = f"(intDiv(max(log.version), {_MICROSECONDS}) + 1) * {_VERSIONS_PER_SECOND}"
LOG_VERSION_SQL: Final = (
    f"if({_CHANGES} <= {_CHANGES_BY_MICROSECOND_MAX}, {_BY_MICROSECOND}, "
    f"least({_BY_SECOND}, toUInt64({_VERSION_MAX} - {_CHANGES}))) + {_CHANGES}"
)
