"""The trigger's counts as Prometheus text; the names follow Lambda's own metrics for event source mappings."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from local_runtime.kafka_trigger.progress import DISABLED, Progress

PREFIX = "kafka_trigger_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Name, field of Progress, help. Events are records, as in Lambda's metrics.
COUNTERS = (
    ("polled_events_total", "polled", "PolledEventCount: records read from Kafka"),
    ("filtered_out_events_total", "filtered", "FilteredOutEventCount: records that no filter wanted"),
    ("invoked_events_total", "invoked", "InvokedEventCount: records sent to the function, every try counted"),
    ("failed_invoke_events_total", "failed", "FailedInvokeEventCount: records in invocations that failed"),
    ("dropped_events_total", "dropped", "DroppedEventCount: records given up, delivered to a destination or not"),
    (
        "on_failure_destination_delivered_events_total",
        "delivered",
        "OnFailureDestinationDeliveredEventCount: records that a destination took",
    ),
    ("committed_events_total", "committed", "CommittedEventCount: records that are done and committed"),
    ("invocations_total", "invocations", "Invocations that ended"),
    ("failed_invocations_total", "failed_invocations", "Invocations that did not succeed"),
    ("throttled_invocations_total", "throttled_invocations", "Invocations that Lambda throttled"),
    ("rebalances_total", "rebalances", "Times that partitions changed pollers"),
    ("gaps_healed_total", "gaps_healed", "Times that reading went back for a batch that came late"),
    ("offsets_skipped_total", "offsets_skipped", "Offsets between batches that have no record"),
)


def _max_lag(progress: Progress) -> int | None:
    return max(dict(progress.lags).values(), default=None)


GAUGES: tuple[tuple[str, str, Callable[[Progress], int | None]], ...] = (
    ("sum_offset_lag", "SumOffsetLag: records that are not committed yet", lambda one: one.lag),
    ("max_offset_lag", "MaxOffsetLag: those of the partition with most", _max_lag),
    ("in_flight", "Invocations and deliveries that run", lambda one: one.in_flight),
    ("retrying", "Batches that wait for another try", lambda one: one.retrying),
    ("pollers", "Pollers that own the partitions", lambda one: one.pollers),
    ("enabled", "0 while the mapping is paused", lambda one: int(one.state != DISABLED)),
)


def render(progress: Iterable[Progress], cpu_seconds: float) -> str:
    """Return everything in Prometheus' text format, one series per mapping, one per partition for the lag."""
    mappings = list(progress)
    cpu = "process_cpu_seconds_total"
    lines = [f"# HELP {cpu} Processor time of the trigger", f"# TYPE {cpu} counter", f"{cpu} {cpu_seconds:.2f}"]
    for name, attribute, text in COUNTERS:
        lines += [f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} counter"]
        lines += [f"{PREFIX}{name}{{{_labels(one)}}} {getattr(one, attribute)}" for one in mappings]
    for name, text, read in GAUGES:
        lines += [f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} gauge"]
        known = [(one, value) for one in mappings if (value := read(one)) is not None]
        lines += [f"{PREFIX}{name}{{{_labels(one)}}} {value}" for one, value in known]
    lines += [f"# HELP {PREFIX}offset_lag Lag of one partition", f"# TYPE {PREFIX}offset_lag gauge"]
    for one in mappings:
        lags = sorted(dict(one.lags).items())
        lines += [f'{PREFIX}offset_lag{{{_labels(one)},partition="{number}"}} {lag}' for number, lag in lags]
    return "\n".join(lines) + "\n"


def _labels(progress: Progress) -> str:
    mapping = progress.mapping
    names = {"mapping": mapping.name, "function": mapping.function, "topic": mapping.topic, "group": mapping.group}
    return ",".join(f'{name}="{_escape(value)}"' for name, value in names.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
