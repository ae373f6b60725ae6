"""One of several producers that write the same partitions at once; arguments as `main` takes them."""

from __future__ import annotations

import sys
import time

from kafka import KafkaProducer

RECORDS_AT_ONCE = 5
PAUSE_SECONDS = 0.002


def main(bootstrap: str, topic: str, name: str, partitions: int, seconds: float) -> int:
    """Send small batches without idempotence: what makes the broker show batch N+1 before N. Print how many."""
    count, futures, deadline = 0, [], time.monotonic() + seconds
    with KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0, enable_idempotence=False) as producer:
        while time.monotonic() < deadline:
            for partition in range(partitions):
                for _ in range(RECORDS_AT_ONCE):
                    futures.append(producer.send(topic, f"{name} {count}".encode(), partition=partition))
                    count += 1
            time.sleep(PAUSE_SECONDS)
        for future in futures:
            future.get(10)
    sys.stdout.write(f"{count}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5])))
