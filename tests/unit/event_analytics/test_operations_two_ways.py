"""An operation decoded in one go gives the item that reading it field by field gives, to the byte."""

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from event_analytics.embeddings import EMBEDDING_FLOATS_MAX
from event_analytics.event import ALIASES, EVENT_BYTES_MAX
from event_analytics.event_fields import READERS
from event_analytics.ingest import Item
from event_analytics.operations import plan_by_field, plan_operations
from tests.builders import ACCEPTED_MS, UUID4, UUID7, an_acceptance

ACCEPTANCE = an_acceptance(random_bytes=b"\xa7".__mul__)


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * levels + "1" + closing * levels


def with_keys(count: int) -> str:
    return json.dumps({str(number): number for number in range(count)})


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
SPACES = st.sampled_from([None, None, 1, "\r\n"])
TEXTS = st.one_of(
    st.text(max_size=9).map(json.dumps),
    st.text(max_size=9).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        [
            '""',
            '"\\u0000"',
            '"\\\\u0000"',
            '"\\ud800"',
            '"\\ud83d\\ude00"',
            '"a\tb"',
            '"a\0b"',
            '"\udcff"',
            '"caf\\u00e9"',
        ]
    ),
    st.sampled_from([127, 128, 129]).flatmap(lambda size: st.sampled_from([f'"{"x" * size}"', f'"{"ü" * size}"'])),
)
NUMBERS = st.one_of(
    st.floats(0).map(json.dumps),
    st.floats().map(json.dumps),
    st.integers().map(str),
    st.integers(1, 500).map(lambda digits: "9" * digits),
    st.sampled_from(
        ["-0", "-0.0", "1e400", "-1e-400", "5e-324", "1E+2", "9007199254740993", "2" + "0" * 308, "01", "1."]
    ),
)
OBJECTS = st.one_of(
    st.builds(
        lambda value, indent: json.dumps(value, indent=indent), st.dictionaries(st.text(max_size=3), VALUES), SPACES
    ),
    st.sampled_from([19, 20, 21, 900]).map(nested),
    st.sampled_from([999, 1_000, 1_001]).map(with_keys),
    st.sampled_from(
        [
            '{"a":1,"a":2}',
            '{"a\\u0000":1}',
            '{"a":1e400}',
            '{"\\ud800":1}',
            '{"a":"\udcff"}',
            '{"a":[["::"]]}',
            '{"a":0,}',
        ]
    ),
)
EMBEDDINGS = st.one_of(
    st.lists(st.floats(width=32), max_size=3).map(json.dumps),
    st.sampled_from(['"AAAAPw=="', '"?"', '"AAA="', json.dumps([0.5] * (EMBEDDING_FLOATS_MAX + 1))]),
)
TIMES = st.sampled_from([str(ACCEPTED_MS), '"2026-01-02T03:04:05.678+02:00"', '"2026-01-02T03:04:05"', "0"])
IDS = st.sampled_from([UUID7, UUID4, UUID4.upper(), UUID4.replace("-", ""), UUID4[:-1]]).map(json.dumps)
ANYTHING = st.one_of(
    st.just("null"),
    TEXTS,
    NUMBERS,
    OBJECTS,
    EMBEDDINGS,
    TIMES,
    IDS,
    VALUES.map(json.dumps),
    st.just("[" * 2_000 + "]" * 2_000),
)
RIGHT = {
    "id": IDS,
    "timestamp": TIMES,
    "latency_ms": NUMBERS,
    "properties": OBJECTS,
    "conversation_metadata": OBJECTS,
    "input_embeddings": EMBEDDINGS,
    "output_embeddings": EMBEDDINGS,
}
NAMES = sorted(READERS)
UPDATABLE = ["conversation_metadata", "error", "event_name", "input", "latency_ms", "output", "properties"]


def member(name: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(json.dumps(name)), value)


def right_member(name: str) -> st.SearchStrategy[tuple[str, str]]:
    return member(name, st.just("null") | RIGHT.get(ALIASES.get(name, name), TEXTS))


ORDINARY_MEMBERS = st.lists(st.sampled_from(UPDATABLE).flatmap(right_member), max_size=5)
ODD_NAMES = [*NAMES, *ALIASES, "op", "change_id", "fields", "is_deleted", "version", "patch"]
ODD_MEMBERS = st.lists(
    st.one_of(
        st.sampled_from(UPDATABLE).flatmap(lambda name: member(name, ANYTHING)),
        st.sampled_from([*NAMES, *ALIASES]).flatmap(right_member),
        st.sampled_from(ODD_NAMES).flatmap(lambda name: member(name, ANYTHING)),
        st.sampled_from(
            [('"op"', '"update"'), ('"op"', '"\\u0064elete"'), ('"err\\u006fr"', '"x"'), ('"x\udcff"', "1")]
        ),
    ),
    min_size=1,
    max_size=2,
)
OPS = st.sampled_from(["update", "update", "delete", "create"])
ACTOR = [('"event_name"', '"e"'), ('"user_id"', '"u"')]
CREATED = st.sampled_from([[], ACTOR, [*ACTOR, ('"timestamp"', str(ACCEPTED_MS))]])


@st.composite
def operations(draw: st.DrawFn) -> bytes:
    """JSON of an operation: an ordinary one, or one in which little to much is odd, such as a name that comes twice."""
    op = draw(OPS)
    members = [('"op"', json.dumps(op)), ('"id"', draw(IDS))] if draw(st.integers(0, 9)) else []
    members += draw(CREATED) if op == "create" else []
    members += draw(ORDINARY_MEMBERS) if op != "delete" else []
    members += draw(ODD_MEMBERS) if draw(st.booleans()) else []
    colon = draw(st.sampled_from([":", ": ", " :\n"]))
    text = ",".join(f"{name}{colon}{value}" for name, value in draw(st.permutations(members)))
    return f"{{{text}}}".encode("utf-8", "surrogateescape")


def told(item: Item) -> object:
    refused = item.refused and (item.refused.reason, item.refused.message, item.refused.field)
    return item.id, item.record, refused


def update(members: str) -> bytes:
    return f'{{"op":"update","id":"{UUID4}",{members}}}'.encode()


@settings(max_examples=300)
@given(st.lists(operations(), min_size=1, max_size=4))
@example([update('"error":null,"latency_ms":12,"properties":{"a":\n1}')])
@example([update('"properties":null,"conversation_metadata":null')])
@example([update('"latency_ms":1e400,"properties":[1],"event_name":null')])
@example([update(f'"{name}":7') for name in UPDATABLE])
@example([update('"event_name":""'), update(f'"event_name":"{"x" * 129}"'), update('"output":"\\u0000"')])
@example([update('"error":7,"error":"the last one counts"')])
@example([update('"output":"' + "x" * EVENT_BYTES_MAX + '"')])
@example([f'{{"op":"delete","id":"{UUID4}","error":"\\u0000"}}'.encode(), b"", b"[]", b'"x"', b"{} {}"])
def test_both_ways_to_read_an_operation_agree(raw: list[bytes]) -> None:
    by_field = [plan_by_field(one, index, ACCEPTANCE) for index, one in enumerate(raw)]

    assert [told(item) for item in plan_operations(raw, ACCEPTANCE)] == [told(item) for item in by_field]
