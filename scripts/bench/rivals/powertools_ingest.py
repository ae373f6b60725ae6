"""An ingest function as a rival would write it: Powertools routes and validates by pydantic, kafka-python produces.

Job and answer as of `chalice_ingest`.
"""

import sys
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from ingest_models import Events, connect, produce, run_requests
from turns import serve

app = APIGatewayRestResolver(enable_validation=True)
state: dict[str, Any] = {}


@app.post("/events")
def post_events(body: Events) -> Response[dict[str, Any]]:
    """The one route."""
    return Response(202, "application/json", produce(state["producer"], state["topic"], body.events))


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One job."""
    state.setdefault("producer", connect(job["bootstrap"]))
    state["topic"] = job["topic"]
    return run_requests(job, app.resolve)


if __name__ == "__main__":
    sys.exit(serve(run))
