"""The README's calls work as they stand, on the running stack."""

import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
BLOCK = re.search(r"<!-- curl: begin -->\n```console\n(.*?)```\n<!-- curl: end -->", README, re.DOTALL)
CALLS = re.split(r"\n(?=curl )", BLOCK[1].strip()) if BLOCK else []


def test_the_readme_shows_how_to_write_and_how_to_read() -> None:
    assert any('"$API_URL/events"' in call for call in CALLS)
    assert any("/reports/top-users" in call for call in CALLS)


@pytest.mark.parametrize("call", CALLS, ids=[re.search(r"\$API_URL(\S+?)[\"?]", call)[1] for call in CALLS])
def test_each_call_of_the_readme_answers(stack: Any, call: str) -> None:
    connection = stack.connection
    keys = {"API_URL": connection.api_url, "WRITE_KEY": connection.write_key, "READ_KEY": connection.read_key}
    deadline = time.monotonic() + 20

    def run() -> subprocess.CompletedProcess[str]:
        command = call.strip().replace("curl ", "curl -sS --fail-with-body --max-time 20 ", 1)
        return subprocess.run(
            ["bash", "-c", command], env={**os.environ, **keys}, capture_output=True, text=True, check=False
        )

    done = run()
    while '"events":[]' in done.stdout and time.monotonic() < deadline:
        done = run()  # what the first call sent is on its way
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"events":[]' not in done.stdout
