"""A stage's file -> the commands of its deploy."""

from pathlib import Path

import pytest

from local_runtime.settings import REPOSITORY
from scripts.deploy.__main__ import main, target_of, with_host_target
from scripts.deploy.concurrency import (
    CONNECTIONS_PER_BROKER,
    CONNECTIONS_PER_SERVERLESS_CLUSTER,
    OTHERS,
    SERVERLESS_BROKERS,
    derive_ingest_concurrency,
)
from scripts.deploy.plan import (
    Build,
    Delete,
    Deploy,
    SetUp,
    command_of,
    defaults_to_restore,
    describe,
    plan_deploy,
    plan_destroy,
)
from scripts.deploy.settings import DeploySettings
from scripts.deploy.stages import Stage, StageUnusable, read_stage

BUILD = Build({"PYTHON_VERSION": "3.13"})
EXAMPLE = read_stage(REPOSITORY, "example")


def deploys_of(stage: Stage) -> dict[str, Deploy]:
    steps = plan_deploy(stage, BUILD, built="built.yaml")
    return {step.stack: step for step in steps if isinstance(step, Deploy)}


def a_stage(text: str, folder: Path) -> Stage:
    (folder / "infrastructure/stages").mkdir(parents=True, exist_ok=True)
    (folder / "infrastructure/stages/prod.toml").write_text(text)
    return read_stage(folder, "prod")


def test_stacks_are_deployed_in_their_order_and_set_up_behind_the_code() -> None:
    steps = plan_deploy(EXAMPLE, BUILD)

    assert [type(step) for step in steps] == [Build, Deploy, Deploy, Deploy, Deploy, SetUp, Deploy]
    assert [step.stack for step in steps if isinstance(step, Deploy)] == [
        "network",
        "store",
        "streaming",
        "tallystream",
        "observability",
    ]


def test_outputs_become_parameters_under_the_names_of_who_takes_them() -> None:
    code = deploys_of(EXAMPLE)["tallystream"]
    sources = [source for source in code.parameters.values() if not isinstance(source, str)]
    values = {source: f"v{number}" for number, source in enumerate(sources)}
    words = command_of(code, values)

    assert f"BrokerSubnets={values[code.parameters['BrokerSubnets']]}" in words  # type: ignore[index]
    assert {"KafkaEventSource=msk", "KafkaSecurity=msk-iam", "TopicPartitions=32", "IngestConcurrency=500"} <= set(
        words
    )
    assert not [word for word in words if "<" in word]


def test_the_dry_run_prints_every_command_with_the_names_of_what_is_not_known_yet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["up", "example", "--plan"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["env", "sam", "sam", "sam", "sam", "aws", "sam"]
    assert "'BrokerSubnets=<network.PrivateSubnets>'" in lines[4]
    assert "'KafkaBootstrap=<streaming.BootstrapBrokers>'" in lines[4]


def test_change_sets_are_made_and_nothing_runs_behind_them() -> None:
    steps = plan_deploy(EXAMPLE, BUILD, is_executed=False)

    assert not [step for step in steps if isinstance(step, SetUp)]
    assert all("--no-execute-changeset" in command_of(step) for step in steps if isinstance(step, Deploy))


def test_destroying_leaves_what_keeps_data_and_begins_at_the_end() -> None:
    assert [step.stack for step in plan_destroy(EXAMPLE)] == ["observability", "tallystream"]
    assert [step.stack for step in plan_destroy(EXAMPLE, with_kept=True)][-3:] == ["streaming", "store", "network"]
    assert describe(Delete("cache", "tallystream-prod-cache", "eu-west-1")) == (
        "sam delete --stack-name tallystream-prod-cache --region eu-west-1 --no-prompts"
    )


def test_a_door_closes_the_gateway_and_needs_public_subnets(tmp_path: Path) -> None:
    stage = a_stage('region = "eu-west-1"\nstacks = ["door", "network", "tallystream"]\n', tmp_path)
    parameters = {stack: step.parameters for stack, step in deploys_of(stage).items()}

    assert parameters["tallystream"]["Door"] == parameters["network"]["Door"] == "alb"
    assert list(parameters) == ["network", "tallystream", "door"]


def test_days_of_the_archive_are_said_once(tmp_path: Path) -> None:
    stage = a_stage(
        'region = "r"\nstacks = ["store", "tallystream"]\n[tallystream]\nArchiveRetentionDays = 400\n', tmp_path
    )
    parameters = {stack: step.parameters for stack, step in deploys_of(stage).items()}

    assert parameters["store"]["ArchiveRetentionDays"] == parameters["tallystream"]["ArchiveRetentionDays"] == "400"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('stacks = ["network"]', "names no region"),
        ('region = "r"\nstacks = ["netwrok"]', "no stack netwrok"),
        ('region = "r"\nstacks = []\n[kafka]\nA = 1', "no stack kafka"),
        ("region = ", "prod.toml"),
        (f'region = "{"r" * 20}"\nstacks = []', "leaves 3 characters"),
    ],
)
def test_a_stage_that_cannot_be_read_says_what_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(StageUnusable, match=words):
        a_stage(text, tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "../x", "Prod", ""])
