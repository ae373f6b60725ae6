"""ClickHouse error code -> whose fault an insert's failure is. By the code alone: texts change and quote the data.

Decides what a refusal means for a batch of records; `isolation` and the store's adapter act on it:

    retryable    passes by itself: load, network, replicas. The batch comes again.
    deployment   permanent, and no record's content can cause it: table, column, right, setting or statement. Every row
                 would be refused, so none of them is at fault: the batch comes again for ever and an alarm is raised.
    content      permanent, and caused by the bytes of a row: bisected, the record becomes a dead letter.
    unknown      any other code: bisected like content, the dead letter says `needs_classification`. A server that is
                 ill may say it of good rows: only one that takes a row which is surely good is believed (`isolation`).

[G] stands in GlassFlow's published lists; [M] was measured: rows that our decoder passes made chDB 26.9 answer it.
"""

from enum import StrEnum
from typing import Final


class ErrorKind(StrEnum):
    """What a code says about a batch; see the module's table."""

    RETRYABLE = "retryable"
    DEPLOYMENT = "deployment"
    CONTENT = "content"
    UNKNOWN = "unknown"


_RETRYABLE: Final = {
    # the server or its disks, memory and threads are busy or going
    3: "UNEXPECTED_END_OF_FILE",  # the request was cut on its way
    76: "CANNOT_OPEN_FILE",
    159: "TIMEOUT_EXCEEDED",  # [G]
    160: "TOO_SLOW",
    173: "CANNOT_ALLOCATE_MEMORY",
    201: "QUOTA_EXCEEDED",  # [G]
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",  # [G]
    236: "ABORTED",  # [G]
    241: "MEMORY_LIMIT_EXCEEDED",  # [G]
    243: "NOT_ENOUGH_SPACE",  # [G]
    # Merges are behind. Too many partitions in one block has the same code; load's inserts switch that limit off.
    252: "TOO_MANY_PARTS",
    290: "LIMIT_EXCEEDED",  # [G]
    394: "QUERY_WAS_CANCELLED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    677: "THREAD_WAS_CANCELED",
    692: "TOO_MANY_MUTATIONS",
    735: "QUERY_WAS_CANCELLED_BY_CLIENT",
    745: "SERVER_OVERLOADED",
    # the network, and what lies behind it
    95: "CANNOT_READ_FROM_SOCKET",
    96: "CANNOT_WRITE_TO_SOCKET",
    198: "DNS_ERROR",  # [G]
    203: "NO_FREE_CONNECTION",  # [G]
    209: "SOCKET_TIMEOUT",  # [G]
    210: "NETWORK_ERROR",  # [G]
    279: "ALL_CONNECTION_TRIES_FAILED",  # [G]
    364: "RECEIVED_ERROR_TOO_MANY_REQUESTS",  # [G]
    499: "S3_ERROR",
    500: "AZURE_BLOB_STORAGE_ERROR",
    749: "TCP_CONNECTION_LIMIT_REACHED",
    762: "HTTP_CONNECTION_LIMIT_REACHED",
    763: "SESSION_REFUSED",
    1000: "POCO_EXCEPTION",  # [G]
    # files and the disk below them: full, broken, or out of descriptors. Rows are JSON text in a request: none of them
    # names a file, and none is read with a checksum or unpacked, so the part is at fault and not what was sent.
    23: "CANNOT_READ_FROM_ISTREAM",
    24: "CANNOT_WRITE_TO_OSTREAM",  # ENOSPC, through a stream
    40: "CHECKSUM_DOESNT_MATCH",  # of a stored block
    74: "CANNOT_READ_FROM_FILE_DESCRIPTOR",  # EIO
    75: "CANNOT_WRITE_TO_FILE_DESCRIPTOR",  # ENOSPC, EDQUOT, EIO: what a full disk says in the middle of a part
    77: "CANNOT_CLOSE_FILE",
    87: "CANNOT_SEEK_THROUGH_FILE",
    88: "CANNOT_TRUNCATE_FILE",
    107: "FILE_DOESNT_EXIST",  # of a part that was moved or lost
    172: "CANNOT_CREATE_DIRECTORY",  # every insert makes one
    204: "CANNOT_FSYNC",
    214: "CANNOT_STATVFS",  # how much is free is not known
    226: "NO_FILE_IN_DATA_PART",
    228: "BAD_SIZE_OF_FILE_IN_DATA_PART",
    231: "TOO_MANY_UNEXPECTED_DATA_PARTS",  # the table waits for a person, or for its replica
    246: "CORRUPTED_DATA",  # of a part
    274: "AIO_READ_ERROR",
    275: "AIO_WRITE_ERROR",
    294: "CANNOT_WRITE_TO_FILE",
    400: "CANNOT_STAT",
    424: "CANNOT_LINK",
    458: "CANNOT_UNLINK",
    521: "ATOMIC_RENAME_FAIL",  # how a part becomes visible
    531: "CANNOT_FSTAT",
    566: "CANNOT_RMDIR",
    586: "CANNOT_CREATE_FILE",
    734: "CANNOT_WRITE_AFTER_BUFFER_CANCELED",  # what follows a write that failed
    740: "POTENTIALLY_BROKEN_DATA_PART",
    771: "CACHE_CANNOT_WRITE_TO_CACHE_DISK",
    1016: "TABLE_SIZE_LIMIT_EXCEEDED",  # until parts expire, or a person raises it
    # threads, descriptors and timers of the process
    303: "CANNOT_SELECT",
    411: "PTHREAD_ERROR",
    460: "CANNOT_CREATE_TIMER",  # no more signals are to be had
    461: "CANNOT_SET_TIMER_PERIOD",
    573: "EPOLL_ERROR",
    635: "CANNOT_POLL",
    # the server starts or stops, or others have what it would give us
    373: "SESSION_IS_LOCKED",
    695: "ASYNC_LOAD_FAILED",  # the table did not come up
    696: "ASYNC_LOAD_CANCELED",
    700: "USER_SESSION_LIMIT_EXCEEDED",
    722: "ASYNC_LOAD_WAIT_FAILED",
    776: "RESOURCE_LIMIT_EXCEEDED",
    777: "MEMORY_RESERVATION_KILLED",
    778: "MEMORY_RESERVATION_FAILED",
    1019: "QUERY_SLOT_ACQUISITION_TIMEOUT",
    1020: "MEMORY_RESERVATION_ACQUISITION_TIMEOUT",
    # replicas, shards and their keeper
    225: "NO_ZOOKEEPER",
    242: "TABLE_IS_READ_ONLY",  # [G] a replica without its keeper
    244: "UNEXPECTED_ZOOKEEPER_ERROR",  # [G]
    254: "NO_ACTIVE_REPLICAS",  # [G]
    265: "NO_AVAILABLE_REPLICA",  # [G]
    285: "TOO_FEW_LIVE_REPLICAS",  # [G]
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",  # [G]
    289: "REPLICA_IS_NOT_IN_QUORUM",  # [G]
    297: "SHARD_HAS_NO_CONNECTIONS",  # [G]
    319: "UNKNOWN_STATUS_OF_INSERT",
    369: "ALL_REPLICAS_ARE_STALE",
    384: "PART_IS_TEMPORARILY_LOCKED",  # [G]
    415: "ALL_REPLICAS_LOST",
    416: "REPLICA_STATUS_CHANGED",
    519: "NO_REMOTE_SHARD_AVAILABLE",
    529: "NOT_A_LEADER",
    568: "RAFT_ERROR",
    574: "DISTRIBUTED_TOO_MANY_PENDING_BYTES",
    733: "TABLE_IS_BEING_RESTARTED",
    999: "KEEPER_EXCEPTION",  # [G]
}
_DEPLOYMENT: Final = {
    # the table is not what the insert expects: a migration is missing, or one too many was applied
    7: "INCORRECT_NUMBER_OF_COLUMNS",  # [G]
    8: "THERE_IS_NO_COLUMN",
    10: "NOT_FOUND_COLUMN_IN_BLOCK",
    15: "DUPLICATE_COLUMN",
    16: "NO_SUCH_COLUMN_IN_TABLE",  # [G] [M: a column that the table lacks]
    20: "NUMBER_OF_COLUMNS_DOESNT_MATCH",  # [G]
    43: "ILLEGAL_TYPE_OF_ARGUMENT",  # [G] types stand in the schema, not in a row
    44: "ILLEGAL_COLUMN",  # [G]
    47: "UNKNOWN_IDENTIFIER",  # [G]
    50: "UNKNOWN_TYPE",
    60: "UNKNOWN_TABLE",  # [G] [M]
    81: "UNKNOWN_DATABASE",  # [G] [M]
    122: "INCOMPATIBLE_COLUMNS",
    218: "TABLE_IS_DROPPED",
    774: "TABLE_IS_PERMANENTLY_READ_ONLY",
    # the statement or its settings
    46: "UNKNOWN_FUNCTION",
    48: "NOT_IMPLEMENTED",
    62: "SYNTAX_ERROR",
    73: "UNKNOWN_FORMAT",
    80: "INCORRECT_QUERY",  # [G]
    115: "UNKNOWN_SETTING",
    344: "SUPPORT_IS_DISABLED",
    392: "QUERY_IS_PROHIBITED",  # [G]
    452: "SETTING_CONSTRAINT_VIOLATION",
    471: "INVALID_SETTING_VALUE",
    472: "READONLY_SETTING",
    # who we are, and what we may do
    164: "READONLY",  # [G]
    192: "UNKNOWN_USER",  # [G]
    193: "WRONG_PASSWORD",  # [G]
    194: "REQUIRED_PASSWORD",  # [G]
    195: "IP_ADDRESS_NOT_ALLOWED",  # [G]
    291: "DATABASE_ACCESS_DENIED",  # [G]
    497: "ACCESS_DENIED",
    511: "UNKNOWN_ROLE",
    512: "SET_NON_GRANTED_ROLE",
    516: "AUTHENTICATION_FAILED",  # [G]
    620: "QUERY_NOT_ALLOWED",
    720: "USER_EXPIRED",
}
_CONTENT: Final = {
    6: "CANNOT_PARSE_TEXT",  # [G]
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",  # [G]
    26: "CANNOT_PARSE_QUOTED_STRING",  # [G]
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",  # [G] [M: "version":"abc"]
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",  # [G]
    41: "CANNOT_PARSE_DATETIME",  # [G] [M: 2026-09-21t14:13:20z, which RFC 3339 allows]
    53: "TYPE_MISMATCH",  # [G]
    69: "ARGUMENT_OUT_OF_BOUND",
    70: "CANNOT_CONVERT_TYPE",
    72: "CANNOT_PARSE_NUMBER",  # [G] [M: "accepted_us":-1]
    117: "INCORRECT_DATA",  # [G] [M: a field given twice; "is_deleted":300; embeddings that are no base64]
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    306: "TOO_DEEP_RECURSION",  # [M: 100,000 levels in a field that is skipped]
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",  # [G]
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",  # [G]
    376: "CANNOT_PARSE_UUID",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",  # ours: a fold that makes properties too large
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
    469: "VIOLATED_CONSTRAINT",
    626: "CANNOT_SKIP_UNKNOWN_FIELD",
    632: "UNEXPECTED_DATA_AFTER_PARSED_VALUE",
}
# Named, and unknown on purpose: each is said of rows, and of a server that is ill.
_UNKNOWN: Final = {
    36: "BAD_ARGUMENTS",  # embeddings of three bytes cause it [M], and so does a wrong setting
    49: "LOGICAL_ERROR",  # a mistake of ClickHouse's, which one row alone may find
    1001: "STD_EXCEPTION",  # std::filesystem says so that the disk is full
    1002: "UNKNOWN_EXCEPTION",
}

_KINDS: Final = {
    code: kind
    for kind, codes in (
        (ErrorKind.RETRYABLE, _RETRYABLE),
        (ErrorKind.DEPLOYMENT, _DEPLOYMENT),
        (ErrorKind.CONTENT, _CONTENT),
    )
    for code in codes
}
# Of the retryable ones those that one statement may be the cause of, by its time or memory.
WEIGHT_CODES: Final = frozenset({159, 160, 241})
CODE_NAMES: Final = {**_RETRYABLE, **_DEPLOYMENT, **_CONTENT, **_UNKNOWN}


def classify_code(code: int | None) -> ErrorKind:
    """The kind of a code. None, no code at all, is a connection that failed or a proxy that answered: retryable."""
    return ErrorKind.RETRYABLE if code is None else _KINDS.get(code, ErrorKind.UNKNOWN)


def name_of_code(code: int) -> str:
    """ClickHouse's name of a code; `CODE_<n>` of one that does not stand in the table."""
    return CODE_NAMES.get(code, f"CODE_{code}")
