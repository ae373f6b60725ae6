"""Which pins are asked for known vulnerabilities, and what the answers mean. Decides; `advisories` asks pip-audit.

What the source of advisories does not answer for is not known to be sound: `make audit` fails then. `make lint` and
`make test` need no network, so they say what was not audited, and pass; a vulnerability that is known fails all three.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

# Vulnerability (any id of it) -> why it does no harm here.
ACCEPTED: dict[str, str] = {}
# Package -> why no source of advisories knows it.
UNKNOWN: dict[str, str] = {}
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;]+)")
_CAUSE_CHARACTERS_MAX = 160
_NAMED_MAX = 10  # packages on one line: beyond, it is not the package that is the trouble


class Round(NamedTuple):
    """One call of pip-audit: versions by package, what it found of each, and its last words where it found nothing."""

    pins: Mapping[str, str]
    found: Sequence[Mapping[str, Any]]
    cause: str = ""


class Verdict(NamedTuple):
    """What is printed, and whether the command fails."""

    lines: tuple[str, ...]
    is_failure: bool


def spread_pins(lists: Iterable[str]) -> list[dict[str, str]]:
    """Every pin of the lists once, whatever its marker: pip-audit refuses two versions of a package in one call."""
    versions: dict[str, dict[str, None]] = {}
    for line in (line for text in lists for line in text.splitlines()):
        if pin := _PIN.match(line):
            versions.setdefault(re.sub(r"[-_.]+", "-", pin[1]).lower(), {})[pin[2]] = None
    most = max(map(len, versions.values()), default=0)
    return [{name: list(each)[at] for name, each in versions.items() if at < len(each)} for at in range(most)]


def read_round(pins: Mapping[str, str], output: str, complaint: str) -> Round:
    """What a call said: JSON of all packages, or nothing where it did not come through."""
    try:
        return Round(pins, json.loads(output)["dependencies"])
    except (ValueError, KeyError):
        words = complaint.strip().splitlines() or ["no word from pip-audit"]
        return Round(pins, (), words[-1][:_CAUSE_CHARACTERS_MAX])


def judge(rounds: Sequence[Round], *, is_strict: bool) -> Verdict:
    """The verdict over all rounds."""
    asked = sum(len(each.pins) for each in rounds)
    left_out = [pin for each in rounds for pin in _left_out(each)]
    cause = next((f" ({each.cause})" for each in rounds if each.cause), "")
    if len(left_out) == asked and not is_strict:
        line = f"audit: NOT AUDITED, the source of advisories did not answer for {asked} of {asked} packages{cause}"
        return Verdict((line,), is_failure=False)
    holes = [line for each in rounds for line in _holes(each)]
    strange = [pin for pin in left_out if pin.partition("==")[0] not in UNKNOWN]
    lines = [*holes, *([f"not audited: {_name_some(strange)}{cause}"] if strange else [])]
    counted = f"{asked - len(left_out)} of {asked} packages audited, {len(holes)} known vulnerabilities"
    is_failure = bool(holes or (strange and is_strict))
    return Verdict((*lines, f"audit: {'FAILED, ' if is_failure else ''}{counted}"), is_failure)


def _left_out(asked: Round) -> list[str]:
    audited = {each["name"] for each in asked.found if "skip_reason" not in each}
    return [f"{name}=={version}" for name, version in asked.pins.items() if name not in audited]


def _name_some(pins: Sequence[str]) -> str:
    more = len(pins) - _NAMED_MAX
    return ", ".join(pins[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


def _holes(asked: Round) -> list[str]:
    return [
        f"{each['name']}=={each['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version'}"
        for each in asked.found
        for hole in each.get("vulns", ())
        if ACCEPTED.keys().isdisjoint({hole["id"], *hole.get("aliases", ())})
    ]
