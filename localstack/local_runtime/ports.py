"""Turns the ports a person asked for into ports that are free now.

Done before anything starts, so that a taken port is named with its setting and not by a part's own error.
"""

from __future__ import annotations

import dataclasses
import errno
import random
import socket

from local_runtime.settings import PORT_SETTINGS, LocalSettings

# Below the range that Linux and macOS hand to outgoing connections (32768 and 49152 on): a port from that
# range can be taken by any client in the seconds before its part listens on it.
FREE_PORTS = range(20000, 32000)
FREE_PORT_TRIES_MAX = 200  # the range is nearly empty on any machine; this many refusals mean something else


class PortTaken(RuntimeError):  # noqa: N818 - a name, not a grade
    """Another process listens where a part should; the message names port and setting, a line for each."""


def settle_ports(settings: LocalSettings) -> LocalSettings:
    """Return the settings with each 0 replaced by a free port.

    Raises:
        PortTaken: when a port that was asked for is in use; all of them are named.
    """
    wanted = {name: int(getattr(settings, name)) for name in PORT_SETTINGS}
    taken = [
        f"port {port} is taken: set {PORT_SETTINGS[name][0]} (0 takes any free port)"
        for name, port in wanted.items()
        if port and not is_free(port)
    ]
    if taken:
        raise PortTaken("\n".join(taken))
    used = set(wanted.values())
    for name, port in wanted.items():
        if not port:
            wanted[name] = _find_free_port(used)
            used.add(wanted[name])
    return dataclasses.replace(settings, **wanted)  # type: ignore[arg-type]  # every value is a port


def is_free(port: int) -> bool:
    """Tell whether a part could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the parts do; else a connection of the last run in TIME_WAIT would look like a taken port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
        return True


def _find_free_port(used: set[int]) -> int:
    for _ in range(FREE_PORT_TRIES_MAX):
        port = random.choice(FREE_PORTS)  # noqa: S311 - not a secret
        if port not in used and is_free(port):
            return port
    raise PortTaken(f"no free port found between {FREE_PORTS.start} and {FREE_PORTS.stop}")
