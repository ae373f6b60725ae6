"""Starts the broker that keeps its log in S3: waits for the S3 endpoint, makes the bucket, then becomes the broker.

The parts of a stack start at the same time, and a broker without its bucket would end at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from event_analytics.adapters.aws_session import aws_session
from local_runtime.tansu import S3_BUCKET

WAIT_SECONDS_MAX = 60.0  # as long as a part may take to start
POLL_SECONDS = 0.1


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Become the broker, or end with 1 when there is no S3."""
    parser = argparse.ArgumentParser(prog="python -m local_runtime.durable_broker", description=__doc__)
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("command", nargs="+", help="the broker's command line, after --")
    given = parser.parse_args(arguments)
    if (problem := make_bucket(given.endpoint_url)) is not None:
        sys.exit(f"no bucket {S3_BUCKET} at {given.endpoint_url}: {problem}")
    os.execv(given.command[0], given.command)  # noqa: S606 - no shell is the point


def make_bucket(endpoint_url: str, seconds_max: float = WAIT_SECONDS_MAX) -> Exception | None:
    """Make the bucket unless it is there; return the last error once the time is over."""
    deadline = time.monotonic() + seconds_max
    client = aws_session(endpoint_url).client("s3")
    try:
        while True:
            try:
                if S3_BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
                    client.create_bucket(Bucket=S3_BUCKET)
            except (BotoCoreError, ClientError) as error:
                problem: Exception = error
                if time.monotonic() > deadline:
                    return problem
                time.sleep(POLL_SECONDS)
            else:
                return None
    finally:
        client.close()


if __name__ == "__main__":
    main()
