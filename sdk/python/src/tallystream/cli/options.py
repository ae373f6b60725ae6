"""Options that many commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from tallystream.cli.target import Scope, find_target
from tallystream.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


def target_options(command: Command) -> Command:
    """`--url` and `--key`."""
    for option in (
        click.option("--key", help="API key; default: TALLYSTREAM_KEY, else the running stack's."),
        click.option("--url", help="URL of the API; default: TALLYSTREAM_URL, else the running stack's."),
    ):
        command = option(command)
    return command


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "is_json", is_flag=True, help="Print JSON, for scripts.")(command)


def window_options(command: Command) -> Command:
    """The window and the filters of a report."""
    for option in (
        click.option("--property", "properties", multiple=True, help="PATH=VALUE or PATH=gt:5 (eq ne gt gte lt lte)."),
        click.option("--has-error/--no-error", "has_error", default=None, help="Only events with or without error."),
        click.option("--conversation", "conversation_id", help="Only events of this session."),
        click.option("--user", "user_id", help="Only events of this user."),
        click.option("--event-name", help="Only events of this name."),
        click.option("--end", help="End of the window, RFC 3339; not included."),
        click.option("--start", help="Start of the window, RFC 3339."),
        click.option("--window", help="Length of the window that ends now: 30m, 24h, 7d."),
    ):
        command = option(command)
    return command


def limit_option(default: int) -> Callable[[Command], Command]:
    """`--limit`."""
    return click.option("-n", "--limit", default=default, show_default=True, type=click.IntRange(1, 10_000))


def read_filters(options: Mapping[str, Any]) -> dict[str, Any]:
    """The filters among a command's options.

    Raises:
        click.BadParameter: a property without a comparison.
    """
    filters = {name: value for name, value in options.items() if value is not None and name != "properties"}
    comparisons: dict[str, list[tuple[str, str]]] = {}
    for text in options.get("properties", ()):
        path, equals, comparison = text.partition("=")
        if not (path and equals):
            raise click.BadParameter(f"{text!r} is no PATH=VALUE", param_hint="--property")
        operator, colon, value = comparison.partition(":")
        is_named = bool(colon) and operator in ("eq", "ne", "gt", "gte", "lt", "lte", "exists")
        comparisons.setdefault(path, []).append((operator, value) if is_named else ("eq", comparison))
    return {**filters, **({"properties": comparisons} if comparisons else {})}


def open_client(url: str | None, key: str | None, scope: Scope = "read") -> Client:
    """A client for reading, closed when the command ends.

    Raises:
        TargetMissing: nobody says which API or key.
    """
    target = find_target(url, key, scope)
    client = Client(target.url, target.key, spool=False)
    click.get_current_context().call_on_close(client.close)
    return client
