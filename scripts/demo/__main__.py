"""`python -m scripts.demo [--events N|all] [--file PATH]`: uses the stack that runs here, or starts one and stops it.

Exit codes: 0 every answer equals what was sent, 1 one does not or a part failed, 2 wrong usage, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from local_runtime import interrupts, stack
from local_runtime.connection import Connection
from local_runtime.ports import PortTaken
from local_runtime.settings import InvalidSettings, LocalSettings
from scripts.connection import find_running
from scripts.convert_chitchat import EVENTS_DEFAULT
from scripts.demo.archive import read_archive
from scripts.demo.run import DemoRun
from scripts.demo.sources import FileSource, SampleSource, Source
from scripts.failures import ScriptFailed

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo; returns the exit code."""
    options = _parse(arguments)
    try:
        with interrupts.as_keyboard_interrupt():
            return _run(options)
    except (ScriptFailed, stack.StackFailed, stack.AlreadyRunning, PortTaken) as failure:
        print(failure, file=sys.stderr)
        return EXIT_FAILED
    except (BotoCoreError, ClientError, OSError) as failure:
        print(f"{type(failure).__name__}: {failure}", file=sys.stderr)
        return EXIT_FAILED
    except InvalidSettings as failure:
        print(failure, file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("interrupted. What was acknowledged stays; a second run counts nothing twice", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description="Real events in, checked answers out.")
    parser.add_argument(
        "--events", type=_read_limit, default=EVENTS_DEFAULT, help=f"how many, or all; default {EVENTS_DEFAULT}"
    )
    parser.add_argument("--file", type=Path, help="NDJSON or CSV in the wire format instead of the sample")
    return parser.parse_args(arguments)


def _read_limit(text: str) -> int | None:
    if text.strip().lower() == "all":
        return None
    limit = int(text.replace("_", "").replace(",", ""))
    if limit < 1:
        raise ValueError(text)
    return limit


def _run(options: argparse.Namespace) -> int:
    console = Console()
    settings = LocalSettings.from_env()
    source: Source = FileSource(options.file) if options.file else SampleSource(options.events)
    with _connected(settings, console) as (connection, was_running):
        list_archive = partial(read_archive, connection.aws_endpoint, connection.archive_bucket)
        is_right = DemoRun(connection, source, console, list_archive, keeps_running=was_running).execute()
    console.print("every answer equals what was sent" if is_right else "an answer is WRONG: see above", highlight=False)
    return EXIT_OK if is_right else EXIT_FAILED


@contextmanager
def _connected(settings: LocalSettings, console: Console) -> Iterator[tuple[Connection, bool]]:
    connection = find_running(settings.state_dir)
    if connection is not None:
        console.print(f"using the stack that runs: {connection.api_url}", highlight=False)
        yield connection, True
        return
    with stack.running(settings, lambda line: console.print(line, highlight=False, markup=False)) as started:
        yield started, False


if __name__ == "__main__":
    sys.exit(main())
