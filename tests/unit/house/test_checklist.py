"""The ten commands of a first deploy: each has an output to expect, and what can be held to our code is."""

import re
from pathlib import Path

import pytest

from event_analytics.topics import topics_of
from scripts import keys
from scripts.bootstrap.commands import COMMANDS
from scripts.bootstrap.steps import AWS_TOOLS_VENV
from scripts.deploy.__main__ import main
from scripts.deploy.stacks import STACKS

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/aws_checklist.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if re.match(r"\| \d+ \|", line)
]
COMMANDS_OF = {int(row[0]): row[1] for row in ROWS}


def test_there_are_ten_each_with_what_to_expect_and_what_to_do_else() -> None:
    assert [int(row[0]) for row in ROWS] == list(range(1, 11))
    assert all(len(row) == 4 and "`" in row[1] and all(row) for row in ROWS)


def test_the_commands_of_make_and_their_programs_are_there() -> None:
    named = set(re.findall(r"make (\w+)", " ".join(COMMANDS_OF.values())))

    assert named <= {command.name for command in COMMANDS}
    assert f"`{AWS_TOOLS_VENV}/bin/sam validate --lint`" in COMMANDS_OF[4]


def test_the_plan_has_the_lines_that_are_announced(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "example", "--plan"]) == 0
    printed = [" ".join(line.split()[:3]) for line in capsys.readouterr().out.splitlines()]
    assert main(["up", "example", "--plan", "--until", "streaming"]) == 0
    first = capsys.readouterr().out.splitlines()

    assert "seven lines: `env ... sam build`, five `sam deploy`, one `aws lambda invoke`" in TEXT
    assert len(printed) == 7
    assert len([line for line in printed if line.startswith("sam deploy")]) == 5
    assert "aws lambda invoke" in printed
    assert "--until streaming" in COMMANDS_OF[6]
    assert "three times" in ROWS[5][2]
    assert len(first) == 3


def test_the_names_that_are_announced_are_those_of_the_code() -> None:
    made = ", ".join(f'"{topic.name}"' for topic in topics_of(8, 168))
    stacks = set(re.findall(r"tallystream-prod-(\w+)", TEXT))

    assert f"`topics_created: [{made}]`" in TEXT
    assert '"0001_create_events"' in TEXT
    assert (ROOT / "schema/migrations/0001_create_events.sql").is_file()
    assert stacks <= STACKS.keys()


def test_the_key_that_is_made_may_do_what_is_tried_with_it() -> None:
    words = re.search(r"scripts\.keys ([^`]+)`", COMMANDS_OF[9])
    assert words
    given = keys._parse_arguments(words[1].split())

    assert set(given.scopes.split(",")) == {"write", "read"}
    # curl calls a body a form unless it is told what it is.
    assert all("Content-Type: application/json" in part for part in COMMANDS_OF[10].split(" and ") if " -d " in part)
