"""A broker that is there and refuses: it answers each produce request with an error and stores nothing.

The request itself is not passed on, as a broker whose disk is full does not append it either: a question that changes
nothing goes in its place, and the answer to that is replaced, so that answers keep their order.
"""

from __future__ import annotations

import struct
from typing import Final

from kafka.protocol.metadata import ApiVersionsRequest
from kafka.protocol.producer import ProduceRequest, ProduceResponse

_SIZE: Final = struct.Struct(">i")
_REQUEST: Final = struct.Struct(">ihhi")  # size, api, version, correlation
_ANSWER: Final = struct.Struct(">ii")  # size, correlation


class Refusal:
    """With which of Kafka's error codes every connection is refused; None: with none. May change at any time."""

    def __init__(self) -> None:
        self.error_code: int | None = None

    def converse(self) -> Conversation:
        """For one connection."""
        return Conversation(self)


class Conversation:
    """One connection's frames, both ways."""

    def __init__(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self._rests = {True: b"", False: b""}
        self._answers: dict[int, bytes] = {}

    def pass_on(self, data: bytes, is_answer: bool) -> bytes:
        """What goes on of what came: whole frames; the rest waits for its end."""
        rest = self._rests[is_answer] + data
        passed = b""
        while len(rest) >= _SIZE.size and len(rest) >= (end := _SIZE.size + _SIZE.unpack_from(rest)[0]):
            passed += self._replace_answer(rest[:end]) if is_answer else self._replace_request(rest[:end])
            rest = rest[end:]
        self._rests[is_answer] = rest
        return passed

    def _replace_request(self, frame: bytes) -> bytes:
        _, api, version, correlation = _REQUEST.unpack_from(frame)
        code = self._refusal.error_code
        if code is None or api != ProduceRequest.API_KEY:
            return frame
        self._answers[correlation] = refuse(frame, version, correlation, code)
        harmless = ApiVersionsRequest(version=0)
        harmless.with_header(correlation_id=correlation)
        return bytes(harmless.encode(header=True, framed=True))

    def _replace_answer(self, frame: bytes) -> bytes:
        return self._answers.pop(_ANSWER.unpack_from(frame)[1], frame)


def refuse(frame: bytes, version: int, correlation: int, code: int) -> bytes:
    """The answer to a produce request that refuses each of its partitions."""
    request = ProduceRequest.decode(frame, version=version, header=True, framed=True)
    topic_answer = ProduceResponse.TopicProduceResponse
    answer = ProduceResponse(
        version=version,
        responses=[
            topic_answer(
                name=topic.name,
                partition_responses=[
                    topic_answer.PartitionProduceResponse(index=each.index, error_code=code, base_offset=-1)
                    for each in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ],
        throttle_time_ms=0,
    )
    answer.with_header(correlation_id=correlation)
    return bytes(answer.encode(header=True, framed=True))
