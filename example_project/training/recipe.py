"""What shapes the trained model, apart from the device it was trained on."""

import math
from dataclasses import dataclass

import catalogue


@dataclass(frozen=True, slots=True)
class Recipe:
    """The knobs; the load follows from `facts` and the size of the layers."""

    facts: int = catalogue.FACTS
    exposures: float = 1_000
    width: int = 128
    layers: int = 3
    heads: int = 4
    feed_forward: int = 256
    price_rows: int = 2_048
    rule_rows: int = 256
    manual_rows: int = 32
    price_weight: float = 0.7
    rule_weight: float = 0.2
    manual_weight: float = 0.1
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    seed: int = 1

    @property
    def steps(self) -> int:
        return math.ceil(self.facts * self.exposures / self.price_rows)
