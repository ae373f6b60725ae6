"""The conversations of the package `chitchat-dataset` (MIT) -> wire events. Pure but for loading and printing.

Decided here, and nowhere else:
- Times are kept as written, and without a zone they are UTC. The package's messages carry a Z, yet most
  conversations' own `start` is six or seven hours after their first message, as UTC is ahead of US mountain
  time: so `start` is only kept, as `recorded_start`, and a conversation starts 1 ms before its first message.
- Times have whole seconds. Messages of one conversation that share one follow each other by 1 ms, so that the
  order by time is the order of the conversation.
- `latency_ms` is the time since the other side's last message, as recorded; absent where there is none.
- The dataset does not say who rated: `conversation_rated` stands under the person who wrote first, with the
  property `rated_by: unknown`, so that every event has a user to be counted under.
- `id` is a UUIDv8 of the content, and of how often it came before in its conversation (people do write "ok"
  twice in a second): a second run sends the same ids.

`python -m scripts.convert_chitchat --events 100` writes NDJSON to the standard output.
"""

import argparse
import hashlib
import importlib.resources
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from event_analytics.event import TEXT_KEY_LENGTH_MAX, TIMESTAMP_MS_MIN
from event_analytics.identifiers import derive_uuid8
from scripts.failures import DatasetMissing, ScriptFailed
from scripts.outgoing import WireEvent, encode_line, read_time_ms

DATASET_PACKAGE: Final = "chitchat_dataset"
EVENTS_DEFAULT: Final = 20_000  # a minute of talk about months of data, seconds of work
TEXT_BYTES_MAX: Final = 400_000  # input and output together stay below the 900 kB of one event
STEP_MS: Final = 1  # between two events of one conversation that share a time
_REPLACEMENT = "\ufffd"

Conversations = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `recorded_ms` is what the dataset says, `timestamp_ms` is unique in its conversation."""

    sender: str
    text: str
    recorded_ms: int
    timestamp_ms: int
    turn: int


@dataclass(slots=True)
class Converter:
    """Turns conversations into events, in the dataset's order. `odd` counts what had to be mended."""

    odd: Counter[str] = field(default_factory=Counter)

    def convert(self, conversations: Conversations) -> Iterator[WireEvent]:
        """Per conversation: conversation_started, each message_sent by time, conversation_rated if it was."""
        for conversation_id, conversation in conversations.items():
            messages = self._read_messages(conversation)
            if messages:
                yield from self._convert_one(conversation_id, conversation, messages)
            else:
                self.odd["conversation_without_messages"] += 1

    def _convert_one(
        self, conversation_id: str, conversation: Mapping[str, Any], messages: list[Message]
    ) -> Iterator[WireEvent]:
        shared: WireEvent = {"conversation_id": self._clean_key(conversation_id)}
        metadata = self._describe(conversation)
        if metadata:
            shared["conversation_metadata"] = metadata
        opener, last = messages[0], messages[-1]
        yield _started(shared, opener, conversation.get("start"))
        yield from _message_events(shared, messages)
        if "ratings" in metadata:
            yield _rated(shared, opener.sender, last.timestamp_ms + STEP_MS, len(messages))

    def _describe(self, conversation: Mapping[str, Any]) -> dict[str, Any]:
        prompt, ratings = conversation.get("prompt"), conversation.get("ratings")
        described: dict[str, Any] = {}
        if isinstance(prompt, str) and prompt:
            described["prompt"] = self._clean_text(prompt)
        if isinstance(ratings, Mapping) and ratings:
            described["ratings"] = {str(name): _number(value) for name, value in sorted(ratings.items())}
        return described

    def _read_messages(self, conversation: Mapping[str, Any]) -> list[Message]:
        found: list[tuple[int, int, Mapping[str, Any]]] = []
        recorded_ms = read_time_ms(conversation.get("start"))
        for turn, spoken in enumerate(conversation.get("messages") or (), start=1):
            for message in spoken:
                recorded_ms = self._read_time(message.get("timestamp"), recorded_ms)
                if recorded_ms is None:
                    self.odd["message_without_any_time"] += 1
                else:
                    found.append((recorded_ms, turn, message))
        in_order = sorted(found, key=lambda item: item[0])
        self.odd["conversation_out_of_order"] += in_order != found
        return self._space_out(in_order)

    def _read_time(self, value: object, before_ms: int | None) -> int | None:
        read_ms = read_time_ms(value)
        if read_ms is None or not TIMESTAMP_MS_MIN <= read_ms <= _latest_ms():
            self.odd["time_unusable"] += 1
            return before_ms
        has_zone = not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None
        self.odd["time_without_zone"] += not has_zone
        return read_ms

    def _space_out(self, found: list[tuple[int, int, Mapping[str, Any]]]) -> list[Message]:
        messages: list[Message] = []
        after_ms = 0
        for recorded_ms, turn, message in found:
            self.odd["time_shared_with_the_message_before"] += recorded_ms < after_ms
            timestamp_ms = max(recorded_ms, after_ms)
            sender, text = self._clean_key(message.get("sender")), self._clean_text(message.get("text"))
            messages.append(Message(sender, text, recorded_ms, timestamp_ms, turn))
            after_ms = timestamp_ms + STEP_MS
        return messages

    def _clean_text(self, value: object) -> str:
        text = value if isinstance(value, str) else ""
        self.odd["text_empty"] += not text
        if "\0" in text:
            self.odd["text_with_nul"] += 1
            text = text.replace("\0", _REPLACEMENT)
        encoded = text.encode("utf-8", "surrogatepass")
        if len(encoded) > TEXT_BYTES_MAX:
            self.odd["text_cut"] += 1
            text = encoded[:TEXT_BYTES_MAX].decode("utf-8", "ignore")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            self.odd["text_with_lone_surrogate"] += 1
            text = "".join(_REPLACEMENT if "\ud800" <= letter <= "\udfff" else letter for letter in text)
        return text

    def _clean_key(self, value: object) -> str:
        key = value if isinstance(value, str) else ""
        self.odd["sender_missing"] += not key
        if len(key) <= TEXT_KEY_LENGTH_MAX:
            return key
        self.odd["key_too_long"] += 1
        return "sha256:" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _started(shared: WireEvent, opener: Message, recorded_start: object) -> WireEvent:
    event = _event("conversation_started", shared, opener.sender, opener.timestamp_ms - STEP_MS)
    return event | ({"properties": {"recorded_start": recorded_start}} if isinstance(recorded_start, str) else {})


