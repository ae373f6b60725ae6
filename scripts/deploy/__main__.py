"""`make deploy STAGE=prod`: every stack of a stage, in order; `make destroy STAGE=prod`: all but those that keep data.

    python -m scripts.deploy up prod --plan          the commands, and nothing done
    python -m scripts.deploy up prod --change-sets   change sets that nobody executes
    python -m scripts.deploy up prod                 build, deploy, set up
    python -m scripts.deploy down prod [--everything]

The stage is `infrastructure/stages/prod.toml`. With AWS_ENDPOINT_URL set an emulator is meant.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import boto3

from local_runtime.build import LayerTarget
from local_runtime.sam_template import read_template
from local_runtime.settings import REPOSITORY
from scripts.bootstrap.steps import AWS_TOOLS_VENV
from scripts.deploy.plan import CODE, Build, Step, describe, plan_deploy, plan_destroy
from scripts.deploy.running import Runner
from scripts.deploy.settings import DeploySettings
from scripts.deploy.stages import Stage, StageUnusable, read_stage
from scripts.failures import ScriptFailed

UP, DOWN = "up", "down"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    given = _parse(arguments)
    settings = DeploySettings.from_env()
    try:
        stage = with_values(read_stage(REPOSITORY, given.stage), given.set)
        stage = with_host_target(until(stage, given.until), settings)
        steps = plan(stage, given, is_emulator=bool(settings.endpoint_url))
        if given.plan:
            print("\n".join(describe(step) for step in steps))
            return 0
        carry_out(stage, steps, settings)
    except ScriptFailed as failure:
        print(failure, file=sys.stderr)
        return failure.exit_code
    return 0


def plan(stage: Stage, given: argparse.Namespace, *, is_emulator: bool) -> Sequence[Step]:
    """The steps that the command line asks for."""
    if given.direction == DOWN:
        return plan_destroy(stage, with_kept=given.everything)
    build = Build(target_of(stage), is_for_host=is_emulator)
    return plan_deploy(stage, build, built=given.built, is_executed=not given.change_sets)


def carry_out(stage: Stage, steps: Sequence[Step], settings: DeploySettings) -> None:
    """Do the steps in order, each told before it begins.

    Raises:
        DeployStopped: at the first that fails.
    """
    session = boto3.Session(
        aws_access_key_id=settings.environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=settings.environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=settings.environment.get("AWS_SESSION_TOKEN"),
        region_name=stage.region,
    )
    runner = Runner(stage, session, find_sam(), REPOSITORY, settings.environment)
    for number, step in enumerate(steps, 1):
        print(f"[{number}/{len(steps)}] {describe(step)}", flush=True)
        told = runner.run(step)
        if told:
            print(told, flush=True)


def find_sam() -> Path:
    """The SAM CLI that `make` has set up, else the one on the PATH."""
    own = REPOSITORY / AWS_TOOLS_VENV / "bin" / "sam"
    return own if own.exists() else Path("sam")


def with_values(stage: Stage, pairs: Sequence[str]) -> Stage:
    """The stage with `stack.Parameter=value` in place of what its file says.

    Raises:
        StageUnusable: a pair is none.
    """
    parameters = {stack: dict(values) for stack, values in stage.parameters.items()}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        stack, dot, parameter = name.partition(".")
        if not (sign and dot and parameter and stack in parameters):
            raise StageUnusable(f"--set {pair}: give it as stack.Parameter=value")
        parameters[stack][parameter] = value
    return replace(stage, parameters=parameters)


def until(stage: Stage, last: str) -> Stage:
    """The stage as far as a stack, which is the last; all of it where none is named."""
    if last and last not in stage.stacks:
        raise StageUnusable(f"--until {last}: the stage has {', '.join(stage.stacks)}")
    number = stage.stacks.index(last) + 1 if last else len(stage.stacks)
    return replace(stage, stacks=stage.stacks[:number])


def with_host_target(stage: Stage, settings: DeploySettings) -> Stage:
    """The stage, for an emulator with this machine's Python: it runs the functions with no other."""
    if not settings.endpoint_url:
        return stage
    host = LayerTarget.for_this_host()
    code = {"PythonRuntime": host.runtime, "Architecture": host.architecture, **stage.parameters[CODE]}
    return replace(stage, parameters={**stage.parameters, CODE: code})


def target_of(stage: Stage) -> Mapping[str, str]:
    """Variables of the layers' Makefiles: for which Python and which machine wheels are fetched, and by whose pip."""
    defaults = read_template(REPOSITORY / "template.yaml")["Parameters"]
    values = {name: each["Default"] for name, each in defaults.items()} | dict(stage.parameters[CODE])
    target = LayerTarget.for_lambda(values["PythonRuntime"], values["Architecture"])
    return {"PYTHON": sys.executable, "PYTHON_VERSION": target.python_version, "MACHINE": target.machine}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    directions = parser.add_subparsers(dest="direction", required=True)
    up = directions.add_parser(UP, help="deploy")
    up.add_argument("--change-sets", action="store_true", help="make change sets and execute none")
    up.add_argument("--built", default="", metavar="TEMPLATE", help="a template that was built before, by `make build`")
    down = directions.add_parser(DOWN, help="destroy")
    down.add_argument("--everything", action="store_true", help="also network, store and streaming")
    for direction in (up, down):
        direction.add_argument("stage", help="name of a file of infrastructure/stages")
        direction.add_argument("--until", default="", metavar="STACK", help="only the stacks up to this one")
        direction.add_argument("--plan", action="store_true", help="print the commands, do nothing")
        direction.add_argument(
            "--set", action="append", default=[], metavar="STACK.NAME=VALUE", help="a parameter, instead of the file's"
        )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
