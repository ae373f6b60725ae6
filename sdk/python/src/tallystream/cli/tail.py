"""`tallystream tail`: events as they show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import click

from tallystream.cli.options import json_option, limit_option, open_client, read_filters, target_options, window_options
from tallystream.cli.output import print_event_line, print_json
from tallystream.client import Client
from tallystream.errors import Unavailable
from tallystream.results import Event

OVERLAP: Final = timedelta(seconds=60)  # an event that comes later than this after its own time is not shown
PAGE_SIZE: Final = 1_000


@click.command()
@click.option("--interval", default=1.0, show_default=True, help="Seconds between questions.")
@click.option("--no-follow", is_flag=True, help="End after the newest events.")
@limit_option(10)
@window_options
@json_option
@target_options
def tail(
    url: str | None,
    key: str | None,
    *,
    is_json: bool,
    limit: int,
    interval: float,
    no_follow: bool,
    **options: Any,
) -> None:
    """The newest events, and new ones as they show, until Ctrl-C."""
    client, filters = open_client(url, key), read_filters(options)
    follower = Follower(client, {name: value for name, value in filters.items() if name not in ("window", "end")})
    for found in follower.newest(limit, filters):
        print_json(found) if is_json else print_event_line(found)
    while not no_follow:
        time.sleep(interval)
        for found in follower.more():
            print_json(found) if is_json else print_event_line(found)


class Follower:
    """Shows each event once. `filters` hold no window."""

    def __init__(self, client: Client, filters: dict[str, Any]) -> None:
        self._client = client
        self._filters = filters
        self._shown: dict[str, datetime] = {}
        self._since = datetime.now(timezone.utc) - OVERLAP

    def newest(self, limit: int, filters: dict[str, Any]) -> list[Event]:
        """The newest events, oldest of them first."""
        page = next(self._client.events(page_size=limit, **filters).pages())
        return [found for found in reversed(page) if self._is_new(found)]

    def more(self) -> Iterator[Event]:
        """Events that have shown since; none while the API does not answer."""
        start = self._since
        try:
            for found in self._client.events(order="asc", page_size=PAGE_SIZE, start=start, **self._filters):
                if self._is_new(found):
                    yield found
        except Unavailable as problem:
            click.echo(f"waiting: {problem}", err=True)
            return  # what came meanwhile is shown once it answers
        self._since = max(self._since, datetime.now(timezone.utc) - OVERLAP)
        self._shown = {identifier: at for identifier, at in self._shown.items() if at >= self._since}

    def _is_new(self, found: Event) -> bool:
        if found.id in self._shown:
            return False
        self._shown[found.id] = found.timestamp
        return True
