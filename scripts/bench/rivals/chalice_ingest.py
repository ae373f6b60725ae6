"""An ingest function as a rival would write it: Chalice routes, pydantic validates, kafka-python produces.

Job: {"bootstrap", "topic", "file", "records"}. Answer: {"records", "seconds", "cpu_seconds"}.
"""

import sys
from typing import Any

from chalice.app import Chalice, Response
from ingest_models import Events, connect, produce, run_requests
from turns import serve

app = Chalice(app_name="ingest", configure_logs=False)
state: dict[str, Any] = {}


@app.route("/events", methods=["POST"])
def post_events() -> Response:
    """The one route."""
    events = Events.model_validate_json(app.current_request.raw_body).events
    return Response(produce(state["producer"], state["topic"], events), status_code=202)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One job."""
    state.setdefault("producer", connect(job["bootstrap"]))
    state["topic"] = job["topic"]
    return run_requests(job, app)


if __name__ == "__main__":
    sys.exit(serve(run))