def _rated(shared: WireEvent, user_id: str, timestamp_ms: int, messages: int) -> WireEvent:
    ratings = shared["conversation_metadata"]["ratings"]
    properties = {"rated_by": "unknown", "messages": messages, **ratings}
    event = _event("conversation_rated", shared, user_id, timestamp_ms, json.dumps(ratings, sort_keys=True))
    return event | {"properties": properties}


def _message_events(shared: WireEvent, messages: list[Message]) -> Iterator[WireEvent]:
    last_by_sender: dict[str, Message] = {}
    seen: Counter[tuple[str, int, str]] = Counter()
    for position, message in enumerate(messages, start=1):
        others = (last for sender, last in last_by_sender.items() if sender != message.sender)
        answered = max(others, key=lambda other: other.timestamp_ms, default=None)
        content = (message.sender, message.recorded_ms, message.text)
        seen[content] += 1
        identity = (str(message.recorded_ms), message.text, str(seen[content]))
        event = _event("message_sent", shared, message.sender, message.timestamp_ms, *identity)
        if answered:
            event |= {"latency_ms": message.recorded_ms - answered.recorded_ms, "input": answered.text}
        properties = {"turn": message.turn, "position": position, "characters": len(message.text)}
        yield event | {"output": message.text, "properties": properties}
        last_by_sender[message.sender] = message


def _event(name: str, shared: WireEvent, user_id: str, timestamp_ms: int, *identity: str) -> WireEvent:
    moment = datetime.fromtimestamp(timestamp_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    return {
        "id": str(derive_uuid8("chitchat", name, shared["conversation_id"], user_id, *identity)),
        "event_name": name,
        **({"user_id": user_id} if user_id else {}),
        **shared,
        "timestamp": moment.replace("+00:00", "Z"),
    }


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _latest_ms() -> int:
    return round(datetime.now(UTC).timestamp() * 1_000)


def count_events(conversations: Conversations) -> int:
    """How many events `convert` makes where no message lacks a time; for a progress bar's end."""
    return sum(
        1 + sum(map(len, conversation["messages"])) + bool(conversation.get("ratings"))
        for conversation in conversations.values()
        if conversation.get("messages")
    )


def load_conversations() -> dict[str, dict[str, Any]]:
    """All conversations of the installed package, by id, in its order; about 190 MB of memory for its 40 MB.

    Raises:
        DatasetMissing: the package is not installed, or its one file is broken.
    """
    try:
        content = importlib.resources.files(DATASET_PACKAGE).joinpath("dataset.json").read_bytes()
        return dict(json.loads(content))
    except ModuleNotFoundError:
        raise DatasetMissing("run `make setup`, or give a file of your own with FILE=path") from None
    except (OSError, ValueError) as problem:
        raise DatasetMissing(f"{DATASET_PACKAGE} is damaged ({problem}): install it again") from problem


def main(arguments: list[str] | None = None) -> int:
    """Writes NDJSON to the standard output, and what was odd to the standard error."""
    parser = argparse.ArgumentParser(description="The sample conversations as events: NDJSON on stdout.")
    parser.add_argument("--events", type=int, default=None, help="only the first so many; default: all")
    limit = parser.parse_args(arguments).events
    converter = Converter()
    try:
        for event in islice(converter.convert(load_conversations()), limit):
            sys.stdout.buffer.write(encode_line(event) + b"\n")
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    print({name: count for name, count in sorted(converter.odd.items()) if count}, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
