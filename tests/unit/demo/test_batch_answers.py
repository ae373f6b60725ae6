"""What an answer of the API means for each event of a batch."""

import json

import pytest

from scripts.batch_answers import judge_answer
from scripts.batch_lane import RETRY_AFTER_SECONDS_MAX, read_retry_after
from scripts.failures import EndpointWrong, KeyRefused
from scripts.http_calls import Answer
from scripts.outgoing import Outgoing

BATCH = [Outgoing(id=name, line=b"{}") for name in "abcd"]


def answer(status, document=None):
    return Answer(status, json.dumps(document).encode() if document is not None else b"<html>", 0.1)


def items(*statuses):
    return answer(202, {"items": [{"status": status, "reason": "id_invalid"} for status in statuses]})


def test_only_items_that_say_retry_are_sent_again():
    verdict = judge_answer(items("accepted", "retry", "rejected", "spooled"), BATCH)

    assert [(outcome.event.id, outcome.status, outcome.reason) for outcome in verdict.settled] == [
        ("a", "accepted", ""),
        ("c", "rejected", "id_invalid"),
        ("d", "spooled", ""),
    ]
    assert verdict.parts == [[BATCH[1]]]


def test_unknown_item_status_is_no_acknowledgement():
    verdict = judge_answer(items("accepted", "accepted", "accepted", "perhaps"), BATCH)

    assert verdict.parts == [[BATCH[3]]]


@pytest.mark.parametrize("document", [None, {}, {"items": []}, {"items": [{}] * 3}, {"items": "four"}, [1]])
def test_acknowledgement_that_cannot_be_read_is_none(document):
    verdict = judge_answer(answer(202, document), BATCH)

    assert (verdict.settled, verdict.parts, verdict.is_halved) == ([], [BATCH], False)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_trouble_means_the_same_batch_again(status):
    verdict = judge_answer(answer(status, {"message": "busy"}), BATCH)

    assert (verdict.parts, verdict.why_again) == ([BATCH], "busy")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_request_refused_as_a_whole_is_halved_in_order(status):
    verdict = judge_answer(answer(status), BATCH)

    assert verdict.is_halved
    assert verdict.parts == [BATCH[:2], BATCH[2:]]


def test_single_event_refused_is_rejected_with_the_reason_given():
    verdict = judge_answer(answer(413, {"error": {"reason": "event_too_large"}}), BATCH[:1])

    assert [(outcome.status, outcome.reason) for outcome in verdict.settled] == [("rejected", "event_too_large")]
    assert not verdict.parts


@pytest.mark.parametrize(
    ("status", "error"), [(401, KeyRefused), (403, KeyRefused), (404, EndpointWrong), (302, EndpointWrong)]
)
def test_pointless_run_ends_with_a_name(status, error):
    with pytest.raises(error, match=str(status)):
        judge_answer(answer(status, {"message": "no"}), BATCH)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("", 0.0), ("2", 2.0), ("9999", RETRY_AFTER_SECONDS_MAX), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("-1", 0.0)],
)
def test_retry_after_is_read_in_seconds_and_limited(value, seconds):
    assert read_retry_after(value) == seconds
