"""Tells the person that setting up is alive: one line, redrawn on a terminal, repeated elsewhere."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from pathlib import Path

from .programs import read_log_tail

REDRAW_SECONDS = 0.5  # a clock that moves
TELL_SECONDS = 20.0  # a log without a terminal stays short and still shows where the time goes
LINE_CHARACTERS_MAX = 78  # a longer line would wrap on a narrow terminal and could not be redrawn
# pip: `  Downloading NAME-VERSION-TAGS.whl (168.2 MB)`, `Installing collected packages: ...`
DOWNLOADING = re.compile(r"\s*Downloading (?:\S*/)?([A-Za-z0-9_.]+-[0-9][^-\s]*)\S* (\(.*\))")
INSTALLING = re.compile(r"(Installing) collected packages|(Building) (?:wheel|editable)")


def follow(logs: Mapping[Future[None], Path]) -> None:
    """Return when all are done. The first exception of any is raised at once, while others still run."""
    started = told = time.monotonic()
    while True:
        done, pending = wait(logs, timeout=REDRAW_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
        if not pending:
            return
        now = time.monotonic()
        activities = (find_activity(read_log_tail(log)) for future, log in logs.items() if future in pending)
        line = f"  {now - started:3.0f} s  {', '.join(filter(None, activities))}"[:LINE_CHARACTERS_MAX]
        if sys.stdout.isatty():
            print(f"\r\033[K{line}", end="", flush=True)
        elif now - told >= TELL_SECONDS:
            told = now
            print(line, flush=True)


def tell(line: str) -> None:
    """Print a line that stays, in place of the one that is being redrawn."""
    print(f"\r\033[K{line}" if sys.stdout.isatty() else line, flush=True)


def find_activity(lines: list[str]) -> str:
    """Return what pip does now, in a few words; empty when its log does not say."""
    for line in reversed(lines):
        if download := DOWNLOADING.match(line):
            return f"downloading {download[1]} {download[2]}"
        if installing := INSTALLING.search(line):
            return (installing[1] or installing[2]).lower()
    return ""
