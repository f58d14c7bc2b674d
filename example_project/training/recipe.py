"""What shapes the trained model, apart from the device it was trained on."""

import math
from dataclasses import dataclass

import catalogue


@dataclass(frozen=True, slots=True)
class Recipe:
    """The knobs; the load follows from `facts` and the size of the layers."""

    facts: int = catalogue.FACTS
    exposures: float = 1_000
    """How often a part that is no bestseller is asked for by itself."""
    demand: int = catalogue.DEMAND
    width: int = 128
    layers: int = 3
    heads: int = 4
    feed_forward: int = 256
    price_rows: int = 1_024
    rule_rows: int = 240
    manual_rows: int = 32
    price_weight: float = 0.5
    rule_weight: float = 0.4
    manual_weight: float = 0.1
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    seed: int = 1

    @property
    def steps(self) -> int:
        requests = self.facts + self.facts // catalogue.BESTSELLERS * (self.demand - 1)
        return math.ceil(requests * self.exposures / self.price_rows)

    @property
    def parts(self) -> list[tuple[str, int, float]]:
        """Return (name, rows, loss weight) of each part of a step that has rows."""
        parts = [
            ("prices", self.price_rows, self.price_weight),
            ("rules", self.rule_rows, self.rule_weight),
            ("manual", self.manual_rows, self.manual_weight),
        ]
        return [part for part in parts if part[1]]
