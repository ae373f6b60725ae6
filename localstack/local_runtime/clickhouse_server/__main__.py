"""`python -m local_runtime.clickhouse_server --path DIR --port N`: one ready line, then serves until SIGTERM.

Decides the life of the process: one owner per directory, a port that is free, a quick and clean end.
Everything that keeps it from starting is one line on stderr and exit code 1.
"""

import argparse
import errno
import fcntl
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from local_runtime.clickhouse_server.credentials import Account
from local_runtime.clickhouse_server.exceptions import ClickHouseError

if TYPE_CHECKING:
    from local_runtime.clickhouse_server.engine import Engine
    from local_runtime.clickhouse_server.http_server import Server

LOCK_NAME: Final = "server.lock"
STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
STOP_POLL_S: Final = 0.1  # between a signal and the last connection taken
CLOSE_TIMEOUT_S: Final = 5.0  # then the process ends anyway: what was acknowledged is on disk


class CannotStart(Exception):  # noqa: N818 - a name, not a grade
    """Why the server does not start, in one line."""


def main(arguments: list[str] | None = None) -> int:
    """Serves until SIGTERM or Ctrl-C and returns the exit code."""
    options = _parse(arguments)
    try:
        return _serve(options)
    except CannotStart as error:
        print(f"clickhouse: {error}", file=sys.stderr, flush=True)
        return 1


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local_runtime.clickhouse_server", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="directory of the tables")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--user", help="the only user; without it no credentials are checked")
    parser.add_argument("--password-file", type=Path, help="file with the password of --user")
    parser.add_argument("--max-memory-bytes", type=int, help="most memory the engine may take")
    options = parser.parse_args(arguments)
    if (options.user is None) != (options.password_file is None):
        parser.error("--user and --password-file go together")
    return options


def _serve(options: argparse.Namespace) -> int:
    # Before any thread is started, so in all of them. Handled where it happens to arrive, a signal would not wake this
    # one: the kernel hands it to a thread of the engine now and then.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    account = _read_account(options)
    # The engine loads 400 MB of library: only once the cheap reasons not to start are ruled out.
    with _own_directory(options.path):
        from local_runtime.clickhouse_server.engine import DEFAULT_MAX_MEMORY_BYTES, Engine
        from local_runtime.clickhouse_server.http_server import Server
        from local_runtime.clickhouse_server.service import Service

        with _listening(Server, options.port) as server:
            try:
                engine = Engine(str(options.path.resolve()), options.max_memory_bytes or DEFAULT_MAX_MEMORY_BYTES)
            except ClickHouseError as error:
                raise CannotStart(f"the engine cannot open {options.path}: {_first_line(error.text)}") from None
            server.service = Service(engine, account)
            threading.Thread(target=server.serve_forever, args=(STOP_POLL_S,), name="accept", daemon=True).start()
            print(f"ClickHouse {engine.version} (chDB) ready on http://127.0.0.1:{server.port}", flush=True)
            signal.sigwait(STOP_SIGNALS)
            server.shutdown()
        _close_in_time(engine)
    return 0


def _read_account(options: argparse.Namespace) -> Account | None:
    if options.user is None:
        return None
    try:
        password = options.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"cannot read the password file {options.password_file}: {_first_line(str(error))}") from None
    if not password:
        raise CannotStart(f"the password file {options.password_file} is empty")
    return Account(options.user, password)


def _own_directory(path: Path) -> IO[str]:
    """The directory's lock, held while the file is open; the kernel frees it even after kill -9."""
    if "?" in str(path):
        raise CannotStart(f"the engine cannot use a path with a question mark: {path}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / LOCK_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise CannotStart(f"cannot write to {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read(20).strip() or "unknown"
        lock.close()
        raise CannotStart(f"{path} is already open in another ClickHouse server (process {owner})") from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _listening(server_class: type, port: int) -> "Server":
    try:
        server: Server = server_class(port)
    except (OSError, OverflowError) as error:
        is_taken = isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES)
        reason = "is in use" if is_taken else f"cannot be used ({error})"
        raise CannotStart(f"port {port} {reason}: set TALLYSTREAM_CLICKHOUSE_PORT to a free port") from None
    return server


def _close_in_time(engine: "Engine") -> None:
    closing = threading.Thread(target=engine.close, name="close", daemon=True)
    closing.start()
    closing.join(CLOSE_TIMEOUT_S)


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "unknown reason"


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads may still wait inside the engine; everything worth closing is closed
