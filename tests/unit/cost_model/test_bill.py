"""The arithmetic of the cost model against the same done by hand."""

from dataclasses import replace

import pytest

from scripts import cost
from scripts.cost_model.bill import (
    archive_calls_per_s,
    bill_of,
    cost_of_archive,
    cost_of_calls,
    cost_of_entrance,
    cost_of_kafka,
    cost_of_logs,
    cost_of_store,
    ingest_seconds,
    load_calls_per_s,
)
from scripts.cost_model.prices import Prices, read_prices
from scripts.cost_model.workloads import Entrance, Kafka, Measured, Workload

ROUND = Prices(
    {
        "rest_requests": {"per_million": [[10, 4.0], [None, 2.0]]},
        "http_requests": {"per_million": [[None, 1.0]]},
        "alb_hour": {"price": 0.02},
        "alb_lcu_hour": {"price": 0.01},
        "lambda_requests": {"per_million": [[None, 0.2]]},
        "lambda_gb_second_arm": {"price": 0.00001},
        "lambda_poller_hour": {"price": 0.2},
        "msk_serverless_cluster_hour": {"price": 1.0},
        "msk_serverless_partition_hour": {"price": 0.001},
        "msk_serverless_gb_in": {"price": 0.1},
        "msk_serverless_gb_out": {"price": 0.05},
        "msk_broker_hour_m7g_large": {"price": 0.2},
        "msk_storage_gb_month": {"price": 0.1},
        "s3_put_thousand": {"price": 0.005},
        "s3_gb_month": {"price": 0.02},
        "logs_gb_in": {"price": 0.5},
        "clickhouse_hour": {"price": 0.3},
        "ebs_gb_month": {"price": 0.1},
    },
    {"name": "theirs", "per_month": [1, 2], "events_per_s": 10_000, "as_of": "today", "source": "nowhere"},
)
MONTH_S = 2_628_000
FIGURES = Measured(
    memory_gb=1769 / 1024,  # one vCPU
    ingest_wait_ms=10,
    ingest_us_per_request=1_000,
    ingest_us_per_event=20,
    kafka_bytes_share=0.5,
    archive_bytes_share=0.1,
    store_bytes_per_event=100,
    line_bytes=1_000,
    answer_bytes_per_event=100,
)
THOUSAND = Workload(events_per_s=1_000, events_per_request=100, event_bytes=900)  # 10 requests a second


def test_requests_are_paid_in_steps() -> None:
    assert ROUND.of_millions("rest_requests", 10_000_000) == 40
    assert ROUND.of_millions("rest_requests", 12_000_000) == 44


def test_a_rest_api_is_paid_by_requests() -> None:
    assert cost_of_entrance(THOUSAND, ROUND, FIGURES) == pytest.approx(10 * 4 + (10 * MONTH_S / 1e6 - 10) * 2)


def test_an_http_api_counts_a_large_request_as_several() -> None:
    large = replace(THOUSAND, entrance=Entrance.HTTP, events_per_request=1_000)  # 900 kB: two times 512 KiB

    assert cost_of_entrance(large, ROUND, FIGURES) == pytest.approx(1 * MONTH_S / 1e6 * 2 * 1.0)


def test_a_load_balancer_is_paid_by_its_fullest_measure() -> None:
    by_bytes = replace(THOUSAND, entrance=Entrance.ALB)  # 1,000 bytes an event both ways: 3.6 GB an hour, 9 units
    by_connections = replace(by_bytes, events_per_s=30_000, events_per_request=1, event_bytes=0)  # 300 a second: 12

    assert cost_of_entrance(by_bytes, ROUND, FIGURES) == pytest.approx(730 * (0.02 + 9 * 0.01))
    assert cost_of_entrance(by_connections, ROUND, replace(FIGURES, answer_bytes_per_event=0)) == pytest.approx(
        730 * (0.02 + 12 * 0.01)
    )


def test_a_call_is_paid_by_number_and_by_memory_times_time() -> None:
    whole_gb = replace(FIGURES, memory_gb=2)

    assert cost_of_calls(1, 0.5, ROUND, whole_gb) == pytest.approx(MONTH_S / 1e6 * 0.2 + MONTH_S * 0.5 * 2 * 0.00001)


def test_a_request_waits_and_computes() -> None:
    assert ingest_seconds(THOUSAND, FIGURES) == pytest.approx(0.010 + 0.001 + 100 * 0.000_020)


