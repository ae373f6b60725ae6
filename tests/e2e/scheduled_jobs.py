"""The scheduled jobs of the report function, now instead of within the minute."""

import json

from event_analytics.adapters.aws_session import aws_session
from local_runtime.connection import Connection


def run_jobs(connection: Connection, *jobs: str) -> None:
    """Return once they have run."""
    client = aws_session(connection.aws_endpoint).client("lambda")
    names = [one["FunctionName"] for one in client.list_functions()["Functions"]]
    payload = json.dumps({"jobs": jobs}).encode()
    answer = client.invoke(FunctionName=next(n for n in names if "ReportFunction" in n), Payload=payload)
    assert "FunctionError" not in answer, answer["Payload"].read()
