"""The sample conversations as events: the real package, and the odd input that the package does not have."""

import json
from collections import Counter, defaultdict
from itertools import islice, pairwise

import pytest

from event_analytics.event import EVENT_BYTES_MAX
from scripts.convert_chitchat import TEXT_BYTES_MAX, Converter, count_events, load_conversations
from scripts.outgoing import encode_line, prepare_events

FIRST_EVENTS = 3_000


@pytest.fixture(scope="module")
def conversations():
    return load_conversations()


def spoken(text="hello", at="2018-05-02T10:00:00", sender="ann"):
    return {"text": text, "timestamp": at, "sender": sender}


def talk(*turns, **fields):
    return {"talk-1": {"messages": [list(turn) for turn in turns], "start": "2018-05-02T10:00:00", **fields}}


def convert(conversations):
    converter = Converter()
    events = list(converter.convert(conversations))
    return events, +converter.odd


def messages(events):
    return [event for event in events if event["event_name"] == "message_sent"]


def test_package_holds_the_conversations_that_the_documentation_names(conversations):
    people = {m["sender"] for talk in conversations.values() for turn in talk["messages"] for m in turn}

    assert len(conversations) == 7_168
    assert sum(len(turn) for talk in conversations.values() for turn in talk["messages"]) == 258_145
    assert len(people) == 1_315


def test_every_conversation_becomes_events_with_distinct_ids_in_the_order_of_their_times(conversations):
    names, ids, times = Counter(), set(), defaultdict(list)
    for event in Converter().convert(conversations):
        names[event["event_name"]] += 1
        ids.add(event["id"])
        times[event["conversation_id"]].append(event["timestamp"])

    assert names == {"message_sent": 258_145, "conversation_started": 7_168, "conversation_rated": 5_988}
    assert len(ids) == names.total() == count_events(conversations)
    assert all(all(a < b for a, b in pairwise(seq)) for seq in times.values())


def test_second_conversion_gives_the_same_bytes(conversations):
    first, second = (
        [encode_line(event) for event in islice(Converter().convert(conversations), FIRST_EVENTS)] for _ in range(2)
    )

    assert first == second


def test_latency_and_input_are_those_of_the_message_answered(conversations):
    by_talk = defaultdict(list)
    for event in islice(Converter().convert(conversations), FIRST_EVENTS):
        if event["event_name"] == "message_sent":
            by_talk[event["conversation_id"]].append(event)

    answered = 0
    for events in by_talk.values():
        for place, event in enumerate(events):
            others = [other for other in events[:place] if other["user_id"] != event["user_id"]]
            assert ("latency_ms" in event) == bool(others)
            assert event.get("input") == (others[-1]["output"] if others else None)
            assert event.get("latency_ms", 0) >= 0
            answered += bool(others)
    assert answered > FIRST_EVENTS / 2


def test_ids_are_of_version_8_and_stand_beside_an_explicit_timestamp(conversations):
    events = list(islice(prepare_events(Converter().convert(conversations)), FIRST_EVENTS))

    assert {event.id[14] for event in events} == {"8"}
    assert all("timestamp" in json.loads(event.line) and event.timestamp_ms for event in events)


def test_time_without_a_zone_is_utc_and_counted():
    events, odd = convert(talk([spoken(at="2018-05-02T10:00:00"), spoken(at="2018-05-02T12:00:01+02:00")]))

    assert [event["timestamp"] for event in messages(events)] == [
        "2018-05-02T10:00:00.000Z",
        "2018-05-02T10:00:01.000Z",
    ]
    assert odd["time_without_zone"] == 1


def test_messages_out_of_order_are_sorted_and_counted():
    events, odd = convert(
        talk([spoken("late", "2018-05-02T10:05:00Z")], [spoken("early", "2018-05-02T10:01:00Z", "bob")])
    )

    assert [event["output"] for event in messages(events)] == ["early", "late"]
    assert messages(events)[1]["latency_ms"] == 240_000
    assert odd["conversation_out_of_order"] == 1


