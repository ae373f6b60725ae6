"""The version of this package."""

from __future__ import annotations

import sys
from typing import Final

__version__: Final = "0.1.0"
USER_AGENT: Final = f"tallystream-python/{__version__} python/{sys.version_info.major}.{sys.version_info.minor}"
