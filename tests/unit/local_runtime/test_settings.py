import dataclasses

import pytest

from local_runtime.settings import REPOSITORY, InvalidSettings, LocalSettings


def test_an_empty_environment_gives_the_documented_defaults():
    settings = LocalSettings.from_env({})

    assert settings.state_dir == REPOSITORY / ".tallystream"
    assert settings.ministack_venv == REPOSITORY / ".tallystream/venvs/ministack"
    assert settings.aws_endpoint == "http://127.0.0.1:4566"
    assert settings.kafka_bootstrap == "127.0.0.1:9092"
    assert settings.clickhouse_url == "http://127.0.0.1:8123"
    assert settings.trigger_status_url == "http://127.0.0.1:9464"
    assert settings.inherited == {}


def test_an_empty_value_is_no_value():
    assert LocalSettings.from_env({"TALLYSTREAM_AWS_PORT": "", "TALLYSTREAM_STATE_DIR": ""}) == LocalSettings.from_env(
        {}
    )


def test_every_setting_that_cannot_be_used_is_named_at_once():
    with pytest.raises(InvalidSettings) as refused:
        LocalSettings.from_env(
            {
                "TALLYSTREAM_AWS_PORT": "http",
                "TALLYSTREAM_KAFKA_PORT": "65536",
                "TALLYSTREAM_CLICKHOUSE_PORT": "-1",
                "TALLYSTREAM_TRIGGER_PORT": "4566",
            }
        )

    named = [line.split("=")[0] for line in str(refused.value).splitlines()]
    assert named[:3] == ["TALLYSTREAM_AWS_PORT", "TALLYSTREAM_KAFKA_PORT", "TALLYSTREAM_CLICKHOUSE_PORT"]


def test_two_parts_on_one_port_are_both_named():
    with pytest.raises(InvalidSettings, match="TALLYSTREAM_AWS_PORT and TALLYSTREAM_CLICKHOUSE_PORT are both 8123"):
        LocalSettings.from_env({"TALLYSTREAM_AWS_PORT": "8123"})


def test_ports_of_zero_may_repeat_because_each_becomes_another_free_one():
    settings = LocalSettings.from_env({"TALLYSTREAM_AWS_PORT": "0", "TALLYSTREAM_KAFKA_PORT": "0"})

    assert (settings.aws_port, settings.kafka_port) == (0, 0)


def test_parts_inherit_only_what_is_harmless_to_functions():
    environment = {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "AWS_PROFILE": "prod",
        "HTTP_PROXY": "x",
        "PYTHONPATH": "y",
    }

    assert LocalSettings.from_env(environment).inherited == {"PATH": "/bin", "LANG": "C.UTF-8"}


def test_a_relative_state_directory_means_the_same_from_everywhere(tmp_path):
    relative = LocalSettings.from_env({"TALLYSTREAM_STATE_DIR": "elsewhere"})
    absolute = LocalSettings.from_env({"TALLYSTREAM_STATE_DIR": str(tmp_path)})

    assert relative.state_dir == REPOSITORY / "elsewhere"
    assert absolute.state_dir == tmp_path
    assert dataclasses.replace(absolute, state_dir=relative.state_dir) == relative
