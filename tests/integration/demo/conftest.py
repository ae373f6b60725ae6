"""A small API of our shape on a free port, with faults on order: what the sender and the demo meet, without a stack."""

import json
import math
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from rich.console import Console

from event_analytics.questions.parameters import LIMIT_MAX
from local_runtime.connection import Connection
from scripts.batch_lane import RetryTimes
from scripts.outgoing import read_time_ms

WRITE_KEY, READ_KEY = "write-key", "read-key"
DROP = "drop the connection"
DROP_AFTER_STORING = "store, then drop the connection"
SHORT_TIMES = RetryTimes(first=0.001, longest=0.01, give_up=0.5)


@dataclass
class FakeApi:
    """Keeps events by id, first one wins. `faults` are met one per write, before anything is stored."""

    faults: list = field(default_factory=list)
    events: dict = field(default_factory=dict)
    writes: list = field(default_factory=list)
    arrivals: list = field(default_factory=list)
    retry_items: Counter = field(default_factory=Counter)
    counts_twice: bool = False
    users_max: int = LIMIT_MAX
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, handler, body):
        lines = [line for line in body.split(b"\n") if line]
        with self.lock:
            self.writes.append((handler.client_address, len(lines), len(body)))
            fault = self.faults.pop(0) if self.faults else None
            if callable(fault):
                fault = fault(lines)
            if fault == DROP:
                return None
            if isinstance(fault, tuple):
                return fault
            items = [self._take(json.loads(line)) for line in lines]
        return None if fault == DROP_AFTER_STORING else (202, {"items": items}, {})

    def _take(self, event):
        if not event.get("event_name"):
            return {"status": "rejected", "reason": "field_missing"}
        if self.retry_items[event["id"]]:
            self.retry_items[event["id"]] -= 1
            return {"id": event["id"], "status": "retry", "reason": "log_unavailable"}
        self.arrivals.append(event)
        self.events.setdefault(event["id"], event)
        return {"id": event["id"], "status": "accepted"}

    def read(self, path, query):
        if path == "/health":
            return 200, {"status": "ok"}, {}
        if path.startswith("/event/"):
            event = self.events.get(path.removeprefix("/event/"))
            return (200, event, {}) if event else (404, {"error": {"reason": "event_not_found"}}, {})
        if path.startswith("/conversations/"):
            name = unquote(path.split("/")[2])
            found = [event for event in self.events.values() if event.get("conversation_id") == name]
            return 200, {"events": sorted(found, key=lambda e: e["timestamp"]), "next_cursor": None}, {}
        start, end = read_time_ms(query["start"]), read_time_ms(query["end"])
        source = self.arrivals if self.counts_twice else list(self.events.values())
        inside = [event for event in source if start <= read_time_ms(event["timestamp"]) < end]
        return (self._top_users if path == "/reports/top-users" else self._latency)(inside, int(query["limit"]))

    def _top_users(self, events, limit):
        counts = Counter(event["user_id"] for event in events if event.get("user_id"))
        rows = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: min(limit, self.users_max)]
        users = [{"user_id": user, "events": n} for user, n in rows]
        return 200, {"users": users, "events_total": counts.total(), "users_total": len(counts)}, {}

    def _latency(self, events, limit):
        by_name = {}
        for event in events:
            if "latency_ms" in event:
                by_name.setdefault(event["event_name"], []).append(event["latency_ms"])
        rows = []
        for name, values in sorted(by_name.items())[:limit]:
            ranks = {f"p{p}_ms": sorted(values)[math.floor(p / 100 * (len(values) - 1))] for p in (50, 95, 99)}
            rows.append({"event_name": name, "events": len(values), **ranks})
        return 200, {"latency": rows}, {}


def handler_for(api):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_allowed = self.headers["Authorization"] == f"Bearer {WRITE_KEY}"
            self.reply(api.write(self, body) if is_allowed else (403, {"message": "not authorized"}, {}))

        def do_GET(self):
            parts = urlsplit(self.path)
            path = parts.path.removeprefix("/stage")
            is_allowed = path == "/health" or self.headers["Authorization"] == f"Bearer {READ_KEY}"
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.reply(api.read(path, query) if is_allowed else (403, {"message": "not authorized"}, {}))

        def reply(self, answer):
            if answer is None:
                self.close_connection = True
                return
            status, document, headers = answer
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(fake))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/stage"
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def connection(api) -> Connection:
    unused = dict.fromkeys(
        ("admin_key", "kafka", "clickhouse_url", "aws_endpoint", "archive_bucket", "stack_name"), "x"
    )
    return Connection(
        api_url=api.url,
        write_key=WRITE_KEY,
        read_key=READ_KEY,
        **unused,
        trigger_status_url="http://127.0.0.1:9",  # the discard port: no trigger answers
        kafka_durability="memory",
    )


@pytest.fixture
def console(tmp_path) -> Iterator[Console]:
    with (tmp_path / "printed.txt").open("w+", encoding="utf-8") as file:
        yield Console(file=file, width=200)


@pytest.fixture
def faults():
    """Names of the faults that are no answers."""
    return DROP, DROP_AFTER_STORING


@pytest.fixture
def short_times() -> RetryTimes:
    return SHORT_TIMES


@pytest.fixture
def write_key() -> str:
    return WRITE_KEY
