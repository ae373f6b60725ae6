from __future__ import annotations

import pytest

from local_runtime.kafka_trigger.__main__ import main
from local_runtime.kafka_trigger.runner import BACKOFF_FIRST_SECONDS, BACKOFF_MAX_SECONDS, backoff_seconds

KAFKA = ["--bootstrap-servers", "127.0.0.1:1"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "no mapping"),
        (["--mapping", "{}"], "exactly one topic"),
        (["--mapping", '{"FunctionName":"f","Topics":["t"],"BatchSize":0}'], "1 to 10000"),
        (["--mapping", '{"FunctionName":"f","Topics":["t"]}'] * 2, "share topic and consumer group"),
        (["--template", "template.yaml"], "--stack-name"),
    ],
)
def test_mapping_that_cannot_be_played_ends_with_code_2_and_a_word(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(KAFKA + arguments) == 2
    assert word in capsys.readouterr().err


def test_backoff_doubles_and_is_bounded() -> None:
    pauses = [backoff_seconds(failures) for failures in range(1, 100)]

    assert pauses[:3] == [BACKOFF_FIRST_SECONDS, 2 * BACKOFF_FIRST_SECONDS, 4 * BACKOFF_FIRST_SECONDS]
    assert pauses == sorted(pauses)
    assert pauses[-1] == BACKOFF_MAX_SECONDS
