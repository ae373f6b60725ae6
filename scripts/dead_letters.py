"""Dead letters of a deployment: `python -m scripts.dead_letters list | show NAME | redrive [--dry-run]`.

Without --bucket: the running embedded stack's. With it (and --bootstrap to redrive): those on AWS, as the AWS
configuration of the shell says. `redrive` appends the original records to `events-replay` and moves each letter to
`dead-letters-redriven/v1/` once Kafka acknowledged it; one that still cannot be loaded comes back as a new letter.

Exit codes: 0 done, also when nothing was selected; 1 no stack, no such letter, or S3 or Kafka does not answer;
2 the command line is wrong; 3 some letters were not redriven and lie where they were.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from event_analytics.adapters.aws_session import aws_session
from event_analytics.adapters.kafka_event_log import KafkaEventLog
from event_analytics.adapters.s3_object_store import S3ObjectStore
from event_analytics.dead_letters import read_letter
from event_analytics.errors import LogUnavailable
from event_analytics.ports import EventLog, ObjectStore
from event_analytics.redrive import RedriveStep, Selection, plan_redrive, redrive, select_letters
from local_runtime.settings import LocalSettings
from scripts.connection import read_connection
from scripts.failures import GaveUp, ScriptFailed

LETTERS_IN_HAND_MAX: Final = 50  # a letter has up to 1.3 MB, and its value is decoded beside it
EXIT_UNKNOWN_NAME: Final = 1
EXIT_SOME_LEFT: Final = 3


class Place(NamedTuple):
    """Where the letters lie, and where their records go."""

    bucket: str
    endpoint_url: str | None
    bootstrap: str
    security: str

    def objects(self) -> S3ObjectStore:
        """The bucket."""
        return S3ObjectStore(self.bucket, aws_session(self.endpoint_url).client("s3"))

    def log(self) -> KafkaEventLog:
        """The brokers; not connected to before the first append."""
        return KafkaEventLog(self.bootstrap, self.security, client_id="tallystream-redrive")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.command == "redrive" and given.bucket and not given.bootstrap and not given.dry_run:
        parser.error("redrive with --bucket needs --bootstrap")
    try:
        return _run(given)
    except ScriptFailed as problem:
        failure = problem
    except (BotoCoreError, ClientError, LogUnavailable, msgspec.MsgspecError) as problem:
        failure = GaveUp(f"{type(problem).__name__}: {problem}")
    print(failure, file=sys.stderr)
    return failure.exit_code


def list_letters(objects: ObjectStore, selection: Selection) -> int:
    """Print one line per selected letter: name, reason, error, when it was given up."""
    count = 0
    for name, letter in select_letters(objects, selection, _tell_unreadable):
        died = datetime.fromtimestamp(letter.dead_ms / 1_000, UTC).isoformat(timespec="seconds")
        mark = " needs_classification" if letter.needs_classification else ""
        print(f"{name}\t{letter.reason}\t{letter.error_code or '-'} {letter.error_name or '-'}{mark}\t{died}")
        count += 1
    print(f"{count} dead letters", file=sys.stderr)
    return 0


def show_letter(objects: ObjectStore, name: str) -> int:
    """Print one letter as JSON, with key and value as text where they are text."""
    body = objects.get(name)
    if body is None:
        print(f"no dead letter {name}", file=sys.stderr)
        return EXIT_UNKNOWN_NAME
    letter = read_letter(body)
    shown = {**msgspec.to_builtins(letter), "key": _text_of(letter.key), "value": _text_of(letter.value)}
    print(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    return 0


def redrive_letters(objects: ObjectStore, log: EventLog, selection: Selection, *, is_dry_run: bool) -> int:
    """Send the selected letters' records again, or say which these are; the exit code says whether all went.

    Raises:
        LogUnavailable: no broker could be reached. What is not printed as redriven lies where it was.
    """
    went = left = 0
    unreadable: list[str] = []
    selected = select_letters(objects, selection, unreadable.append)
    while chunk := list(itertools.islice(selected, LETTERS_IN_HAND_MAX)):
        steps = [plan_redrive(name, letter) for name, letter in chunk]
        sendable = [step for step in steps if step.record is not None]
        done = {step.letter for step in (sendable if is_dry_run else redrive(objects, log, sendable))}
        for step in steps:
            print(f"{_outcome_of(step, is_done=step.letter in done, is_dry_run=is_dry_run)}\t{step.letter}")
        went += len(done)
        left += len(steps) - len(done)
    for name in unreadable:
        _tell_unreadable(name)
    left += len(unreadable)
    print(f"{went} {'would be ' if is_dry_run else ''}redriven, {left} left", file=sys.stderr)
    return EXIT_SOME_LEFT if left else 0


def _tell_unreadable(name: str) -> None:
    print(f"no letter, though it is named so: {name}", file=sys.stderr)


def _outcome_of(step: RedriveStep, *, is_done: bool, is_dry_run: bool) -> str:
    if is_done:
        return "would redrive" if is_dry_run else "redriven"
    return "left: the record had no value" if step.record is None else "left: not acknowledged"


def _run(given: argparse.Namespace) -> int:
    place = _place_of(given)
    objects = place.objects()
    if given.command == "show":
        return show_letter(objects, given.name)
    selection = Selection(given.reason, given.since, getattr(given, "name", None))
    if given.command == "list":
        return list_letters(objects, selection)
    if selection.name and objects.get(selection.name) is None:
        print(f"no dead letter {selection.name}", file=sys.stderr)
        return EXIT_UNKNOWN_NAME
    log = place.log()
    try:
        return redrive_letters(objects, log, selection, is_dry_run=given.dry_run)
    finally:
        log.close()


def _place_of(given: argparse.Namespace) -> Place:
    if given.bucket:
        return Place(given.bucket, None, given.bootstrap or "", given.security)
    connection = read_connection(LocalSettings.from_env().state_dir)
    return Place(connection.archive_bucket, connection.aws_endpoint, connection.kafka, "plaintext")


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m scripts.dead_letters",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bucket", help="archive bucket on AWS: output ArchiveBucketName of the stack")
    parser.add_argument("--bootstrap", help="brokers on AWS, host:port[,host:port]")
    parser.add_argument("--security", default="plaintext", choices=["plaintext", "tls", "msk-iam"])
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="one line per letter")
    show = commands.add_parser("show", help="one letter, as JSON")
    show.add_argument("name", help="as `list` prints it")
    sending = commands.add_parser("redrive", help="send the records again")
    for command in (listing, sending):
        command.add_argument("--reason", help="such as record_undecodable or store_rejected")
        command.add_argument("--since", type=_unix_ms, help="given up then or later: 2026-01-02T03:04:05Z")
    sending.add_argument("--name", help="this letter only")
    sending.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    return parser


def _unix_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no offset: add Z for UTC")
    return int(moment.timestamp() * 1_000)


def _text_of(content: bytes | None) -> str | None:
    """The text; None for what is none, which then stands as base64 only."""
    try:
        return None if content is None else content.decode()
    except UnicodeDecodeError:
        return None


if __name__ == "__main__":
    sys.exit(main())
