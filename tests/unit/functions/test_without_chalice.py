"""Handlers take a request and give an answer: whatever routes to them can be replaced."""

import subprocess
import sys

import pytest

from local_runtime.settings import REPOSITORY

# Stands where Chalice would: it hears of routes and can do nothing else. A use of more of it fails.
STAND_IN = """
import sys, types
class Chalice:
    def __init__(self, app_name, configure_logs): pass
    def route(self, path, **options): return lambda view: view
chalice = types.ModuleType("chalice.app")
chalice.Chalice, chalice.Response, chalice.Request = Chalice, object, object
sys.modules["chalice"] = sys.modules["chalice.app"] = chalice
from event_analytics.observability import InvocationLine
from tests.builders import a_request, an_event
from tests import fakes
keys, line = fakes.FakeKeySource(), InvocationLine()
"""
CALLS = {
    "ingest": """
from functions.ingest import app
deps = app.Deps(log=fakes.FakeDurableLog(), keys=keys, now_us=lambda: 1_790_000_000_000_000)
answer = app.handle_events(a_request({"events": [an_event()]}, key=keys.write_key), deps, line)
""",
    "query": """
from datetime import UTC, datetime
from functions.query import app
store = fakes.FakeEventStore()
store.answers = [[{"user_id": "u", "events": 1, "events_total": 1, "keys_total": 1}]]
deps = app.Deps(store=store, objects=fakes.FakeObjectStore(), keys=keys, now=lambda: datetime.now(UTC))
question = next(each for each in app.QUESTIONS if each.name == "top-users")
answer = app.handle_question(question, a_request(key=keys.read_key, query={"window": "30m"}), deps, line)
""",
    "admin": """
from datetime import UTC, datetime
from functions.admin import app
objects, log = fakes.FakeObjectStore(), fakes.FakeEventLog()
deps = app.Deps(objects=objects, log=log, keys=keys, now=lambda: datetime.now(UTC))
answer = app.handle_erase(a_request(key=keys.admin_key, path_parameters={"user_id": "u1"}), deps, line)
""",
}


@pytest.mark.parametrize(("function", "status"), [("ingest", 202), ("query", 200), ("admin", 202)])
def test_the_handlers_of_a_function_run_without_chalice(function: str, status: int) -> None:
    program = STAND_IN + CALLS[function] + "print(answer.status)"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.stdout, done.returncode) == (f"{status}\n", 0), done.stderr
