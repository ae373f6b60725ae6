"""What it costs on AWS by list prices: `python -m scripts.cost [--rate 10000] [--batch 500] [--entrance alb] ...`.

Shows first what single-event requests cost on a REST API, then a table over rates and batch sizes, then every item of
one workload beside what another platform publishes. The arithmetic is `scripts/cost_model`, the prices are its data.
"""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from scripts.cost_model.bill import Bill, bill_of
from scripts.cost_model.prices import Prices, read_prices
from scripts.cost_model.workloads import Entrance, Kafka, Measured, Workload

RATES: Final = (10, 1_000, 10_000)
BATCHES: Final = (1, 500)
SINGLE: Final = Workload(events_per_s=10_000, events_per_request=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints; returns the exit code."""
    chosen, prices, console = _parse(arguments), read_prices(), Console(width=120, highlight=False)
    single = bill_of(SINGLE, prices, Measured())
    console.print(describe_single(single))
    console.print(table_of_rates(chosen, prices))
    console.print(table_of_items(chosen, prices))
    console.print(describe_published(chosen, prices))
    console.print(describe_prices(prices))
    return 0


def describe_single(bill: Bill) -> str:
    """What nobody should do."""
    return (
        f"10,000 single-event requests a second on a REST API: ${bill.items['entrance']:,.0f} a month for the requests "
        f"alone, ${bill.ingestion:,.0f} with all that they cause. Batch: 500 events in a request cost a hundredth."
    )


def table_of_rates(chosen: Workload, prices: Prices) -> Table:
    """Per million events and a month, by rate, batch size and entrance."""
    table = Table(title=f"USD per million events (and a month), {chosen.kafka}", title_justify="left")
    table.add_column("events/s", justify="right")
    table.add_column("events a request", justify="right")
    for entrance in Entrance:
        table.add_column(entrance, justify="right")
    for rate in RATES:
        for batch in BATCHES:
            cells = []
            for entrance in Entrance:
                workload = dataclasses.replace(chosen, events_per_s=rate, events_per_request=batch, entrance=entrance)
                bill = bill_of(workload, prices, Measured())
                cells.append(f"{bill.per_million(workload):,.3f} ({bill.ingestion:,.0f})")
            table.add_row(f"{rate:,}", f"{batch:,}", *cells)
    return table


def table_of_items(chosen: Workload, prices: Prices) -> Table:
    """One workload with either Kafka, item by item."""
    bills = {kafka: bill_of(dataclasses.replace(chosen, kafka=kafka), prices, Measured()) for kafka in Kafka}
    title = (
        f"USD a month: {chosen.events_per_s:,.0f} events/s, {chosen.events_per_request:,} a request, {chosen.entrance}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for kafka in bills:
        table.add_column(kafka, justify="right")
    for item in bills[Kafka.PROVISIONED].items:
        table.add_row(item, *(f"{bill.items[item]:,.2f}" for bill in bills.values()))
    table.add_row("ingestion", *(f"{bill.ingestion:,.2f}" for bill in bills.values()), style="bold")
    table.add_row("ClickHouse, one server", *(f"{bill.store:,.2f}" for bill in bills.values()))
    return table


def describe_published(chosen: Workload, prices: Prices) -> str:
    """Ours at their rate, beside theirs."""
    published = prices.published
    ours = dataclasses.replace(chosen, events_per_s=published["events_per_s"], events_per_request=500)
    theirs = dataclasses.replace(ours, events_per_request=10)
    low, high = published["per_month"]
    return (
        f"{published['name']}: ${low:,.0f} to ${high:,.0f} a month ({published['as_of']}, {published['source']})\n"
        f"ours at the same rate, {ours.entrance}, {ours.kafka}: "
        f"${bill_of(theirs, prices, Measured()).ingestion:,.0f} with 10 events a request, "
        f"${bill_of(ours, prices, Measured()).ingestion:,.0f} with 500"
    )


def describe_prices(prices: Prices) -> str:
    """How old they are."""
    dates = sorted({entry["as_of"] for entry in prices.entries.values()})
    recalled = [name for name, entry in prices.entries.items() if entry["basis"] == "recalled"]
    return (
        f"List prices of us-east-1 as of {dates[0]} to {dates[-1]}, sources in scripts/cost_model/prices.json; not "
        f"looked up again: {', '.join(recalled)}. Without data transfer between zones and out of AWS."
    )


def _parse(arguments: Sequence[str] | None) -> Workload:
    parser = argparse.ArgumentParser(prog="python -m scripts.cost", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rate", type=float, default=10_000, help="events a second")
    parser.add_argument("--batch", type=int, default=500, help="events a request")
    parser.add_argument("--event-bytes", type=int, default=400)
    parser.add_argument("--entrance", type=Entrance, choices=list(Entrance), default=Entrance.REST)
    parser.add_argument("--kafka", type=Kafka, choices=list(Kafka), default=Kafka.PROVISIONED)
    parser.add_argument("--load-window", type=float, default=1.0, help="seconds")
    parser.add_argument("--archive-window", type=float, default=30.0, help="seconds")
    parser.add_argument("--archive-records", type=int, default=10_000, help="what a batch of the archive takes at most")
    parser.add_argument("--pollers", type=int, default=0, help="provisioned ones")
    given = parser.parse_args(arguments)
    return Workload(
        events_per_s=given.rate,
        events_per_request=given.batch,
        event_bytes=given.event_bytes,
        entrance=given.entrance,
        kafka=given.kafka,
        load_window_s=given.load_window,
        archive_window_s=given.archive_window,
        archive_records=given.archive_records,
        pollers=given.pollers,
    )


if __name__ == "__main__":
    sys.exit(main())
