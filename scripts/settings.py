"""What the shell says to an operator's commands and no option may: a command line stands in `ps` for everybody."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class OperatorSettings:
    """`clickhouse_password`: of the user that the options name; the variable is clickhouse-client's own."""

    clickhouse_password: str = field(default="", repr=False)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> "OperatorSettings":
        """Those of this shell, or of the given mapping."""
        return cls(environment.get("CLICKHOUSE_PASSWORD", ""))
