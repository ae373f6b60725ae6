"""`tallystream doctor`: what works from here, and what to do about what does not. Writes nothing to the API."""

from __future__ import annotations

import platform
import sqlite3
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import click

from tallystream.answers import Answer, NoAnswer, error_of
from tallystream.cli.exits import OK, SOME_FAILED
from tallystream.cli.options import json_option, target_options
from tallystream.cli.output import print_json
from tallystream.cli.target import Scope, find_target
from tallystream.environment import default_spool_root
from tallystream.spool_folder import folder_of
from tallystream.transport import Transport
from tallystream.version import USER_AGENT, __version__

TIMEOUT_SECONDS: Final = 10.0
SKEW_SECONDS_MAX: Final = 60.0  # reports by the hour begin to look odd; a day ahead is refused
_NOTHING_TO_TAKE: Final = frozenset({"no_events", "body_unreadable"})


class Finding(NamedTuple):
    """One thing looked at. `advice`: what to do, where it is not well."""

    name: str
    is_well: bool
    text: str
    advice: str = ""


@click.command()
@json_option
@target_options
@click.pass_context
def doctor(context: click.Context, url: str | None, key: str | None, *, is_json: bool) -> None:
    """Check URL, keys, clock, versions and the spool."""
    findings = list(examine(url, key))
    for finding in findings:
        if is_json:
            print_json(finding._asdict())
            continue
        mark = click.style("ok   ", fg="green") if finding.is_well else click.style("FAULT", fg="red")
        click.echo(f"{mark} {finding.name:<10} {finding.text}")
        if not finding.is_well:
            click.echo(f"{'':<17}{finding.advice}")
    context.exit(OK if all(finding.is_well for finding in findings) else SOME_FAILED)


def examine(url: str | None, key: str | None) -> Iterator[Finding]:
    """Everything there is to look at, the cheapest first. Raises TargetMissing."""
    sqlite = sqlite3.sqlite_version
    versions = f"tallystream {__version__}, Python {platform.python_version()}, SQLite {sqlite}, {platform.system()}"
    yield Finding("versions", True, versions)
    target = find_target(url, key, "write")
    yield Finding("target", True, f"{target.url} (from {target.origin})")
    yield _examine_spool(target.url)
    transport = _transport(target.url, target.key)
    started = time.perf_counter()
    try:
        answer = transport.call("GET", "/health")
    except NoAnswer as problem:
        yield Finding("health", False, str(problem), "is the URL right, and is the API up?")
        return
    finally:
        transport.close()
    yield _examine_health(answer, (time.perf_counter() - started) * 1_000)
    yield _examine_version(answer)
    yield _examine_clock(answer)
    yield _examine_key(url, key, "write")
    yield _examine_key(url, key, "read")


def _transport(url: str, key: str) -> Transport:
    return Transport(url, key, USER_AGENT, timeout_seconds=TIMEOUT_SECONDS)


def _examine_spool(url: str) -> Finding:
    try:
        folder = folder_of(default_spool_root(), url)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = list(folder.glob("*.sqlite3"))
        size = sum(file.stat().st_size for file in files)
    except (OSError, RuntimeError) as problem:
        return Finding("spool", False, str(problem), "set TALLYSTREAM_SPOOL_DIR to a folder that can be written")
    return Finding("spool", True, f"{folder}: {len(files)} files, {size:,} bytes")


def _examine_health(answer: Answer, milliseconds: float) -> Finding:
    document = answer.document()
    if not answer.is_ok or "status" not in document:
        return Finding("health", False, f"{answer.status}: {document or 'no JSON'}", "is this the URL of the API?")
    encodings = ", ".join(document.get("request_encodings") or ()) or "none"
    status, durability = document["status"], document.get("kafka_durability")
    text = (
        f"{status} in {milliseconds:.0f} ms; Kafka keeps its log {durability}; requests may be packed as: {encodings}"
    )
    return Finding("health", True, text)


def _examine_version(answer: Answer) -> Finding:
    theirs = str(answer.document().get("version", ""))
    if not theirs:
        return Finding("version", True, "the API does not say which version it is")
    text = f"the API is {theirs}, this client {__version__}"
    return Finding("version", _promise_of(theirs) == _promise_of(__version__), text, "install the client of the API")


def _promise_of(version: str) -> tuple[str, ...]:
    """The leading parts that stay while nothing breaks: 0.1 of 0.1.7, 2 of 2.3.4 (semver.org, items 4 and 8)."""
    parts = version.split(".")
    return tuple(parts[:2] if parts[0] == "0" else parts[:1])


def _examine_clock(answer: Answer) -> Finding:
    try:
        skew = time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return Finding("clock", True, "the API does not say what time it is")
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the API"
    return Finding("clock", abs(skew) <= SKEW_SECONDS_MAX, text, "set this machine's clock (NTP)")


def _examine_key(url: str | None, key: str | None, scope: Scope) -> Finding:
    target = find_target(url, key, scope)
    transport = _transport(target.url, target.key)
    name = f"may {scope}"
    try:
        if scope == "read":
            answer = transport.call("GET", "/reports/top-users?limit=1&window=1m")
        else:  # an empty list is refused after the key was looked at, and nothing is written
            answer = transport.call("POST", "/events", b'{"events":[]}', {"Content-Type": "application/json"})
    except NoAnswer as problem:
        return Finding(name, False, str(problem), "is the API up?")
    finally:
        transport.close()
    if answer.is_ok:
        return Finding(name, True, "yes")
    error = error_of(answer)
    if scope == "write" and error.reason in _NOTHING_TO_TAKE:
        return Finding(name, True, "yes")
    return Finding(name, False, str(error), f"use a key with the scope {scope}, where you need it")
