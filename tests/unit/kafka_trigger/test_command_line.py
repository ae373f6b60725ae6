from __future__ import annotations

import pytest

from local_runtime.kafka_trigger.__main__ import main

STARTS_TOO_LATE = (
    '{"FunctionName":"f","Topics":["t"],"StartingPosition":"AT_TIMESTAMP","StartingPositionTimestamp":99999999999}'
)
KAFKA = ["--bootstrap-servers", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "no mapping"),
        (["--mapping", "{}"], "exactly one topic"),
        (["--mapping", '{"FunctionName":"f","Topics":["t"],"BatchSize":0}'], "1 to 10000"),
        (["--mapping", '{"FunctionName":"f","Topics":["t"]}'] * 2, "share topic and consumer group"),
        (["--template", "template.yaml"], "--stack-name"),
        (["--mapping", STARTS_TOO_LATE], "future"),
    ],
)
def test_mapping_that_cannot_be_played_ends_with_code_2_and_a_word(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(KAFKA + arguments) == 2
    assert word in capsys.readouterr().err
