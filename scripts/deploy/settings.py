"""What the shell says to a deploy: whether AWS or an emulator of it is meant. The rest stands in the stage's file."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

# An emulator takes any login, but the clients refuse to start without one.
_EMULATOR_LOGIN = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class DeploySettings:
    """`endpoint_url`: "" for AWS. `environment`: what sam and the clients run with."""

    endpoint_url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> "DeploySettings":
        """Those of this shell, or of the given mapping."""
        endpoint_url = environment.get("AWS_ENDPOINT_URL", "")
        login = _EMULATOR_LOGIN if endpoint_url else {}
        return cls(endpoint_url, {"SAM_CLI_TELEMETRY": "0", **login, **environment})
