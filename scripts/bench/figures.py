"""Figures as they are reported: a median with its extremes, quantiles, and whether a backlog grew."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

_P99: Final = 98  # of ninety-nine cuts between a hundred equal parts


def spread_of(values: Sequence[float], digits: int = 1) -> dict[str, Any]:
    """Median, smallest, largest and how many there are."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
        "runs": len(values),
    }


def quantiles_of(values: Sequence[float], digits: int = 1) -> dict[str, float]:
    """p50 and p99; zeros where nothing was measured."""
    if len(values) < 2:  # noqa: PLR2004 - what quantiles need
        return dict.fromkeys(("p50", "p99"), round(values[0], digits) if values else 0.0)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(statistics.median(values), digits), "p99": round(cuts[_P99], digits)}


def growth_per_second(points: Sequence[tuple[float, float]]) -> float:
    """By how much a value grows each second: the slope of the line that fits (seconds, value) best; 0 of one point."""
    if len({seconds for seconds, _ in points}) < 2:  # noqa: PLR2004 - what a line needs
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def ratios_of(numerators: Sequence[float], denominators: Sequence[float]) -> dict[str, Any]:
    """Of each turn the one by the other."""
    return spread_of([one / other for one, other in zip(numerators, denominators, strict=True)], 2)


def sum_of(parts: Mapping[str, float]) -> float:
    """Rounded as its parts are."""
    return round(sum(parts.values()), 2)
