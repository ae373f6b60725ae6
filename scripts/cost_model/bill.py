"""The arithmetic: a workload, prices and measured figures -> USD a month by item. Every step stands on its own line."""

import math
from dataclasses import dataclass
from typing import Final

from scripts.cost_model.prices import Prices
from scripts.cost_model.workloads import HOURS_PER_MONTH, SECONDS_PER_MONTH, Entrance, Kafka, Measured, Workload

GB: Final = 1_000_000_000
HTTP_METER_BYTES: Final = 512 * 1_024  # an HTTP API counts a larger request as several
LCU_GB_PER_HOUR: Final = 0.4  # with a Lambda behind it
LCU_NEW_CONNECTIONS: Final = 25
REQUESTS_PER_CONNECTION: Final = 100  # clients keep theirs
INVOKE_BYTES_MAX: Final = 6_000_000
RECORD_ENVELOPE_BYTES: Final = 250  # around the value, which is base64: 4 bytes for 3
RECORDS_PER_CALL_MAX: Final = 10_000
READERS: Final = 2  # load and archive
COPIES: Final = 3  # one in each zone, so brokers come by threes
BROKER_MB_PER_S: Final = 15  # that producers write to a broker of m7g.large: what AWS recommends for Express ones


@dataclass(frozen=True)
class Bill:
    """USD a month. `items`: what takes events in and keeps them; `store`: ClickHouse, which other bills leave out."""

    items: dict[str, float]
    store: float

    @property
    def ingestion(self) -> float:
        """Without ClickHouse."""
        return sum(self.items.values())

    @property
    def total(self) -> float:
        """With it."""
        return self.ingestion + self.store

    def per_million(self, workload: Workload) -> float:
        """Of the ingestion, for a million events."""
        return self.ingestion / workload.events_per_month * 1_000_000


def bill_of(workload: Workload, prices: Prices, measured: Measured) -> Bill:
    """All of it."""
    items = {
        "entrance": cost_of_entrance(workload, prices, measured),
        "ingest function": cost_of_calls(workload.requests_per_s, ingest_seconds(workload, measured), prices, measured),
        "kafka": cost_of_kafka(workload, prices, measured),
        "load function": cost_of_calls(load_calls_per_s(workload), load_seconds(workload, measured), prices, measured),
        "archive function": cost_of_calls(
            archive_calls_per_s(workload), archive_seconds(workload, measured), prices, measured
        ),
        "archive in S3": cost_of_archive(workload, prices, measured),
        "pollers": workload.pollers * HOURS_PER_MONTH * prices.of("lambda_poller_hour"),
        "logs": cost_of_logs(workload, prices, measured),
    }
    return Bill(items, cost_of_store(workload, prices, measured))


def cost_of_entrance(workload: Workload, prices: Prices, measured: Measured) -> float:
    """The API or the load balancer."""
    requests = workload.requests_per_s * SECONDS_PER_MONTH
    if workload.entrance is Entrance.REST:
        return prices.of_millions("rest_requests", requests)
    if workload.entrance is Entrance.HTTP:
        meters = math.ceil(workload.event_bytes * workload.events_per_request / HTTP_METER_BYTES)
        return prices.of_millions("http_requests", requests * meters)
    gb_per_hour = workload.events_per_s * (workload.event_bytes + measured.answer_bytes_per_event) * 3_600 / GB
    connections = workload.requests_per_s / REQUESTS_PER_CONNECTION
    units = max(gb_per_hour / LCU_GB_PER_HOUR, connections / LCU_NEW_CONNECTIONS)
    return HOURS_PER_MONTH * (prices.of("alb_hour") + units * prices.of("alb_lcu_hour"))


def cost_of_calls(calls_per_s: float, seconds: float, prices: Prices, measured: Measured) -> float:
    """A function that is called so often and takes so long."""
    calls = calls_per_s * SECONDS_PER_MONTH
    gb_seconds = calls * seconds * measured.memory_gb
    return prices.of_millions("lambda_requests", calls) + gb_seconds * prices.of("lambda_gb_second_arm")


