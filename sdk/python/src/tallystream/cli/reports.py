"""The commands that ask: reports, sessions, events."""

from __future__ import annotations

from typing import Any

import click

from tallystream.cli.exits import NOT_FOUND
from tallystream.cli.options import json_option, limit_option, open_client, read_filters, target_options, window_options
from tallystream.cli.output import Column, as_lines, print_json, print_pairs, print_table, show_ms, show_share


@click.command("top-users")
@limit_option(10)
@window_options
@json_option
@target_options
def top_users(url: str | None, key: str | None, *, is_json: bool, limit: int, **options: Any) -> None:
    """Users by number of events."""
    report = open_client(url, key).top_users(limit=limit, **read_filters(options))
    if is_json:
        return print_json(report)
    caption = f"{report.events_total:,} events of {report.users_total:,} users"
    rows = [(user.user_id, user.events) for user in report.users]
    return print_table("Top users", [Column("user_id"), Column("events", True)], rows, caption)


@click.command()
@click.option("--by", default="event_name", help="event_name, conversation_id, or both with a comma.")
@limit_option(20)
@window_options
@json_option
@target_options
def latency(url: str | None, key: str | None, *, is_json: bool, limit: int, by: Any, **options: Any) -> None:
    """Exact latencies by event name or session."""
    report = open_client(url, key).latency(by=by, limit=limit, **read_filters(options))
    if is_json:
        return print_json(report)
    names = str(by).split(",")
    columns = [*(Column(name) for name in names), *(Column(name, True) for name in ("events", "p50", "p95", "p99"))]
    rows = [
        (*(getattr(row, name) for name in names), row.events, *map(show_ms, (row.p50_ms, row.p95_ms, row.p99_ms)))
        for row in report.latency
    ]
    return print_table("Latency", columns, rows)


@click.command()
@click.option("--by", type=click.Choice(["event_name", "error"]), default="event_name", show_default=True)
@limit_option(20)
@window_options
@json_option
@target_options
def errors(url: str | None, key: str | None, *, is_json: bool, limit: int, by: Any, **options: Any) -> None:
    """Errors by event name, with their rate, or by error."""
    report = open_client(url, key).errors(by=by, limit=limit, **read_filters(options))
    if is_json:
        return print_json(report)
    caption = f"{report.errors_total:,} errors in {report.events_total:,} events"
    if by == "error":
        rows: list[tuple[Any, ...]] = [(row.error, row.errors) for row in report.errors]
        return print_table("Errors", [Column("error"), Column("errors", True)], rows, caption)
    columns = [Column("event_name"), Column("events", True), Column("errors", True), Column("rate", True)]
    rows = [(row.event_name, row.events, row.errors, show_share(row.error_rate)) for row in report.errors]
    return print_table("Errors", columns, rows, caption)


@click.command()
@click.option("--by", type=click.Choice(["error_rate", "errors", "events", "latency"]), default="error_rate")
@click.option("--min-events", default=1, show_default=True, help="Sessions with at least so many events.")
@limit_option(20)
@window_options
@json_option
@target_options
def sessions(
    url: str | None, key: str | None, *, is_json: bool, limit: int, by: Any, min_events: int, **options: Any
) -> None:
    """Sessions by error rate, errors, events or latency."""
    client = open_client(url, key)
    report = client.top_conversations(by=by, min_events=min_events, limit=limit, **read_filters(options))
    if is_json:
        return print_json(report)
    names = ("events", "errors", "rate", "p95")
    columns = [Column("conversation_id"), *(Column(name, True) for name in names), Column("started_at")]
    rows = [
        (row.conversation_id, row.events, row.errors, show_share(row.error_rate), show_ms(row.p95_ms), row.started_at)
        for row in report.conversations
    ]
    return print_table("Sessions", columns, rows)


@click.command()
@click.argument("conversation_id")
@click.option("--include", help="More fields, with commas: input,output,embeddings.")
@json_option
@target_options
@click.pass_context
def session(
    context: click.Context,
    url: str | None,
    key: str | None,
    *,
    is_json: bool,
    conversation_id: str,
    include: str | None,
) -> None:
    """What happened in one session, in the order of time."""
    chosen: Any = tuple(filter(None, (include or "").split(",")))
    rows = open_client(url, key).conversation(conversation_id, include=chosen, page_size=1_000)
    if not as_lines(rows, is_json=is_json):
        click.echo("no events of this session", err=True)
        context.exit(NOT_FOUND)


@click.command()
@click.argument("event_id")
@click.option("--wait", "wait_seconds", default=0.0, help="Seconds to wait for it, up to 5: it may not be loaded yet.")
@json_option
@target_options
def event(url: str | None, key: str | None, *, is_json: bool, event_id: str, wait_seconds: float) -> None:
    """One event with everything it has."""
    found = open_client(url, key).event(event_id, wait_seconds=wait_seconds)
    if is_json:
        return print_json(found)
    shown = dict(vars(found))
    for name in ("input_embeddings", "output_embeddings"):
        shown[name] = f"{len(shown[name])} numbers" if shown[name] else None
    return print_pairs(shown)
