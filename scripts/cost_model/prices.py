"""List prices as data: amounts in USD, each with its unit in its name, its source and its date."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parent / "prices.json"
_MILLION: Final = 1_000_000


@dataclass(frozen=True)
class Prices:
    """The document of `prices.json`. `published`: what another platform says it costs."""

    entries: Mapping[str, Any]
    published: Mapping[str, Any]

    def of(self, name: str) -> float:
        """The price of one unit."""
        return float(self.entries[name]["price"])

    def of_millions(self, name: str, count: float) -> float:
        """What so many cost, by steps: each price holds for so many millions, the last for all others."""
        left, cost = count / _MILLION, 0.0
        for millions, price in self.entries[name]["per_million"]:
            taken = left if millions is None else min(left, millions)
            cost += taken * price
            left -= taken
        return cost


def read_prices(path: Path = FILE) -> Prices:
    """The prices of this checkout."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Prices(document["prices"], document["published"])
