"""Reads just enough of a statement to route it: its verb, its format, and where an INSERT's data begins.

Decides what must be known before the engine is called: data cannot be left inside the SQL (the engine cuts
binary data that it finds inline), only SELECT can be streamed, and some statements change the session.
Whether the statement is valid SQL is left to the engine, so anything not understood here is passed on whole.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from local_runtime.clickhouse_server.exceptions import ClickHouseError, Code

_TOKEN: Final = re.compile(
    rb"""(?P<blank>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?(?:\*/|\Z))
       | (?P<quoted>'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|`[^`\\]*(?:\\.[^`\\]*)*`|"[^"\\]*(?:\\.[^"\\]*)*")
       | (?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
       | (?P<word>[A-Za-z_]\w*)
       | (?P<number>[0-9][\w.]*)
       | (?P<mark>[^\s'"`$;(){}\[\]/\#\w-]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_AFTER_FORMAT: Final = re.compile(rb"[ \t\f]*;?[ \t\f]*(?:\r?\n)?")
_INPUT_CALL: Final = re.compile(rb"\(\s*(?:'((?:[^'\\]|\\.|'')*)')?\s*\)", re.DOTALL)
_READING: Final = frozenset({"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK"})
_STREAMED: Final = frozenset({"SELECT", "WITH"})
_REMEMBERED_BYTES_MAX: Final = 8_192  # ours have at most half of it; what carries data is longer
_REMEMBERED_MAX: Final = 256  # statements: 2 MB in all
_WORDS_BEFORE_TEMPORARY: Final = 3  # CREATE [OR REPLACE] TEMPORARY
_DEPTH_OF: Final = dict.fromkeys((b"(", b"[", b"{"), 1) | dict.fromkeys((b")", b"]", b"}"), -1)


@dataclass(frozen=True)
class InputCall:
    """`input('structure')` inside an INSERT SELECT: where it stands in the SQL, and the columns it declares."""

    start: int
    end: int
    structure: str


@dataclass(frozen=True)
class Statement:
    """One statement, split from its data.

    `sql` ends before FORMAT when `data` is not None. `format` is the one the statement names, of its data for
    an INSERT and of its result otherwise; None when it names none. `settings_start` is where an INSERT's own
    SETTINGS begin, or its end.
    """

    sql: bytes
    verb: str
    format: str | None = None
    data: bytes | None = None
    input_call: InputCall | None = None
    settings_start: int = 0
    is_temporary: bool = False

    @property
    def is_reading(self) -> bool:
        """Whether it only reads, so that readonly allows it."""
        return self.verb in _READING

    @property
    def is_streamable(self) -> bool:
        """Whether the engine can hand out its result block by block."""
        return self.verb in _STREAMED

    @property
    def changes_session(self) -> bool:
        """Whether later queries of the session must see what it does."""
        return self.verb in ("SET", "USE") or self.is_temporary


@dataclass(frozen=True)
class _Word:
    upper: str
    start: int
    end: int
    depth: int


def read_statement(query: bytes, body: bytes) -> Statement:
    """The statement of a request; its SQL may stand in the URL, in the body, or begin in one and end in the other.

    Raises:
        ClickHouseError: 62 when there is no statement or more than one, 358 for INTO OUTFILE.
    """
    if query and body:
        statement = _scan(query)
        if statement.data is not None:
            return replace(statement, data=statement.data + body if statement.data.strip() else body)
        return _scan(query + b"\n" + body)
    sql = query or body
    return _scan_again(sql) if len(sql) <= _REMEMBERED_BYTES_MAX else _scan(sql)


@lru_cache(maxsize=_REMEMBERED_MAX)
def _scan_again(sql: bytes) -> Statement:
    """As `_scan`, whose outcome it remembers: values are parameters, so the same few statements come for ever."""
    return _scan(sql)


def _scan(sql: bytes) -> Statement:
    words = _words(sql)
    first = next(words, None)
    if first is None:
        raise ClickHouseError(Code.SYNTAX_ERROR, "Empty query.")
    if first.upper == "INSERT":
        return _scan_insert(sql, first.upper, words)
    return _scan_other(sql, first, words)


def _scan_insert(sql: bytes, verb: str, words: Iterator[_Word]) -> Statement:
    is_named, is_select, settings_start = False, False, 0
    call: InputCall | None = None
    for word in words:
        if word.upper == "INPUT" and is_select and (found := _INPUT_CALL.match(sql, word.end)):
            call = InputCall(word.start, found.end(), _unquote(found[1] or b""))
        if word.depth:
            continue
        before = sql[: word.start]
        if not is_named:  # the table's own name may be any word
            is_named = word.upper not in ("INTO", "TABLE", "FUNCTION")
        elif word.upper in ("SELECT", "WITH"):
            is_select = True
        elif word.upper == "SETTINGS" and not settings_start:
            settings_start = word.start
        elif word.upper == "INFILE":
            raise ClickHouseError(Code.NOT_IMPLEMENTED, "FROM INFILE is not possible over HTTP.")
        elif word.upper == "VALUES" and not is_select:
            return Statement(before, verb, "Values", sql[word.end :], settings_start=settings_start or len(before))
        elif word.upper == "FORMAT" and (name := next(words, None)) and (call or not is_select):
            data = sql[_end_of(_AFTER_FORMAT, sql, name.end) :]
            data_format = sql[name.start : name.end].decode()
            return Statement(before, verb, data_format, data, call, settings_start or len(before))
    return Statement(_single(sql), verb)


def _scan_other(sql: bytes, first: _Word, words: Iterator[_Word]) -> Statement:
    verb, previous, name = first.upper, first, None
    is_temporary = False
    for index, word in enumerate(words):
        if word.depth:
            continue
        if word.upper == "OUTFILE" and previous.upper == "INTO":
            raise ClickHouseError(Code.INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed over HTTP.")
        if word.upper == "INSERT" and verb == "WITH":
            verb = "INSERT"
        is_temporary |= verb == "CREATE" and word.upper == "TEMPORARY" and index < _WORDS_BEFORE_TEMPORARY
        if previous.upper == "FORMAT":
            name = word
        elif name and previous is name and word.upper != "SETTINGS":
            name = None  # FORMAT was a column's name: something else follows
        previous = word
    text = sql[name.start : name.end].decode() if name else None
    return Statement(_single(sql), verb, text, is_temporary=is_temporary)


def _words(sql: bytes) -> Iterator[_Word]:
    """Bare words outside comments and quotes, with the depth of brackets they stand at."""
    depth = 0
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup
        if kind == "word":
            is_qualified = sql[token.start() - 1 : token.start()] == b"."
            upper = "" if is_qualified else token[0].decode().upper()
            yield _Word(upper, token.start(), token.end(), depth)
        elif kind == "quoted":
            yield _Word("", token.start(), token.end(), depth)
        elif kind == "mark":
            depth += _DEPTH_OF.get(token[0], 0)


def _single(sql: bytes) -> bytes:
    """The SQL without its closing semicolon; an error when another statement follows it."""
    if b";" not in sql:
        return sql
    for token in _TOKEN.finditer(sql):
        if token[0] == b";":
            rest = _TOKEN.finditer(sql, token.end())
            if any(after.lastgroup != "blank" and after[0] != b";" for after in rest):
                raise ClickHouseError(Code.SYNTAX_ERROR, "Multi-statements are not allowed.")
            return sql[: token.start()]
    return sql


def _end_of(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    found = pattern.match(text, start)
    return found.end() if found else start


def _unquote(literal: bytes) -> str:
    return re.sub(rb"\\(.)|''", lambda found: found[1] or b"'", literal, flags=re.DOTALL).decode()
