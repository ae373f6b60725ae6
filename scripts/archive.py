"""What the archive holds: `python -m scripts.archive verify | list [--start T] [--end T] [--json]`.

`verify` tells for each topic, epoch and partition which offsets are archived and which are missing; objects that
overlap are fine. The whole archive has to begin at offset 0. With a window (hours of acceptance, UTC) the offsets in it
have to be without holes; one that is accepted in another hour, as a spooled event is, is looked for there. What Kafka
has and the archive has not yet got is not missing: that is lag. `list` prints the objects.

Exit codes: 0 no gaps; 1 gaps, or offsets that two lives of a topic claim under one epoch, each listed; also 1 when S3
does not answer.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from event_analytics.archive_coverage import Coverage, OffsetRange, cover, lane_of, without
from event_analytics.archive_reading import remaining_folders
from event_analytics.ports import ObjectStore
from event_analytics.replay import ArchivedObject, Pass
from event_analytics.replay_state import Position
from event_analytics.routing import EVENT_CHANGES_TOPIC, EVENTS_TOPIC
from scripts.failures import ScriptFailed
from scripts.places import add_place_options, failing_in_one_line, place_of

ARCHIVED_TOPICS: Final = (EVENTS_TOPIC, EVENT_CHANGES_TOPIC)
EXIT_GAPS: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(arguments)
    try:
        with failing_in_one_line(), place_of(given).objects() as objects:
            if given.command == "list":
                return list_objects(objects, given.start, given.end, is_json=given.json)
            return report(verify(objects, given.start, given.end), is_json=given.json)
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code


def verify(objects: ObjectStore, start: datetime | None, end: datetime | None) -> list[Coverage]:
    """Coverage of each lane; with a window, a gap is one only if no other hour has its offsets."""
    found = (each.key for each in archived_objects(objects, ARCHIVED_TOPICS, start, end))
    coverages = cover(found, is_whole=start is None)
    topics = sorted({each.lane.topic for each in coverages if each.gaps})
    if not topics or start is end is None:
        return coverages
    elsewhere = (each.key for each in archived_objects(objects, topics, None, None))
    return without(coverages, ((lane_of(key), OffsetRange(key.first_offset, key.last_offset)) for key in elsewhere))


def archived_objects(
    objects: ObjectStore, topics: Iterable[str], start: datetime | None, end: datetime | None
) -> Iterator[ArchivedObject]:
    """Objects of the hours that touch a window, topic by topic, in the order in which offsets are read."""
    start_ms = int(start.timestamp() * 1_000) if start else 0
    end_ms = int(end.timestamp() * 1_000) if end else None
    for topic in topics:
        for folder in remaining_folders(objects, Pass(topic, start_ms, end_ms), Position()):
            yield from folder.objects


def report(coverages: Sequence[Coverage], *, is_json: bool) -> int:
    """Print the coverage; the exit code says whether anything is missing or contradictory."""
    if is_json:
        print(msgspec.json.encode({"lanes": [_describe(each) for each in coverages]}).decode())
    else:
        _print_lanes(coverages)
    return EXIT_GAPS if any(each.gaps or each.conflicts for each in coverages) else 0


def list_objects(objects: ObjectStore, start: datetime | None, end: datetime | None, *, is_json: bool) -> int:
    """Print one line per object: name, records, bytes."""
    for each in archived_objects(objects, ARCHIVED_TOPICS, start, end):
        records = each.key.last_offset - each.key.first_offset + 1
        if is_json:
            print(msgspec.json.encode({"name": each.name, "records": records, "bytes": each.size}).decode())
        else:
            print(f"{each.name}\t{records}\t{each.size}")
    return 0


def _describe(coverage: Coverage) -> dict[str, Any]:
    return {
        **coverage.lane._asdict(),
        "objects": coverage.objects,
        "records": coverage.records,
        "first_offset": coverage.covered[0].first,
        "last_offset": coverage.covered[-1].last,
        "repeated": coverage.repeated,
        "gaps": coverage.gaps,
        "conflicts": coverage.conflicts,
    }


def _print_lanes(coverages: Sequence[Coverage]) -> None:
    for each in coverages:
        lane, first, last = each.lane, each.covered[0].first, each.covered[-1].last
        print(
            f"{lane.topic} epoch {lane.epoch} partition {lane.partition}: offsets {first}-{last}, "
            f"{each.records:,} records in {each.objects:,} objects, {each.repeated:,} held twice"
        )
        for gap in each.gaps:
            print(f"  GAP {gap.first}-{gap.last}: {gap.size:,} records are missing")
        for conflict in each.conflicts:
            print(f"  CONFLICT {conflict.first}-{conflict.last}: two lives of the topic claim these under one epoch")
    gaps = [gap for each in coverages for gap in each.gaps]
    missing = f"{len(gaps)} gaps, {sum(gap.size for gap in gaps):,} records missing" if gaps else "no gaps"
    print(f"{sum(each.records for each in coverages):,} records, {missing}")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m scripts.archive",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_place_options(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (("verify", "offsets covered and missing"), ("list", "one line per object")):
        command = commands.add_parser(name, help=purpose)
        command.add_argument("--start", type=read_instant, help="accepted in this hour or later: 2026-01-02T03:00:00Z")
        command.add_argument("--end", type=read_instant, help="accepted before; hours that it cuts are taken whole")
        command.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def read_instant(text: str) -> datetime:
    """An instant in UTC; raises ArgumentTypeError."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no RFC 3339 time") from error
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no offset: add Z for UTC")
    return instant.astimezone(UTC)


if __name__ == "__main__":
    sys.exit(main())
