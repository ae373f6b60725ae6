"""The other end of `scripts.bench.subjects`: one job per line of the standard input, one answer per line."""

import json
import sys
from collections.abc import Callable
from typing import Any


def serve(run: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Answer jobs until no more come; returns the exit code. Whatever else prints goes to the standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), file=answers, flush=True)
    return 0
