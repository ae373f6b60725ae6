"""What is published of a line: names of a closed set, with units."""

import ast
import itertools
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from event_analytics.errors import Reason
from event_analytics.metrics import METRICS, Unit, is_metric, unit_of
from event_analytics.observability import Telemetry
from event_analytics.settings import ObservabilitySettings
from local_runtime.settings import REPOSITORY

CODE = [
    *(REPOSITORY / "functions").rglob("*.py"),
    *(REPOSITORY / "layers/event_analytics/python/event_analytics").rglob("*.py"),
]
_numbers = itertools.count()
METRICS_PER_LINE_MAX = 100  # CloudWatch's; beyond it a line is cut in two


def counted_names() -> Iterator[str]:
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "count":
                yield from (keyword.arg for keyword in node.keywords if keyword.arg)


class Lines:
    """What a function writes. A logger keeps the stream it began with, and has its name from the service."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.telemetry = Telemetry(ObservabilitySettings(f"s{next(_numbers)}", "Tallystream/test", "INFO"), "ingest")

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


def test_every_count_of_the_code_is_a_metric_and_every_metric_is_counted() -> None:
    written = {"elapsed_ms", "failed_invocations"}  # by the line itself

    assert set(counted_names()) | written == set(METRICS)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("elapsed_ms", Unit.MILLISECONDS),
        ("insert_ms", Unit.MILLISECONDS),
        ("freshness_ms", Unit.MILLISECONDS),
        ("query_ms", Unit.MILLISECONDS),
        ("erasure_age_seconds", Unit.SECONDS),
        ("spool_age_seconds", Unit.SECONDS),
        ("bytes_read", Unit.BYTES),
        ("accepted_bytes", Unit.BYTES),
        ("rows_read", Unit.COUNT),
        ("accepted_events", Unit.COUNT),
        ("rejected_json_invalid", Unit.COUNT),
    ],
)
def test_a_metric_has_its_unit(name: str, unit: Unit) -> None:
    assert is_metric(name)
    assert unit_of(name) is unit


def test_refusals_are_metrics_by_reason_and_nothing_else_is_one() -> None:
    assert all(is_metric(f"rejected_{reason}") for reason in Reason)
    assert not any(map(is_metric, ("rejected_", "rejected_u1", "u1", "json_invalid")))
    assert len(METRICS) < METRICS_PER_LINE_MAX


def test_a_line_is_what_cloudwatch_takes_for_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(capsys)
    with lines.telemetry.invocation(SimpleNamespace(aws_request_id="r1")) as line:
        line.note(key_id="k1", user_id="u1")
        line.count(accepted_events=2, accepted_bytes=300, u1=1)
        line.count_reasons(["json_invalid", "json_invalid", "wrong_type"])

    [written] = lines.read()
    [directive] = written["_aws"]["CloudWatchMetrics"]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert directive["Namespace"] == "Tallystream/test"
    assert directive["Dimensions"] == [["function", "service"]]
    assert units == {
        "accepted_events": "Count",
        "accepted_bytes": "Bytes",
        "rejected_json_invalid": "Count",
        "rejected_wrong_type": "Count",
        "elapsed_ms": "Milliseconds",
        "failed_invocations": "Count",
    }
    assert (written["rejected_json_invalid"], written["accepted_bytes"], written["u1"]) == (2, 300, 1)
    assert (written["key_id"], written["request_id"]) == ("k1", "r1")


def test_what_several_functions_may_meet_is_also_summed_over_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(capsys)
    with lines.telemetry.invocation(None) as line:
        line.count(refused_keys=1, refused_requests=1)

    [written] = lines.read()
    own, summed = written["_aws"]["CloudWatchMetrics"]
    assert {"refused_keys", "refused_requests"} <= {metric["Name"] for metric in own["Metrics"]}
    assert (own["Dimensions"], summed["Dimensions"]) == ([["function", "service"]], [[]])
    assert (summed["Namespace"], summed["Metrics"]) == (
        "Tallystream/test",
        [{"Name": "refused_keys", "Unit": "Count"}],
    )


def test_every_metric_at_once_still_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(capsys)
    with lines.telemetry.invocation(None) as line:
        line.count(**dict.fromkeys(METRICS, 1))

    assert len(lines.read()) == 1


def test_an_invocation_that_fails_says_so_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(capsys)

    def fail() -> None:
        with lines.telemetry.invocation(None):
            raise RuntimeError("x" * 10_000)

    with pytest.raises(RuntimeError):
        fail()

    [written] = lines.read()
    assert (written["level"], written["error"], len(written["error_detail"])) == ("ERROR", "RuntimeError", 500)
    assert written["failed_invocations"] == 1
