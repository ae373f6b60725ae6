"""The walk through the running system prints what its page shows."""

import json
from typing import Any

from scripts.walkthrough import DOCUMENT, environment_of, read_steps, walk, write_steps


def test_the_walk_prints_what_its_page_says(stack: Any) -> None:
    steps = read_steps(DOCUMENT.read_text("utf-8"))

    walked = list(walk([step.command for step in steps], environment_of(stack.connection)))

    assert len(steps) > 15
    assert walked == steps


def test_a_page_takes_what_was_printed_and_keeps_its_words() -> None:
    page = "# One\n\n```console\n$ a\nold\n$ b\n```\n\ntwo\n\n```console\n$ c\n```\n"

    steps = [step._replace(output=f"{step.command}!\n") for step in read_steps(page)]

    assert write_steps(page, steps) == (
        "# One\n\n```console\n$ a\na!\n$ b\nb!\n```\n\ntwo\n\n```console\n$ c\nc!\n```\n"
    )


def test_the_recording_shows_the_commands_of_the_page() -> None:
    lines = DOCUMENT.with_suffix(".cast").read_text("utf-8").splitlines()
    header, shown = json.loads(lines[0]), "".join(json.loads(line)[2] for line in lines[1:])

    assert header["version"] == 2
    for step in read_steps(DOCUMENT.read_text("utf-8")):
        assert step.command in shown.replace("\r\n", "\n")
