"""Every way in which a command of `scripts/` gives up, by name. A person reads one line, never a traceback.

    ScriptFailed
    ├── NotRunning          no connection file, or nothing answers behind it
    ├── DatasetMissing      the package with the sample conversations is not installed
    ├── FileUnreadable      the file of events cannot be opened or is neither NDJSON nor CSV
    ├── KeyRefused          the API does not accept the key: sending on is pointless
    ├── EndpointWrong       something answers there, and it is not our API
    └── GaveUp              the API did not answer, or did not get on, within the time allowed

Each becomes one line on the standard error and an exit code.
"""

from typing import ClassVar


class ScriptFailed(Exception):  # noqa: N818 - named for what a person reads
    """Root of the failures above. `exit_code` is what the command leaves with."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        """The message under its name, so that a log can be searched for it."""
        return f"{type(self).__name__}: {super().__str__()}"


class NotRunning(ScriptFailed):
    """There is no stack to talk to."""


class DatasetMissing(ScriptFailed):
    """The sample conversations are not installed."""


class FileUnreadable(ScriptFailed):
    """A file of events cannot be read."""


class KeyRefused(ScriptFailed):
    """The API answered 401 or 403."""


class EndpointWrong(ScriptFailed):
    """The address answers, but not as our API does."""


class GaveUp(ScriptFailed):
    """Time is up; what was acknowledged before stays acknowledged, and a second run adds nothing twice."""