def test_a_stage_that_is_not_there_ends_the_command_with_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", name, "--plan"]) == 1

    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_emulator_gets_this_machines_python_and_any_login() -> None:
    embedded = read_stage(REPOSITORY, "embedded")
    local = DeploySettings.from_env({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"})

    assert local.environment["AWS_ACCESS_KEY_ID"] == "test"
    assert "PythonRuntime" in with_host_target(embedded, local).parameters["tallystream"]
    assert with_host_target(embedded, DeploySettings()) is embedded
    assert "AWS_ACCESS_KEY_ID" not in DeploySettings.from_env({}).environment
    assert target_of(EXAMPLE)["MACHINE"] == "aarch64"


def test_a_value_of_the_command_line_goes_before_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "example", "--plan", "--set", "streaming.Kind=provisioned"]) == 0
    assert "Kind=provisioned" in capsys.readouterr().out
    assert main(["up", "example", "--plan", "--set", "Kind=provisioned"]) == 1
    assert "stack.Parameter=value" in capsys.readouterr().err


def test_an_emulator_gets_the_layer_that_the_embedded_stack_has_built_already() -> None:
    assert command_of(Build({}, is_for_host=True)) == ["python", "-m", "scripts.build", "--host"]


def test_a_deploy_may_end_with_a_stack_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "example", "--plan", "--until", "streaming"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["sam"] * 3
    assert main(["up", "example", "--plan", "--until", "cache"]) == 1


def test_what_a_stage_no_longer_says_goes_back_to_its_default() -> None:
    declared: dict[str, dict[str, object]] = {"Door": {"Default": "api"}, "Days": {"Default": 0}, "Needed": {}}
    present = {"Door": "alb", "Days": "0", "Needed": "x", "Gone": "y"}

    assert defaults_to_restore(declared, present, {}) == {"Door": "api"}
    assert defaults_to_restore(declared, present, {"Door": "alb"}) == {}


def test_values_with_spaces_or_commas_stay_one_value() -> None:
    step = Deploy("x", "n", "r", "t", {"Schedule": "cron(20 0 * * ? *)", "List": "a,b", "Empty": ""})

    assert command_of(step)[-3:] == ['Empty=""', 'List="a,b"', 'Schedule="cron(20 0 * * ? *)"']


@pytest.mark.parametrize(
    ("streaming", "expected"),
    [
        ({}, (CONNECTIONS_PER_SERVERLESS_CLUSTER * 8 // 10 - OTHERS) // (SERVERLESS_BROKERS + 1)),
        ({"Kind": "provisioned"}, min(800, (CONNECTIONS_PER_BROKER * 8 // 10 - OTHERS) // 2)),
        ({"Kind": "provisioned", "BrokerType": "kafka.t3.small"}, 70),
    ],
)
def test_ingest_stays_below_the_brokers_quota_of_connections(streaming: dict[str, str], expected: int) -> None:
    assert derive_ingest_concurrency(streaming) == expected