def test_equal_messages_in_one_second_stay_two_events_in_their_order():
    events, odd = convert(talk([spoken("ok"), spoken("ok")], [spoken("fine", sender="bob")]))

    assert [event["timestamp"][17:] for event in messages(events)] == ["00.000Z", "00.001Z", "00.002Z"]
    assert len({event["id"] for event in events}) == len(events)
    assert messages(events)[2]["latency_ms"] == 0
    assert odd["time_shared_with_the_message_before"] == 2


def test_conversation_starts_before_its_first_message_and_is_rated_after_its_last():
    events, _ = convert(talk([spoken()], prompt="Why?", ratings={"witty": "1", "upbeat": 5}))

    assert [event["event_name"] for event in events] == ["conversation_started", "message_sent", "conversation_rated"]
    assert [event["timestamp"][14:] for event in events] == ["59:59.999Z", "00:00.000Z", "00:00.001Z"]
    assert events[1]["conversation_metadata"] == {"prompt": "Why?", "ratings": {"upbeat": 5, "witty": 1}}
    assert events[2]["properties"] == {"rated_by": "unknown", "messages": 1, "upbeat": 5, "witty": 1}


@pytest.mark.parametrize(
    ("text", "kept", "counted"),
    [
        ("", "", {"text_empty": 1}),
        (None, "", {"text_empty": 1}),
        ("so \U0001f600 good", "so \U0001f600 good", {}),
        ("a\0b", "a\ufffdb", {"text_with_nul": 1}),
        ("a\ud800b", "a\ufffdb", {"text_with_lone_surrogate": 1}),
        ("x" * (TEXT_BYTES_MAX + 1), "x" * TEXT_BYTES_MAX, {"text_cut": 1}),
        ("\u00e9" * TEXT_BYTES_MAX, "\u00e9" * (TEXT_BYTES_MAX // 2), {"text_cut": 1}),
    ],
    ids=["empty", "no text", "emoji", "NUL", "lone surrogate", "too long", "too long in bytes"],
)
def test_odd_texts_are_mended_and_counted(text, kept, counted):
    events, odd = convert(talk([spoken(text, "2018-05-02T10:00:00Z")]))

    assert messages(events)[0]["output"] == kept
    assert odd == counted


def test_longest_question_and_answer_fit_into_one_event():
    long = "\u00e9" * TEXT_BYTES_MAX
    events, _ = convert(talk([spoken(long)], [spoken(long, sender="bob")]))

    assert max(len(encode_line(event)) for event in events) < EVENT_BYTES_MAX


@pytest.mark.parametrize("time", [None, "yesterday", "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
def test_unusable_time_becomes_that_of_the_message_before(time):
    events, odd = convert(talk([spoken("a", "2018-05-02T10:00:07Z"), spoken("b", time)]))

    assert messages(events)[1]["timestamp"] == "2018-05-02T10:00:07.001Z"
    assert odd["time_unusable"] == 1


def test_message_without_any_time_is_left_out_and_counted():
    events, odd = convert(talk([spoken(at=None)], start=None))

    assert events == []
    assert odd == {"time_unusable": 1, "message_without_any_time": 1, "conversation_without_messages": 1}


def test_overlong_names_stay_distinct_and_fit():
    people = ["p" * 200 + suffix for suffix in "ab"]
    events, odd = convert(talk([spoken(sender=people[0])], [spoken(sender=people[1])]))
    names = {event["user_id"] for event in messages(events)}

    assert len(names) == 2
    assert all(len(name) <= 128 for name in names)
    assert odd["key_too_long"] == 2


def test_message_without_a_sender_has_no_user():
    events, odd = convert(talk([spoken(sender=None)]))

    assert all("user_id" not in event for event in events)
    assert odd["sender_missing"] == 1
