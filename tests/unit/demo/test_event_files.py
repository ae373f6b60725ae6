"""Files of events: what is read, and what each line that cannot be read is called."""

import json

import pytest

from scripts.event_files import EventFile
from scripts.failures import FileUnreadable


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return EventFile(path)


def test_ndjson_lines_become_events_and_blank_lines_nothing(tmp_path):
    file = write(tmp_path, "in.ndjson", '\ufeff{"event_name":"a"}\r\n\n  {"type":"b","ts":1}\n')

    assert list(file) == [{"event_name": "a"}, {"type": "b", "ts": 1}]
    assert not file.refused


def test_broken_lines_are_counted_by_reason_and_the_others_kept(tmp_path):
    file = write(tmp_path, "in.jsonl", b'{"event_name":"a"}\n{"event_name":\n[1]\n7\n\xff\xfe\n{"event_name":"b"}')

    assert [event["event_name"] for event in file] == ["a", "b"]
    assert file.refused == {"json_invalid": 2, "event_not_object": 2}


def test_deeply_nested_line_is_refused_and_not_a_traceback(tmp_path):
    file = write(tmp_path, "in.ndjson", '{"properties":' * 100_000)

    assert list(file) == []
    assert file.refused == {"json_invalid": 1}


def test_csv_cells_become_typed_fields_and_empty_cells_nothing(tmp_path):
    text = (
        "event_name,user_id,timestamp,latency_ms,properties,conversation_metadata,input_embeddings,error,output\n"
        'said,ann,1525255200000,12.5,"{""a"": [1]}",,"[0.5, 1]",,"two\nlines, 007"\n'
        "said,007,2018-05-02T10:00:00,,,,AAAAPw==,down,\n"
    )
    first, second = write(tmp_path, "in.csv", "\ufeff" + text)

    assert first == {
        "event_name": "said",
        "user_id": "ann",
        "timestamp": 1525255200000,
        "latency_ms": 12.5,
        "properties": {"a": [1]},
        "input_embeddings": [0.5, 1],
        "output": "two\nlines, 007",
    }
    assert second == {
        "event_name": "said",
        "user_id": "007",
        "timestamp": "2018-05-02T10:00:00",
        "input_embeddings": "AAAAPw==",
        "error": "down",
    }


def test_csv_cells_that_are_not_what_their_column_promises_stay_text_for_the_api_to_refuse(tmp_path):
    rows = write(tmp_path, "in.csv", "event_name,latency_ms,properties\nsaid,fast,{broken\nsaid,1,{},surplus\n")
    first, second = rows

    assert first == {"event_name": "said", "latency_ms": "fast", "properties": "{broken"}
    assert second["cell_without_header"] == ["surplus"]


@pytest.mark.parametrize(("content", "count"), [('{"event_name":"a"}', 1), ("event_name\na\nb\n", 2)])
def test_kind_is_told_by_content_where_the_name_does_not_say_it(tmp_path, content, count):
    assert len(list(write(tmp_path, "events", content))) == count


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("in.csv", b"\x1f\x8b\x08\x00"),
        ("in.csv", "name,age\na,1\n"),
        ("in.csv", ""),
        ("in.csv", "type\n" + "x" * 10**6),
    ],
    ids=["compressed", "no event_name", "empty", "endless cell"],
)
def test_unreadable_file_is_named(tmp_path, name, content):
    with pytest.raises(FileUnreadable, match=r"in\.csv"):
        list(write(tmp_path, name, content))


def test_missing_file_and_folder_are_named(tmp_path):
    for path in (tmp_path / "absent.ndjson", tmp_path):
        with pytest.raises(FileUnreadable, match=path.name):
            list(EventFile(path))


def test_numbers_and_texts_survive_the_way_through_a_file(tmp_path):
    event = {"event_name": "a", "output": "\u2028 \U0001f600 \ud800", "latency_ms": 1e-9}

    assert list(write(tmp_path, "in.ndjson", json.dumps(event) + "\n")) == [event]