def ingest_seconds(workload: Workload, measured: Measured) -> float:
    """Of one request."""
    micros = measured.ingest_us_per_request + workload.events_per_request * measured.ingest_us_per_event
    return measured.ingest_wait_ms / 1_000 + micros / 1_000_000 / measured.vcpu


def load_calls_per_s(workload: Workload) -> float:
    """As the window says, or more where a batch is full before: by records, or by the bytes of a call."""
    return calls_per_s(workload, workload.load_window_s, RECORDS_PER_CALL_MAX)


def archive_calls_per_s(workload: Workload) -> float:
    """The same for the archive."""
    return calls_per_s(workload, workload.archive_window_s, workload.archive_records)


def calls_per_s(workload: Workload, window_s: float, records_max: int) -> float:
    """Of a mapping that has one poller; never more than events."""
    record_bytes = workload.event_bytes * 4 / 3 + RECORD_ENVELOPE_BYTES
    full = max(workload.events_per_s / records_max, workload.events_per_s * record_bytes / INVOKE_BYTES_MAX)
    return min(workload.events_per_s, max(1 / window_s if window_s else math.inf, full))


def load_seconds(workload: Workload, measured: Measured) -> float:
    """Of one call of load."""
    events = workload.events_per_s / load_calls_per_s(workload)
    return measured.load_wait_ms / 1_000 + events * measured.load_us_per_event / 1_000_000 / measured.vcpu


def archive_seconds(workload: Workload, measured: Measured) -> float:
    """Of one call of archive."""
    events = workload.events_per_s / archive_calls_per_s(workload)
    return measured.archive_wait_ms / 1_000 + events * measured.archive_us_per_event / 1_000_000 / measured.vcpu


def cost_of_kafka(workload: Workload, prices: Prices, measured: Measured) -> float:
    """The cluster, and what it holds for as long as it keeps it."""
    gb_per_s = workload.events_per_s * workload.event_bytes * measured.kafka_bytes_share / GB
    kept_gb = gb_per_s * workload.kafka_hours * 3_600
    storage = prices.of("msk_storage_gb_month")
    if workload.kafka is Kafka.PROVISIONED:
        brokers = COPIES * math.ceil(gb_per_s * 1_000 / BROKER_MB_PER_S / COPIES)
        return brokers * HOURS_PER_MONTH * prices.of("msk_broker_hour_m7g_large") + COPIES * kept_gb * storage
    hourly = prices.of("msk_serverless_cluster_hour")
    hourly += workload.partitions * prices.of("msk_serverless_partition_hour")
    per_gb = prices.of("msk_serverless_gb_in") + READERS * prices.of("msk_serverless_gb_out")
    return HOURS_PER_MONTH * hourly + gb_per_s * SECONDS_PER_MONTH * per_gb + kept_gb * storage


def cost_of_archive(workload: Workload, prices: Prices, measured: Measured) -> float:
    """An object for each partition in a batch, and what is kept."""
    objects = archive_calls_per_s(workload) * workload.topic_partitions * SECONDS_PER_MONTH
    gb = workload.events_per_month * workload.event_bytes * measured.archive_bytes_share / GB * workload.archive_months
    return objects / 1_000 * prices.of("s3_put_thousand") + gb * prices.of("s3_gb_month")


def cost_of_logs(workload: Workload, prices: Prices, measured: Measured) -> float:
    """A line of every call."""
    calls = workload.requests_per_s + load_calls_per_s(workload) + archive_calls_per_s(workload)
    return calls * SECONDS_PER_MONTH * measured.line_bytes / GB * prices.of("logs_gb_in")


def cost_of_store(workload: Workload, prices: Prices, measured: Measured) -> float:
    """One ClickHouse server and a month of events on its disk; docs/scaling.md says when it takes more than one."""
    gb = workload.events_per_month * measured.store_bytes_per_event / GB
    return HOURS_PER_MONTH * prices.of("clickhouse_hour") + gb * prices.of("ebs_gb_month")
