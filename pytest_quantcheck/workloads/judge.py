"""A judge of the user's own, who sees what both models wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.workloads.scorers import checked_score

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.scorers import Given

    Judge: TypeAlias = Callable[[Given, str, str], float | tuple[float, float]]

JUDGED = "score"
"""The metric a judge gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a judge says of one example."""

    reference: float
    variant: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnJudge:
    """A callable `judge(example, reference_output, variant_output)`."""

    function: Judge
    bounds: tuple[float, float] | None

    def recipe(self) -> Plain:
        """Return what decides its values besides the callable, which has no digest."""
        return {"bounds": [*self.bounds] if self.bounds else None}

    def judge(self, given: Given, outputs: tuple[str, str], *, place: str) -> Judgement:
        """Return the scores of the outputs of reference and variant.

        Parameters
        ----------
        given : str or mapping
            The example as it stands in the data.
        outputs : pair of str
            Of reference and variant.
        place : str
            How errors name the example.

        Raises
        ------
        MeasurementError
            The callable returned neither a number nor a pair of numbers within the bounds, or
            one number where there are no bounds.
        """
        where = f"{place}: the judge"
        found = self.function(given, *outputs)
        if isinstance(found, tuple | list):
            if len(found) != len(outputs):
                raise MeasurementError(
                    f"{where} returned {found!r}, expected one score of the variant, or a pair "
                    "(reference, variant)"
                )
            before, after = (checked_score(one, self.bounds, where=where) for one in found)
            return Judgement(reference=before, variant=after)
        if self.bounds is None:
            raise MeasurementError(
                f"{where} returned {found!r}, which leaves the reference the highest score, and "
                "bounds=None names none; give bounds, or return a pair (reference, variant)"
            )
        score = checked_score(found, self.bounds, where=where)
        return Judgement(reference=self.bounds[1], variant=score)
