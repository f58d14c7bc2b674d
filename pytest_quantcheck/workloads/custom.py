"""Prompts whose outputs a scorer of the user's own judges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.base import Workload, label, text
from pytest_quantcheck.workloads.example import GenerationItem
from pytest_quantcheck.workloads.generation import checked_new_tokens
from pytest_quantcheck.workloads.source import MemorySource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeAlias

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.example import Example
    from pytest_quantcheck.workloads.source import Row

    Prompt: TypeAlias = str | Mapping[str, Plain]
    Scorer: TypeAlias = Callable[[str, Prompt], float]


class Scored(Workload[GenerationItem]):
    """Prompts answered greedily and scored by `score(output, example)`.

    Parameters
    ----------
    examples : sequence of str or mapping
        Prompts, or mappings with `prompt` and anything the scorer needs; the scorer gets them
        as they are.
    score : callable
        Returns a number for one output and its example; higher is better.
    name : str
        Short name, as shown in tables.
    max_new_tokens : int
        Longest output.
    bounds : pair of float, or None
        Lowest and highest possible score; None if there are none.
    """

    metrics: ClassVar[tuple[str, ...]] = ("score",)
    item_fields: ClassVar[tuple[str, ...]] = ("prompt",)

    def __init__(
        self,
        examples: Sequence[Prompt],
        *,
        score: Scorer,
        name: str,
        max_new_tokens: int,
        bounds: tuple[float, float] | None,
    ) -> None:
        prompts = list(examples)
        rows: list[Mapping[str, Plain]] = [
            {"prompt": prompt} if isinstance(prompt, str) else prompt for prompt in prompts
        ]
        super().__init__(MemorySource(examples=rows), name=name)
        if not callable(score):
            raise UsageError(f"score={score!r}: expected a callable score(output, example)")
        self.bounds = _checked_bounds(bounds)
        self.max_new_tokens = checked_new_tokens(max_new_tokens, name)
        self._score = score
        self._prompts = prompts
        self._by_id: dict[str, Prompt] = {}

    def item(self, row: Row) -> GenerationItem:
        """Return the item of one row, or raise MeasurementError with its place."""
        number = row.number
        self._by_id[label(row, "id") or str(number)] = self._prompts[number - 1]
        return GenerationItem(prompt=text(row, "prompt"), answers=())

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores; the scorer has no digest."""
        bounds: Plain = None if self.bounds is None else [*self.bounds]
        return {"max_new_tokens": self.max_new_tokens, "bounds": bounds}

    def score(self, output: str, example: Example[GenerationItem]) -> float:
        """Return the scorer's number for one output.

        Raises
        ------
        MeasurementError
            It is not a finite number within the bounds.
        """
        value = self._score(output, self._by_id[example.id])
        number = float(value) if isinstance(value, int | float) else math.nan
        if not math.isfinite(number):
            raise MeasurementError(
                f"example {example.id} of {self.name}: the scorer returned {value!r}, expected a "
                "finite number"
            )
        low, high = self.bounds or (-math.inf, math.inf)
        if not low <= number <= high:
            raise MeasurementError(
                f"example {example.id} of {self.name}: the scorer returned {number!r}, outside "
                f"bounds=({low!r}, {high!r}); pass the bounds your scores have, or bounds=None"
            )
        return number


def _checked_bounds(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    if bounds is None:
        return None
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(
            f"bounds={bounds!r}: expected two finite numbers, the lower first, or None"
        )
    return (low, high)
