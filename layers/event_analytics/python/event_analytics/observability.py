"""One structured line per invocation: what a person searches for, and CloudWatch's embedded metrics, in one.

Powertools writes both; the line of an invocation that fails carries the error. A function that logs nothing costs
45 ms per call on the embedded endpoint, so every invocation logs.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from event_analytics.metrics import REJECTED_PREFIX, SUMMED_METRICS, is_metric, unit_of
from event_analytics.settings import ObservabilitySettings

DETAIL_CHARACTERS_MAX: Final = 500  # of an error's text: it may quote the data


class InvocationLine:
    """What one invocation reports. Names are those of `docs/glossary.md`.

    `audit`: who did what and when, of an operator's call; empty of any other.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.audit: dict[str, Any] = {}
        self.counts: dict[str, float] = {}

    def note(self, **fields: Any) -> None:
        """Add fields to the line."""
        self.fields.update(fields)

    def count(self, **counts: float) -> None:
        """Add counts to the line; those of `metrics` are also metrics."""
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0) + value

    def count_reasons(self, reasons: Iterable[str]) -> None:
        """Count what was refused, by the reason's name."""
        for reason in reasons:
            self.count(**{f"{REJECTED_PREFIX}{reason}": 1})


class Telemetry:
    """Writes the lines of one function."""

    def __init__(self, settings: ObservabilitySettings, function: str) -> None:
        self._logger = Logger(service=settings.service, level=settings.log_level, location=None)
        self._metrics = AmazonCloudWatchEMFProvider(namespace=settings.namespace, service=settings.service)
        self._function = function
        self._is_cold = True
        self.line = InvocationLine()

    @contextmanager
    def invocation(self, context: Any) -> Iterator[InvocationLine]:
        """Collect one invocation's line and write it at the end, whatever happens; errors pass through."""
        self.line = line = InvocationLine()
        started = time.perf_counter()
        line.note(
            function=self._function,
            request_id=getattr(context, "aws_request_id", None),
            cold_start=self._is_cold,
        )
        self._is_cold = False
        try:
            yield line
        except Exception as error:
            line.note(error=type(error).__name__, error_detail=str(error)[:DETAIL_CHARACTERS_MAX])
            self._write(line, started, failed=True)
            raise
        self._write(line, started, failed=False)

    def _write(self, line: InvocationLine, started: float, *, failed: bool) -> None:
        elapsed_ms = round((time.perf_counter() - started) * 1_000, 3)
        counts = {**line.counts, "elapsed_ms": elapsed_ms, "failed_invocations": int(failed)}
        self._metrics.add_dimension("function", self._function)
        for name in filter(is_metric, counts):
            self._metrics.add_metric(name, unit_of(name).value, counts[name])
        embedded = _with_sums(self._metrics.serialize_metric_set())
        self._metrics.clear_metrics()
        extra = {**line.fields, **embedded, **counts, **({"audit": line.audit} if line.audit else {})}
        extra.pop("service", None)  # the logger writes it
        write = self._logger.error if failed else self._logger.info
        write("invocation failed" if failed else "invocation", extra=extra)


def _with_sums(embedded: Any) -> dict[str, Any]:
    """The same; what is summed over functions stands there once more, in a set of no dimensions.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    directives = embedded["_aws"]["CloudWatchMetrics"]
    summed = [metric for metric in directives[0]["Metrics"] if metric["Name"] in SUMMED_METRICS]
    if summed:
        directives.append({**directives[0], "Dimensions": [[]], "Metrics": summed})
    return dict(embedded)
