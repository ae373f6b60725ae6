"""The Kafka client of one mapping, with the settings that suit the embedded broker and any other."""

from __future__ import annotations

from kafka import KafkaConsumer

BOOTSTRAP_TIMEOUT_MS = 5_000  # the runner tries again; a longer wait would only delay a stop
REQUEST_TIMEOUT_MS = 10_000  # a broker that restarts answers again within a second
COMMIT_TIMEOUT_MS = 5_000
RECONNECT_BACKOFF_MAX_MS = 1_000  # the broker is on this machine and back at once
# The embedded broker answers after about half of it: 32 ms, for 1.6 % of a core when idle.
FETCH_WAIT_MS_MAX = 100
FETCH_BYTES_MAX = 8 * 1024 * 1024  # a little above one Lambda payload
PARTITION_FETCH_BYTES_MAX = 2 * 1024 * 1024
POLL_RECORDS_MAX = 5_000
METADATA_AGE_MAX_MS = 10_000  # how long a partition that was added stays unseen


def connect(bootstrap_servers: str, group: str) -> KafkaConsumer:
    """Return a consumer that commits for the group without joining it.

    Raises:
        kafka.errors.KafkaError: the broker does not answer.
    """
    return KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=BOOTSTRAP_TIMEOUT_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        reconnect_backoff_max_ms=RECONNECT_BACKOFF_MAX_MS,
        metadata_max_age_ms=METADATA_AGE_MAX_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS_MAX,
        fetch_max_bytes=FETCH_BYTES_MAX,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES_MAX,
        max_poll_records=POLL_RECORDS_MAX,
    )
