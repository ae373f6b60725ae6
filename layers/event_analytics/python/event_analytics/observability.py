"""One structured line per invocation: what a person searches for, and CloudWatch's embedded metrics, in one.

Powertools writes both; the line of an invocation that fails carries the error. A function that logs nothing costs
45 ms per call on the embedded endpoint, so every invocation logs.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from event_analytics.settings import ObservabilitySettings

_DETAIL_CHARACTERS_MAX: Final = 500  # of an error's text: it may quote the data


class InvocationLine:
    """What one invocation reports. Names are those of `docs/glossary.md`."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.counts: dict[str, float] = {}

    def note(self, **fields: Any) -> None:
        """Add fields to the line."""
        self.fields.update(fields)

    def count(self, **counts: float) -> None:
        """Add counts to the line; each is also a metric."""
        for name, value in counts.items():
            self.counts[name] = self.counts.get(name, 0) + value


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
            line.note(error=type(error).__name__, error_detail=str(error)[:_DETAIL_CHARACTERS_MAX])
            self._write(line, started, failed=True)
            raise
        self._write(line, started, failed=False)

    def _write(self, line: InvocationLine, started: float, *, failed: bool) -> None:
        elapsed_ms = round((time.perf_counter() - started) * 1_000, 3)
        self._metrics.add_dimension("function", self._function)
        self._metrics.add_metric("elapsed_ms", MetricUnit.Milliseconds, elapsed_ms)
        self._metrics.add_metric("failed_invocations", MetricUnit.Count, int(failed))
        for name, value in line.counts.items():
            self._metrics.add_metric(name, MetricUnit.Count, value)
        embedded = self._metrics.serialize_metric_set()
        self._metrics.clear_metrics()
        extra = {
            **line.fields,
            **embedded,
            **line.counts,
            "elapsed_ms": elapsed_ms,
            "failed_invocations": int(failed),
        }
        extra.pop("service", None)  # the logger writes it
        write = self._logger.error if failed else self._logger.info
        write("invocation failed" if failed else "invocation", extra=extra)
