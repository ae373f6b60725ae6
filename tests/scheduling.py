"""Which tests go to one process where several run them: those that share an embedded stack, else those of a file.

So what a module shares is made once, and the tests of a stack meet each other in the same order as in one process.
"""

import os
from pathlib import PurePosixPath

from xdist.scheduler import LoadScopeScheduling

# Two stacks, as one would be what all others wait for. Whole folders, or single files; the first to name a test has it.
STACKS = {
    "a stack for what is around it": (
        "tests/browser",
        "tests/deploy",
        "tests/integration/dead_letters",
        "tests/integration/deploy",
        "tests/integration/integrity",
        "tests/integration/kafka_trigger/test_conformance_lambda.py",
        "tests/integration/local_runtime/test_embedded_stack.py",
        "tests/integration/replay",
        "tests/e2e/test_replay.py",
    ),
    "a stack for the API": ("tests/contract", "tests/e2e"),
}
# These start one of their own, whatever folder they are in.
LONE_FILES = ("tests/e2e/test_kafka_down.py",)


class StackScheduling(LoadScopeScheduling):
    """Hands out whole groups, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    """Return the name of the group to which a test belongs."""
    file = nodeid.partition("::")[0]
    places = {file, *map(str, PurePosixPath(file).parents)} if file not in LONE_FILES else set()
    return next((name for name, paths in STACKS.items() if places.intersection(paths)), file)


def check_may_start_stack() -> None:
    """Fail, with what to do, where a test starts the shared stack beside those that are started for it already."""
    nodeid = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]
    is_parallel = "PYTEST_XDIST_WORKER" in os.environ
    assert not is_parallel or group_of(nodeid) in STACKS, f"{nodeid} uses `stack`: name its folder in {__file__}"
