"""The version that `/health` and the API's description tell."""

from typing import Final

VERSION: Final = "0.1.0"  # held to pyproject.toml by a test
