"""Puts the commands together and turns errors into one line and an exit code."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import click

from tallystream.cli.doctor import doctor
from tallystream.cli.exits import INTERRUPTED, OK, USAGE, code_of
from tallystream.cli.files import FileUnreadable
from tallystream.cli.reports import errors, event, latency, session, sessions, top_users
from tallystream.cli.send import send
from tallystream.cli.tail import tail
from tallystream.cli.target import TargetMissing
from tallystream.errors import TallystreamError
from tallystream.version import __version__

EPILOG = (
    "Exit codes: 0 done; 1 some events were refused, or the doctor found a fault; 2 wrong usage; 3 the API does not "
    "answer, the same may succeed later; 4 the key is refused; 5 not found; 6 refused otherwise; 130 interrupted."
)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tallystream")
def tallystream() -> None:
    """Send events to Tallystream, and ask it."""


for _command in (send, top_users, latency, errors, sessions, session, event, tail, doctor):
    tallystream.add_command(_command)


def run(words: Sequence[str]) -> int:
    """The exit code of one call."""
    logging.getLogger("tallystream").addHandler(logging.NullHandler())  # what matters is said below
    logging.getLogger("tallystream").propagate = False
    try:
        return int(tallystream.main(list(words), prog_name="tallystream", standalone_mode=False) or OK)
    except click.exceptions.Exit as ended:
        return int(ended.exit_code)
    except click.ClickException as problem:
        problem.show()
        return int(problem.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("stopped; what was acknowledged stays", err=True)
        return INTERRUPTED
    except SystemExit:  # how click ends on a closed pipe: `tallystream tail | head`
        return OK
    except (TallystreamError, TargetMissing, FileUnreadable, OSError, ValueError) as problem:
        return _say(problem)


def _say(problem: Exception) -> int:
    if isinstance(problem, BrokenPipeError):  # `tallystream tail | head`
        return OK
    click.echo(f"{type(problem).__name__}: {problem}", err=True)
    if isinstance(problem, TallystreamError):
        return code_of(problem)
    return USAGE