@pytest.mark.parametrize(
    ("workload", "calls"),
    [
        (THOUSAND, 1.0),  # the window of a second
        (replace(THOUSAND, load_window_s=10), 0.241_666_667),  # 1,450 bytes a record: 6 MB are full after 4.1 s
        (replace(THOUSAND, event_bytes=30, load_window_s=60), 0.1),  # 10,000 records after 10 s
        (replace(THOUSAND, load_window_s=0, events_per_s=5), 5.0),  # each event a call
    ],
)
def test_a_batch_ends_by_time_by_records_or_by_bytes(workload: Workload, calls: float) -> None:
    assert load_calls_per_s(workload) == pytest.approx(calls)


def test_the_archive_has_a_window_and_a_size_of_its_own() -> None:
    assert archive_calls_per_s(replace(THOUSAND, archive_records=500)) == pytest.approx(2)


def test_provisioned_kafka_is_three_brokers_with_a_copy_each() -> None:
    kept_gb = 1_000 * 900 * 0.5 / 1e9 * 24 * 3_600  # 38.88

    assert cost_of_kafka(THOUSAND, ROUND, FIGURES) == pytest.approx(3 * (730 * 0.2 + kept_gb * 0.1))


def test_more_brokers_come_by_threes() -> None:
    fast = replace(THOUSAND, events_per_s=120_000, kafka_hours=0)  # 54 MB/s after compression: four, so six

    assert cost_of_kafka(fast, ROUND, FIGURES) == pytest.approx(6 * 730 * 0.2)


def test_serverless_kafka_is_paid_by_partitions_and_by_bytes() -> None:
    gb = 1_000 * 900 * 0.5 / 1e9 * MONTH_S  # written once, read twice
    kept_gb = 38.88
    expected = 730 * (1.0 + 25 * 0.001) + gb * (0.1 + 2 * 0.05) + kept_gb * 0.1

    assert cost_of_kafka(replace(THOUSAND, kafka=Kafka.SERVERLESS), ROUND, FIGURES) == pytest.approx(expected)


def test_the_archive_is_paid_by_objects_and_by_what_is_kept() -> None:
    batches_of_thousand = replace(THOUSAND, archive_records=1_000)  # a call a second, 8 objects each
    gb = 1_000 * MONTH_S * 900 * 0.1 / 1e9

    assert cost_of_archive(batches_of_thousand, ROUND, FIGURES) == pytest.approx(
        8 * MONTH_S / 1_000 * 0.005 + gb * 0.02
    )


def test_every_call_logs_a_line() -> None:
    archive = 1_000 * 1_450 / 6_000_000  # full by bytes before 30 s are over

    assert cost_of_logs(THOUSAND, ROUND, FIGURES) == pytest.approx((10 + 1 + archive) * MONTH_S * 1_000 / 1e9 * 0.5)


def test_the_store_is_a_server_and_its_disk() -> None:
    assert cost_of_store(THOUSAND, ROUND, FIGURES) == pytest.approx(730 * 0.3 + 1_000 * MONTH_S * 100 / 1e9 * 0.1)


def test_a_bill_is_the_sum_of_its_items() -> None:
    bill = bill_of(replace(THOUSAND, pollers=2), ROUND, FIGURES)

    assert bill.items["pollers"] == pytest.approx(2 * 730 * 0.2)
    assert bill.ingestion == pytest.approx(sum(bill.items.values()))
    assert bill.total == pytest.approx(bill.ingestion + bill.store)
    assert bill.per_million(THOUSAND) == pytest.approx(bill.ingestion / (1_000 * MONTH_S) * 1e6)


def test_every_price_says_where_it_comes_from_and_how_old_it_is() -> None:
    entries = read_prices().entries.values()

    assert all(entry["source"].startswith("https://") and entry["as_of"] >= "2025" for entry in entries)
    assert {entry["basis"] for entry in entries} == {"read", "recalled"}
    assert set(ROUND.entries) == set(read_prices().entries)


def test_ten_thousand_single_requests_a_second_are_shown_first(capsys: pytest.CaptureFixture[str]) -> None:
    single_requests = 333 * 3.50 + 667 * 2.80 + 19_000 * 2.38 + (26_280 - 20_000) * 1.51  # 26.28 billion

    assert cost.main(["--entrance", "alb"]) == 0
    printed = capsys.readouterr().out
    assert f"${single_requests:,.0f} a month" in printed.splitlines()[0]
    assert "$939 to $989" in printed
