"""A stage -> the steps that deploy or destroy it, each with the command that a person could type instead."""

import shlex
from collections.abc import Mapping
from typing import Final, NamedTuple

from scripts.deploy.concurrency import derive_ingest_concurrency
from scripts.deploy.stacks import BUILT_TEMPLATE, STACKS, Brokers, Source
from scripts.deploy.stages import Stage

SAM: Final = "sam"
CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")
CODE: Final = "tallystream"  # the stack of template.yaml
SETUP_OUTPUT: Final = "SetupFunctionName"
SETUP_SECONDS_MAX: Final = 630  # the function's Timeout of 600, and a cold start before it
Value = str | Source


class Build(NamedTuple):
    """Functions and layers, laid out for the upload. `target`: variables of the layers' Makefiles.

    `is_for_host`: for this machine's Python, with which an emulator runs them.
    """

    target: Mapping[str, str]
    is_for_host: bool = False


class Deploy(NamedTuple):
    """One stack made or changed. `parameters`: those whose value another stack has are still its name."""

    stack: str
    stack_name: str
    region: str
    template: str
    parameters: Mapping[str, Value]
    is_executed: bool = True


class SetUp(NamedTuple):
    """Topics, tables and retention, by the function that stands beside the brokers."""

    stack_name: str
    region: str


class Delete(NamedTuple):
    """One stack gone, except what its template retains."""

    stack: str
    stack_name: str
    region: str


Step = Build | Deploy | SetUp | Delete


def plan_deploy(stage: Stage, build: Build, *, built: str = "", is_executed: bool = True) -> list[Step]:
    """All steps in order. `built`: template that was built before. `is_executed`: False makes change sets alone."""
    steps: list[Step] = []
    if CODE in stage.stacks and not built:
        steps.append(build)
    for stack in stage.stacks:
        template = STACKS[stack].template
        if template == BUILT_TEMPLATE and built:
            template = built
        name = stage.stack_name(stack)
        steps.append(Deploy(stack, name, stage.region, template, parameters_of(stage, stack), is_executed))
        if stack == CODE and is_executed:
            steps.append(SetUp(name, stage.region))
    return steps


def plan_destroy(stage: Stage, *, with_kept: bool = False) -> list[Delete]:
    """The stacks in the order in which they can go; those that keep something stay unless told otherwise."""
    return [
        Delete(stack, stage.stack_name(stack), stage.region)
        for stack in reversed(stage.stacks)
        if with_kept or not STACKS[stack].is_kept
    ]


def parameters_of(stage: Stage, stack: str) -> dict[str, Value]:
    """What a stack gets: from the stacks before it, then what goes with them, then what the stage's file says."""
    kind = STACKS[stack]
    taken: dict[str, Value] = {name: source for name, source in kind.takes.items() if source.stack in stage.stacks}
    given = {
        name: value for other, pairs in kind.given.items() if other in stage.stacks for name, value in pairs.items()
    }
    shared = {name: stage.parameters[CODE][name] for name in kind.shares if name in stage.parameters[CODE]}
    if stack == CODE and "streaming" in stage.stacks:
        given["IngestConcurrency"] = str(derive_ingest_concurrency(stage.parameters["streaming"]))
    if stack == "network" and "door" in stage.stacks:
        given["Door"] = "alb"
    if stack == "observability":
        given["StackName"] = stage.stack_name(CODE)
    return taken | given | shared | dict(stage.parameters[stack])


def defaults_to_restore(
    declared: Mapping[str, Mapping[str, object]], present: Mapping[str, str], given: Mapping[str, Value]
) -> dict[str, str]:
    """Parameters that an earlier deploy set and this one does not name, with the defaults that they get back.

    Sam would keep what the stack has, so that a line taken out of a stage's file, or a stack out of its list, would
    hold for ever. `declared`: the template's; `present`: the stack's values.
    """
    defaults = {name: str(each["Default"]) for name, each in declared.items() if "Default" in each}
    return {
        name: defaults[name]
        for name, value in present.items()
        if name in defaults and name not in given and value != defaults[name]
    }


def command_of(step: Step, values: Mapping[Source, str] | None = None) -> list[str]:
    """The step as words of a command line. Without `values` what is not known yet stands as `<stack.Output>`."""
    match step:
        case Build(_, True):
            return ["python", "-m", "scripts.build", "--host"]
        case Build(target):
            return ["env", *(f"{name}={value}" for name, value in target.items()), SAM, "build"]
        case Delete(_, stack_name, region):
            return [SAM, "delete", "--stack-name", stack_name, "--region", region, "--no-prompts"]
        case SetUp(stack_name, region):
            name = f"<{stack_name}.{SETUP_OUTPUT}>"
            wait = ["--cli-read-timeout", str(SETUP_SECONDS_MAX)]
            return ["aws", "lambda", "invoke", "--function-name", name, "--region", region, *wait, "/dev/stdout"]
        case Deploy():
            return _deploy_command(step, values or {})


def describe(step: Step) -> str:
    """The command as one line that a shell takes."""
    return shlex.join(command_of(step))


def _deploy_command(step: Deploy, values: Mapping[Source, str]) -> list[str]:
    command = [SAM, "deploy", "--template-file", step.template, "--stack-name", step.stack_name]
    command += ["--region", step.region, "--capabilities", *CAPABILITIES]
    command += ["--resolve-s3", "--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    if not step.is_executed:
        command.append("--no-execute-changeset")
    if step.parameters:
        pairs = [f"{name}={_quote(_text_of(value, values))}" for name, value in sorted(step.parameters.items())]
        command += ["--parameter-overrides", *pairs]
    return command


def _text_of(value: Value, values: Mapping[Source, str]) -> str:
    if isinstance(value, str):
        return value
    name = "BootstrapBrokers" if isinstance(value, Brokers) else value.name
    return values.get(value, f"<{value.stack}.{name}>")


def _quote(value: str) -> str:
    """As sam reads a value with spaces, or none: in quotes of its own."""
    return value if value and not set(value) & set(" ,;") else f'"{value}"'
