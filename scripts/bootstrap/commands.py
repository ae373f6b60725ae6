"""The commands of this checkout: what each needs set up and which program it then becomes.

Exit codes: the program's own; 1 setting up failed; 2 machine, folder or call refused; 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import advisories, cleaning, readiness, settings, steps
from .audit import Verdict
from .programs import SetupFailed, SetupRefused
from .steps import Step

EXIT_FAILED, EXIT_REFUSED, EXIT_NOT_RUNNING, EXIT_INTERRUPTED = 1, 2, 3, 130
SIGNALLED = 128  # what a shell adds to the number of the signal that ended a program
# Their values are paths; the programs run in the checkout, whatever folder the person stands in.
PATH_OPTIONS = ("--file", "--output")
# Half of what the tests take is waiting (for time limits that they prove, for processes that they start), so four at
# once keep two cores busy. Which test goes where stands in tests/scheduling.py. ARGS=-n0 runs them one after the other.
IN_PARALLEL = ("-n", "4", "--dist", "loadscope", "--no-loadscope-reorder")
# The long forms compute more than they wait, so two at once keep two cores busy.
LONG_IN_PARALLEL = ("-n", "2", *IN_PARALLEL[2:], "-m", "long", "--durations", "0", "--durations-min", "5")
SDK_MYPY = ("mypy", "--config-file", "sdk/python/pyproject.toml", "sdk/python/src/tallystream")
# What bandit is less sure of, ruff's rules of the same origin have each line give a reason for.
BANDIT = (
    "bandit", "--quiet", "--severity-level", "medium", "--confidence-level", "medium",
    "--recursive", "functions", "layers/event_analytics/python", "localstack/local_runtime", "scripts",
    "sdk/python/src",
)  # fmt: skip
LINTERS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",), SDK_MYPY, BANDIT)


@dataclass(frozen=True)
class Command:
    """One command. `run` gets the checkout's folder and the words after the command's name."""

    name: str
    summary: str
    needs: tuple[Step, ...]
    run: Callable[[Path, Sequence[str]], int]


def main(words: Sequence[str], root: Path = settings.ROOT) -> int:
    """Run the command that the words name and return its exit code; without words, list the commands."""
    command = next((command for command in COMMANDS if words and command.name == words[0]), None)
    if command is None:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `make | head` ends quietly
        print(describe_commands(), file=sys.stderr if words else sys.stdout)
        return EXIT_REFUSED if words else 0
    signal.signal(signal.SIGTERM, _interrupt)  # as Ctrl-C: pip must not outlive this run
    try:
        readiness.ensure(root, command.needs)
        return command.run(root, make_paths_absolute(words[1:], Path.cwd()))
    except SetupRefused as refusal:
        print(f"make {command.name}: {refusal}", file=sys.stderr)
        return EXIT_REFUSED
    except SetupFailed as failure:
        print(f"\nmake {command.name}: {failure}", file=sys.stderr)
        return EXIT_FAILED
    except PermissionError as error:
        print(
            f"make {command.name}: {error.filename} belongs to another user: {error.strerror}",
            file=sys.stderr,
        )
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED


def describe_commands() -> str:
    """Return the list that `make` alone prints."""
    lines = [f"  make {command.name:<10} {command.summary}" for command in COMMANDS]
    return "\n".join(
        [
            *lines,
            "",
            "Each first sets up what it needs. PYTHON=python3.12 selects the interpreter. Without make:",
            "  python3 scripts/dev.py demo [--events all] [--file PATH]",
        ]
    )


def make_paths_absolute(words: Sequence[str], folder: Path) -> list[str]:
    """Return the words with each value of PATH_OPTIONS and each file that is there as seen from `folder`."""
    result: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        if equals and option in PATH_OPTIONS:
            result.append(f"{option}={folder / value}")
        elif (result and result[-1] in PATH_OPTIONS) or (folder / word).is_file():
            result.append(str(folder / word))
        else:
            result.append(word)
    return result


def _become(*module: str) -> Callable[[Path, Sequence[str]], int]:
    """Return a command that turns into the module: its signals and its exit code are then its own."""

    def run(root: Path, words: Sequence[str]) -> NoReturn:
        python = str(steps.python_of(root, steps.PROJECT_VENV))
        os.chdir(root)
        sys.stdout.flush()
        sys.stderr.flush()
        arguments = [python, "-m", *module, *words]
        os.execve(python, arguments, settings.environment_for_programs())  # noqa: S606 - no shell is the point

    return run


def _become_program(venv: str, program: str) -> Callable[[Path, Sequence[str]], int]:
    """As `_become`, for a script or folder that runs in an environment of its own."""

    def run(root: Path, words: Sequence[str]) -> NoReturn:
        python = str(steps.python_of(root, venv))
        os.chdir(root)
        sys.stdout.flush()
        arguments = [python, program, *words]
        os.execve(python, arguments, settings.environment_for_programs())  # noqa: S606 - as above

    return run


def _become_if_set_up(*module: str) -> Callable[[Path, Sequence[str]], int]:
    """As `_become`, for commands that must not install anything: where nothing is set up, nothing runs."""

    def run(root: Path, words: Sequence[str]) -> int:
        if steps.python_of(root, steps.PROJECT_VENV).exists():
            return _become(*module)(root, words)
        print("not running: nothing is set up here yet")
        return 0 if "down" in module else EXIT_NOT_RUNNING

    return run


def _lint(root: Path, _: Sequence[str]) -> int:
    with advisories.asking(root) as calls:
        failed = [" ".join(linter) for linter in LINTERS if _run_module(root, linter)]
        if _tell(advisories.answer_of(calls, is_strict=False)):
            failed.append("audit")
    print(f"lint: {', '.join(failed)} failed" if failed else "lint: clean", flush=True)
    return EXIT_FAILED if failed else 0


def _audit(root: Path, words: Sequence[str]) -> int:
    """What cannot be asked is a failure that says so, never a pass."""
    with advisories.asking(root, words) as calls:
        return _tell(advisories.answer_of(calls, is_strict=True))


def _tell(verdict: Verdict) -> int:
    print("\n".join(verdict.lines), flush=True)
    return EXIT_FAILED if verdict.is_failure else 0


def _test(root: Path, words: Sequence[str]) -> int:
    """Run everything even when a linter complains; either failing fails the command."""
    lint_code = _lint(root, ())
    return _run_module(root, ("pytest", *IN_PARALLEL, *words)) or lint_code


def _run_module(root: Path, module: Sequence[str]) -> int:
    """Run a program to its end. Ctrl-C reaches it from the terminal; SIGTERM is passed on."""
    command = [str(steps.python_of(root, steps.PROJECT_VENV)), "-m", *module]
    process = subprocess.Popen(command, cwd=root, env=settings.environment_for_programs())
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.signal(signal.SIGTERM, _interrupt)
    return SIGNALLED + abs(code) if code < 0 else code


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _say_set_up(_root: Path, _words: Sequence[str]) -> int:
    print("Everything is set up; the other commands need no network now.")
    return 0


COMMANDS = (
    Command(
        "demo",
        "from nothing to answers on real conversations (EVENTS=all, FILE=path)",
        steps.DEMO_STEPS,
        _become("scripts.demo"),
    ),
    Command("up", "start the stack and serve until Ctrl-C", steps.DEMO_STEPS, _become("local_runtime", "up")),
    Command("status", "health of each part of the running stack", (), _become_if_set_up("local_runtime", "status")),
    Command("down", "stop the running stack", (), _become_if_set_up("local_runtime", "down")),
    Command("test", "lint, then all tests (ARGS='tests/unit -k name')", steps.ALL_STEPS, _test),
    Command(
        "test-long", "the long forms of the tests: half an hour", steps.ALL_STEPS, _become("pytest", *LONG_IN_PARALLEL)
    ),
    Command("chaos", "kill parts while events come in, check (SEEDS=10)", steps.DEMO_STEPS, _become("scripts.chaos")),
    Command(
        "bench",
        "the whole path, stages, rivals (ARGS='--only sustained')",
        (*steps.DEMO_STEPS, steps.BENCH),
        _become("scripts.bench"),
    ),
    Command(
        "bench-query",
        "every question over many events, made up once (ROWS=100000000)",
        (steps.RUNTIME,),
        _become("scripts.bench_query"),
    ),
    Command(
        "bench-sdk",
        "the SDK beside two others on one local sink (ARGS='--rounds 1')",
        (steps.RUNTIME, steps.BENCH_SDK),
        _become_program(steps.BENCH_SDK_VENV, "sdk/python/bench"),
    ),
    Command("rebuild", "fill an empty ClickHouse from the archive", (steps.RUNTIME,), _become("scripts.rebuild")),
    Command("lint", "ruff, mypy, bandit, audit", (steps.RUNTIME, steps.TESTS, steps.AUDIT), _lint),
    Command(
        "audit", "known vulnerabilities of every pin; fails where nobody knows", (steps.RUNTIME, steps.AUDIT), _audit
    ),
    Command("build", "the layers and functions for AWS (ARGS=--help)", (steps.RUNTIME,), _become("scripts.build")),
    Command(
        "deploy",
        "a stage's stacks (STAGE=name, ARGS=--plan)",
        (steps.RUNTIME, steps.AWS_TOOLS),
        _become("scripts.deploy", "up"),
    ),
    Command(
        "destroy",
        "all of them that keep nothing (STAGE=name, ARGS=--plan)",
        (steps.RUNTIME, steps.AWS_TOOLS),
        _become("scripts.deploy", "down"),
    ),
    Command(
        "invoke",
        "one function on the running stack (FUNCTION=load EVENT=path)",
        steps.DEMO_STEPS,
        _become("scripts.invoke"),
    ),
    Command("setup", "only set up, everything at once", steps.ALL_STEPS, _say_set_up),
    Command("clean", "remove what was set up and built; ALL=1 also the stack's events", (), cleaning.clean),
)
