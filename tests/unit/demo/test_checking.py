"""The demo's own count, and the comparisons: each must fail when an answer is wrong."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from scripts.batch_answers import Outcome
from scripts.demo import checking
from scripts.demo.archive import sum_up_objects
from scripts.demo.tally import Tally, survey_events
from scripts.demo.waiting import wait_until_visible
from scripts.failures import GaveUp
from scripts.outgoing import Outgoing

SENT = Counter({"ann": 3, "bob": 2})


def event(name, user="ann", conversation="c", at=1_000, latency=None):
    return Outgoing(name, b"{}", "said", user, conversation, at, latency)


def settle(tally, *events, status="accepted"):
    tally.record([Outcome(event, status) for event in events])


def problems(checks):
    return [check.problem for check in checks if check.problem]


def test_survey_gives_number_and_half_open_window():
    times = [1_525_255_200_005, None, 1_525_255_200_003, 5, 10**18]
    survey = survey_events(event(str(at), at=at) for at in times)

    assert (survey.total, survey.start_ms, survey.end_ms) == (5, 1_525_255_200_003, 1_525_255_200_006)


def test_tally_counts_each_accepted_id_once():
    tally = Tally()
    settle(tally, event("a", latency=7), event("b", "bob"), event("a", latency=7), event("c", user="", at=9))
    settle(tally, event("d"), status="rejected")
    settle(tally, event("e"), status="spooled")

    assert tally.by_user == {"ann": 2, "bob": 1}
    assert (tally.events, tally.repeated, tally.without_user) == (4, 1, 1)
    assert (tally.start_ms, tally.end_ms) == (9, 1_001)
    assert list(tally.latencies["said"]) == [7.0]


def test_timeline_is_the_first_conversation_of_readable_length_with_two_people():
    tally = Tally()
    lengths = {"short": ("ab", 2), "alone": ("a", 9), "good": ("ab", 9), "later": ("ab", 10), "long": ("ab", 40)}
    sent = [
        event(f"{talk}{n}", people[n % len(people)], talk)
        for talk, (people, length) in lengths.items()
        for n in range(length)
    ]
    settle(tally, *tally.watch(sent))

    assert tally.choose_timeline() == "good"
    assert len(tally.accepted_sample("good")) == 9


def test_sample_keeps_only_what_was_accepted_and_knows_conversations_of_nobody():
    tally = Tally()
    sent = [event("a"), event("b"), event("c", user="", conversation="quiet")]
    list(tally.watch(sent))
    settle(tally, sent[0], sent[2])

    assert [kept.id for kept in tally.accepted_sample("c")] == ["a"]
    assert tally.conversations_without_user() == ["quiet"]


def test_tally_of_nothing_has_no_timeline():
    assert Tally().choose_timeline() is None


def test_equal_counts_hold_in_an_empty_window_and_in_a_repeated_run():
    assert problems(checking.check_counts(SENT, {}, SENT)) == []
    repeated = checking.check_counts(SENT, SENT, SENT)
    assert problems(repeated) == []
    assert "nothing was counted twice" in repeated[0].note


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"ann": 3, "bob": 1}),
        ({}, {"ann": 4, "bob": 2}),
        ({}, {"ann": 3, "bob": 2, "eve": 1}),
        ({}, {"ann": 5}),
        (SENT, {"ann": 6, "bob": 4}),
        ({"ann": 9}, {"ann": 8, "bob": 2}),
        ({"ann": 9}, {"ann": 13, "bob": 2}),
    ],
    ids=["lost", "twice", "stranger", "wrong user", "repeat counted twice", "fewer than before", "more than the sum"],
)
def test_wrong_counts_are_named(before, after):
    assert problems(checking.check_counts(SENT, before, after))


def test_events_of_other_runs_turn_counts_into_limits():
    checks = checking.check_counts(SENT, {"ann": 9, "eve": 1}, {"ann": 11, "bob": 2, "eve": 1})

    assert problems(checks) == []
    assert "10 events of other runs" in checks[0].note


def test_top_users_must_be_the_largest_counts():
    after = {"ann": 3, "bob": 2, "eve": 1, "": 99}

    assert not checking.check_top_users({"users": [{"events": 3}, {"events": 2}]}, after, 2).problem
    assert not checking.check_top_users({"users": []}, {}, 2).problem
    assert checking.check_top_users({"users": [{"events": 2}, {"events": 3}]}, after, 2).problem
    assert checking.check_top_users({"users": [{"events": 3}]}, after, 2).problem
    assert checking.check_top_users({}, after, 2).problem


@pytest.mark.parametrize(("p95", "holds"), [(950.0, True), (951, True), (900.0, False), (999.0, False), (None, False)])
def test_p95_must_have_the_rank_of_a_p95(p95, holds):
    latencies = {"said": [float(n) for n in range(1, 1_001)]}
    count, check = checking.check_latency([{"event_name": "said", "events": 1_000, "p95_ms": p95}], latencies)

    assert not count.problem
    assert (check.problem == "") is holds


def test_latency_of_an_event_name_that_is_not_answered_is_a_mismatch():
    assert problems(checking.check_latency([], {"said": [1.0]}))


def test_timeline_must_hold_each_event_once_in_order_of_time():
    sent = [event("a"), event("b")]
    rows = [{"id": "a", "timestamp": "2018-05-02T10:00:00Z"}, {"id": "b", "timestamp": "2018-05-02T10:00:01Z"}]

    assert not checking.check_timeline(sent, rows).problem
    assert "missing" in checking.check_timeline(sent, rows[:1]).problem
    assert "never sent" in checking.check_timeline(sent[:1], rows).problem
    assert "twice" in checking.check_timeline(sent, [*rows, rows[1]]).problem
    assert "order" in checking.check_timeline(sent, rows[::-1]).problem


def test_event_must_come_back_as_it_was_sent():
    sent = {"event_name": "said", "user_id": "ann", "output": "hi"}

    assert not checking.check_event(sent, {**sent, "input": None}).problem
    assert "output" in checking.check_event(sent, {**sent, "output": "ho"}).problem
    assert checking.check_event(sent, None).problem == "not found"


def test_events_that_never_show_are_named_by_user():
    with pytest.raises(GaveUp, match=r"2 of 5 .* ann 1, bob 1"):
        wait_until_visible(lambda: {"ann": 2, "bob": 1}, SENT, lambda _more: None, stalled_seconds=0.0)


def test_waiting_reports_each_event_that_shows_once():
    answers, seen = iter([{}, {"ann": 3}, {"ann": 3, "bob": 2, "eve": 4}]), []
    wait_until_visible(lambda: next(answers), SENT, seen.append, stalled_seconds=5.0)

    assert seen == [3, 2]


def test_archived_records_are_counted_once_by_their_offsets():
    names = [
        "raw/v1/topic=events/date=2026-01-02/hour=03/partition=001/epoch=a/0-9-0123abcd.jsonl.gz",
        "raw/v1/topic=events/date=2026-01-02/hour=03/partition=001/epoch=a/5-14-0123abcd.jsonl.gz",
        "raw/v1/topic=events/date=2026-01-02/hour=03/partition=001/epoch=b/0-0-0123abcd.jsonl.gz",
        "raw/v1/notes.txt",
    ]
    now = datetime(2026, 1, 2, tzinfo=UTC)
    state = sum_up_objects({"Key": name, "Size": 10, "LastModified": now} for name in names)

    assert (state.objects, state.records, state.stored_bytes) == (3, 16, 30)
    assert sum_up_objects([]).newest == ""
