"""The commands `python -m local_runtime up | status | down`: what they print, and their exit codes.

up      0 stopped in order, or it runs already; 1 a part failed or a port is taken; 130 interrupted
status  0 every part serves; 1 one does not, or the stack starts or stops; 3 no stack runs here
down    0 no stack runs here any more; 1 it is still there
all     2 wrong usage or settings
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from local_runtime import interrupts, stack_file
from local_runtime.connection import Connection
from local_runtime.lag import describe_mappings
from local_runtime.parts import is_healthy
from local_runtime.ports import PortTaken
from local_runtime.settings import InvalidSettings, LocalSettings
from local_runtime.stack import AlreadyRunning, Blueprint, Stack, StackFailed, started
from local_runtime.stack_file import StackFile

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOT_RUNNING, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

CHECK_SECONDS = 0.2  # how soon a part that died is noticed
DOWN_SECONDS_MAX = 90.0  # the drain (20 s) and two rounds of parts that ignore SIGTERM (10 s each), with room


def up(settings: LocalSettings, blueprint: Blueprint) -> int:
    """Start the stack and serve until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    try:
        with interrupts.as_keyboard_interrupt(), started(settings, blueprint, _say) as stack:
            _serve(stack, time.monotonic() - began)
    except AlreadyRunning as error:
        return _print_running(settings, error)
    except (StackFailed, PortTaken) as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("interrupted: everything is stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    _say("stopped")
    return EXIT_OK


def status(settings: LocalSettings) -> int:
    """Print a line per part, and the lag and the counts of each mapping."""
    running = StackFile.read(settings.state_dir)
    if running is None:
        print("not running")
        return EXIT_NOT_RUNNING
    is_all_healthy = running.state == stack_file.RUNNING
    print(f"{'part':<12}{'state':<10}{'pid':>8}{'port':>7}  health")
    for part in running.parts:
        is_serving = is_healthy(part.health)
        is_all_healthy = is_all_healthy and is_serving and part.is_alive()
        state, health = "running" if part.is_alive() else "gone", "ok" if is_serving else "no answer"
        print(f"{part.name:<12}{state:<10}{part.pid:>8}{part.port:>7}  {health}")
    connection = Connection.read(settings.state_dir)
    for line in describe_mappings(connection.trigger_status_url) if connection else ():
        print(line)
    print(f"{running.state}, process {running.pid}" + (f", {connection.api_url}" if connection else ""))
    return EXIT_OK if is_all_healthy else EXIT_FAILED


def down(settings: LocalSettings) -> int:
    """Stop the stack of this state directory, whoever started it, and wait until it is gone."""
    running = StackFile.read(settings.state_dir)
    if running:
        print(f"stopping process {running.pid}")
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS_MAX
    while (lock := stack_file.try_lock(settings.state_dir)) is None:
        if time.monotonic() > deadline:
            print(f"still there after {DOWN_SECONDS_MAX:.0f} s: {running}", file=sys.stderr)
            return EXIT_FAILED
        time.sleep(CHECK_SECONDS)
    os.close(lock)
    print("stopped" if running else "not running")
    return EXIT_OK


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    commands: dict[str, Callable[[LocalSettings], int]] = {"up": _up_tallystream, "status": status, "down": down}
    parser = argparse.ArgumentParser(prog="python -m local_runtime", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("command", choices=commands)
    command = commands[parser.parse_args(arguments).command]
    try:
        return command(LocalSettings.from_env())
    except InvalidSettings as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE


def _up_tallystream(settings: LocalSettings) -> int:
    from local_runtime.assembly import Tallystream  # boto3 takes half a second, which the other commands need not

    return up(settings, Tallystream())


def _serve(stack: Stack, start_seconds: float) -> None:
    try:
        _say(f"up in {start_seconds:.1f} s")
        _print_connection(stack.connection)
        _say("serving until Ctrl-C")
        while True:
            stack.check()
            time.sleep(CHECK_SECONDS)
    except KeyboardInterrupt:
        _say("stopping in order; Ctrl-C again skips the wait for what is still on its way")


def _print_connection(connection: Connection) -> None:
    for name, value in vars(connection).items():
        _say(f"  {name:<20}{value}")
    _say(f"  {'dashboard':<20}{connection.api_url}/  (open it, enter the read_key)")


def _print_running(settings: LocalSettings, error: AlreadyRunning) -> int:
    print(error)
    if error.running is None:
        return EXIT_FAILED
    print(f"it is {error.running.state}; `status` tells more, `down` stops it")
    if connection := Connection.read(settings.state_dir):
        _print_connection(connection)
    return EXIT_OK


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
