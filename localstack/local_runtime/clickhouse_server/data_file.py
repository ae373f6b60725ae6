"""Gives the engine the bytes of an INSERT as a file that exists only in memory.

Of chDB's three ways to take data only `FROM INFILE` is right. `send_insert` reports success for inserts that it lost:
an error after parsing (a constraint, a DEFAULT that throws, too many partitions) is swallowed and the rows counted as
written. Data inside the SQL text is cut where it is binary. The file is also the fastest of the three.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """A path of this process under which the engine can read `data`, until the block ends."""
    if not hasattr(os, "memfd_create"):  # macOS
        with tempfile.NamedTemporaryFile(prefix="insert-") as file:
            file.write(data)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("insert")
    with os.fdopen(descriptor, "wb") as memory:
        memory.write(data)
        memory.flush()
        yield f"/proc/self/fd/{descriptor}"
