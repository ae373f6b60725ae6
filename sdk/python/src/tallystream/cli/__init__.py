"""The command `tallystream`. Its libraries are an extra: `pip install 'tallystream[cli]'`."""

from __future__ import annotations

import sys

EXIT_USAGE = 2


def main() -> int:
    """The exit code (see `exits`)."""
    try:
        import click  # noqa: F401, PLC0415 - only to see whether the extra is there
        import rich  # noqa: F401, PLC0415
    except ImportError:
        sys.stderr.write("the command needs its extra: pip install 'tallystream[cli]'\n")
        return EXIT_USAGE
    from tallystream.cli.app import run  # noqa: PLC0415 - after the look above

    return run(sys.argv[1:])
