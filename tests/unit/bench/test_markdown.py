"""The tables of docs/benchmarks.md, from what `make bench` wrote."""

from typing import Any

import pytest

from scripts.bench.markdown import DOCUMENT, describe_growth, put_between

FLAT_OUT = {"visible_per_s": 12_345, "cpu_us_per_event": {"engine": 10.5, "sum": 90.0}}
GROWN: dict[str, Any] = {
    "measured_at": "2026-11-22T10:00:00Z",
    "machine": {"processors": 2, "processor": "AMD EPYC", "memory": "24 kB", "python": "3.11.7",
                "load_average": [1.0], "load_average_after": [2.0], "loop_ms": {"before": 5.5, "growth": 6.0}},
    "sections": {
        "growth": {
            "partitions": {"8": FLAT_OUT, "32": FLAT_OUT},
            "event_size": {"1 kB": FLAT_OUT},
            "memory_mb": {"events": 2_000_000, "before": {"engine": 300}, "after": {"engine": 900, "broker": 400}},
        }
    },
}  # fmt: skip


def test_only_what_stands_between_the_marks_of_its_name_is_replaced() -> None:
    text = "a <!-- bench: begin -->old<!-- bench: end --> b <!-- growth: begin -->kept<!-- growth: end --> c"

    assert put_between(text, "bench", "new") == (
        "a <!-- bench: begin -->\nnew\n<!-- bench: end --> b <!-- growth: begin -->kept<!-- growth: end --> c"
    )


@pytest.mark.parametrize("mark", ["bench", "growth"])
def test_the_document_has_both_marks_once(mark: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")

    assert text.count(f"<!-- {mark}: begin -->") == text.count(f"<!-- {mark}: end -->") == 1


def test_growth_has_a_table_for_each_way_to_grow() -> None:
    text = describe_growth(GROWN)

    assert "| visible events/s, flat out | 8 partitions | 32 partitions |" in text
    assert "| visible events/s, flat out | 1 kB an event |" in text
    assert "took 5.5 to 6.0 ms" in text
    assert "| engine, µs | 10.50 | 10.50 |" in text
    assert "| resident, MB | before | after 2,000,000 events |" in text
    assert "| broker | 0 | 400 |" in text
