from __future__ import annotations

import json

from local_runtime.kafka_trigger.event_shape import EventShape, encode_headers


def test_event_is_a_join_of_its_records() -> None:
    shape = EventShape.of('t"', "b-1:9092,b-2:9092", "aws:kafka", "arn")
    payload = shape.join([(shape.partition(0), [b'{"o":1}', b'{"o":2}']), (shape.partition(7), [b'{"o":3}'])])

    assert json.loads(payload) == {
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn",
        "bootstrapServers": "b-1:9092,b-2:9092",
        "records": {'t"-0': [{"o": 1}, {"o": 2}], 't"-7': [{"o": 3}]},
    }
    assert payload.isascii()


def test_self_managed_event_has_no_arn_and_frame_is_what_it_weighs_without_records() -> None:
    shape = EventShape.of("t", "b", "SelfManagedKafka")

    assert shape.join([]) == b'{"eventSource":"SelfManagedKafka","bootstrapServers":"b","records":{}}'
    assert shape.frame_bytes == len(shape.join([]))


def test_header_without_a_value_is_null() -> None:
    assert encode_headers([("a", None), ("b", b"")]) == b'[{"a":null},{"b":[]}]'
