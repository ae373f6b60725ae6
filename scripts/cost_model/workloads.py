"""What is sent, with which choices, and what the code needs for it: the inputs of the arithmetic."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

HOURS_PER_MONTH: Final = 730
SECONDS_PER_MONTH: Final = HOURS_PER_MONTH * 3_600


class Entrance(StrEnum):
    """What takes requests in. The template has the REST API; the other two take the same function."""

    REST = "rest"
    HTTP = "http"
    ALB = "alb"


class Kafka(StrEnum):
    """Which Kafka."""

    SERVERLESS = "msk-serverless"
    PROVISIONED = "msk-provisioned"


@dataclass(frozen=True)
class Workload:
    """Events that come in evenly, and the choices that change what they cost.

    `event_bytes`: of one encoded event. `load_window_s`, `archive_window_s`: how long a batch may fill.
    `archive_records`: what a batch of the archive takes at most. `kafka_hours`: how long Kafka keeps records.
    `pollers`: provisioned ones of the mappings; on demand they cost nothing.
    """

    events_per_s: float
    events_per_request: int
    event_bytes: int = 400
    entrance: Entrance = Entrance.REST
    kafka: Kafka = Kafka.PROVISIONED
    load_window_s: float = 1.0
    archive_window_s: float = 30.0
    archive_records: int = 10_000
    partitions: int = 25
    topic_partitions: int = 8
    kafka_hours: float = 24.0
    archive_months: float = 1.0
    pollers: int = 0

    @property
    def requests_per_s(self) -> float:
        """At the entrance."""
        return self.events_per_s / self.events_per_request

    @property
    def events_per_month(self) -> float:
        """In a month of 730 hours."""
        return self.events_per_s * SECONDS_PER_MONTH


@dataclass(frozen=True)
class Measured:
    """What the code needs, from `make bench` (docs/benchmarks.md): change these when it is measured anew.

    CPU microseconds are of one full vCPU, which a Lambda has at 1,769 MB; one of 1,024 MB has 0.58 of it. `wait_ms` is
    what a call spends waiting: for Kafka's acknowledgement, for ClickHouse, for S3.
    """

    memory_gb: float = 1.0
    ingest_wait_ms: float = 10.0
    ingest_us_per_request: float = 1_500.0
    ingest_us_per_event: float = 16.0
    load_wait_ms: float = 100.0
    load_us_per_event: float = 10.0
    archive_wait_ms: float = 100.0
    archive_us_per_event: float = 9.0
    kafka_bytes_share: float = 0.40  # of the encoded bytes, after lz4
    archive_bytes_share: float = 0.15  # after gzip
    store_bytes_per_event: float = 83.0  # on ClickHouse's disk
    line_bytes: float = 1_500.0  # what one invocation logs, Lambda's own three lines included
    answer_bytes_per_event: float = 65.0

    @property
    def vcpu(self) -> float:
        """Of one function."""
        return self.memory_gb * 1_024 / 1_769
