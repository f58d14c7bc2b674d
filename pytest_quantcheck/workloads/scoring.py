"""How outputs are scored: what is taken out of them, and the scorers that look at it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads import scorers as known
from pytest_quantcheck.workloads.judge import JUDGED, OwnJudge
from pytest_quantcheck.workloads.scorers import Case, OwnScorer, checked_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_quantcheck.core.fingerprint import Plain
    from pytest_quantcheck.workloads.judge import Judge
    from pytest_quantcheck.workloads.scorers import OwnScore, Scorer

    Extract: TypeAlias = re.Pattern[str] | Callable[[str], str | None]
    Bounds: TypeAlias = tuple[float, float] | None

_WITHOUT_ARGUMENTS = (known.exact_match, known.contains, known.json_valid)
"""Scorers that may be written without parentheses."""
_GROUP = "answer"


class ScoringOptions(TypedDict, total=False):
    """Keyword options of every workload that scores outputs."""

    score: Scorer | OwnScore | Sequence[Scorer | OwnScore]
    """One scorer or several; by default `exact_match()`."""
    extract: str | re.Pattern[str] | Callable[[str], str | None] | None
    """Takes the final answer out of an output: a regular expression or a callable."""
    extract_answer: str | re.Pattern[str] | Callable[[str], str | None] | None
    """The same for the accepted answers of the data."""
    bounds: tuple[float, float] | None
    """Lowest and highest score of a callable; None if there are none."""
    judge: Judge | None
    """Compares two outputs: `judge(example, reference_output, variant_output)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputScores:
    """What the scorers say of one output."""

    values: dict[str, float]
    """By metric."""
    is_extracted: bool
    """Whether `extract` found something; True without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """A checked recipe for scores."""

    scorers: tuple[Scorer, ...]
    extract: Extract | None = None
    extract_answer: Extract | None = None
    judge: OwnJudge | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, the first one for tables."""
        judged = (JUDGED,) if self.judge else ()
        return (*(scorer.metric for scorer in self.scorers), *judged)

    @property
    def needs_answer(self) -> bool:
        """Whether any scorer compares with accepted answers."""
        return any(scorer.needs_answer for scorer in self.scorers)

    @property
    def callables(self) -> tuple[object, ...]:
        """The user's own functions, which `plain` cannot tell from others."""
        own = [scorer.function for scorer in self.scorers if isinstance(scorer, OwnScorer)]
        extracts = [one for one in (self.extract, self.extract_answer) if callable(one)]
        return (*own, *extracts, *([self.judge.function] if self.judge else []))

    def plain(self) -> dict[str, Plain]:
        """Return what decides the scores; callables have no digest."""
        return {
            "scorers": [scorer.recipe() for scorer in self.scorers],
            "extract": _recipe(self.extract),
            "extract_answer": _recipe(self.extract_answer),
            "judge": self.judge.recipe() if self.judge else None,
        }

    def accepted(self, answers: tuple[str, ...], place: str) -> tuple[str, ...]:
        """Return what `extract_answer` finds in accepted answers.

        Raises
        ------
        MeasurementError
            It finds nothing in one of them.
        """
        if self.extract_answer is None:
            return answers
        found = []
        for answer in answers:
            part = _extracted(self.extract_answer, answer, f"{place}: extract_answer")
            if part is None:
                raise MeasurementError(
                    f"{place}: extract_answer found nothing in the answer {answer!r}; expected it "
                    "to find the final answer in every one"
                )
            found.append(part)
        return tuple(found)

    def ready(self) -> Callable[[str, Case], OutputScores]:
        """Return what scores an output.

        Raises
        ------
        UsageError
            A scorer cannot score as asked.
        BackendUnavailable
            A package is missing.
        """
        checks = [(scorer, scorer.ready()) for scorer in self.scorers]

        def score(output: str, case: Case) -> OutputScores:
            part: str | None = output
            if self.extract is not None:
                part = _extracted(self.extract, output, f"{case.place}: extract")
            if part is None:
                lowest = {scorer.metric: _lowest(scorer) for scorer in self.scorers}
                return OutputScores(values=lowest, is_extracted=False)
            values = {scorer.metric: check(part, case) for scorer, check in checks}
            return OutputScores(values=values, is_extracted=True)

        return score


def checked_scoring(options: ScoringOptions, name: str) -> Scoring:
    """Return how a workload called `name` scores.

    Raises
    ------
    UsageError
        An option is wrong.
    """
    bounds = _checked_bounds(options.get("bounds", (0.0, 1.0)))
    judge = _judge(options.get("judge"), bounds, name)
    given = options.get("score", () if judge else known.exact_match())
    several = given if isinstance(given, list | tuple) else (given,)
    scorers = tuple(_scorer(one, bounds, name) for one in several)
    if not (scorers or judge):
        raise UsageError(f"workload {name}: score={given!r}: expected at least one scorer")
    metrics = [*(scorer.metric for scorer in scorers), *([JUDGED] if judge else [])]
    for metric in metrics:
        if metrics.count(metric) > 1:
            raise UsageError(
                f"workload {name}: two scorers give the metric {metric!r}; keep one, or make two "
                "workloads"
            )
    extract = _checked_extract(options.get("extract"), f"workload {name}: extract")
    if extract is not None and any(scorer.bounds is None for scorer in scorers):
        raise UsageError(
            f"workload {name}: extract= with bounds=None: an output in which nothing is found "
            "gets the lowest score, and there is none; give bounds"
        )
    return Scoring(
        scorers=scorers,
        judge=judge,
        extract=extract,
        extract_answer=_checked_extract(
            options.get("extract_answer"), f"workload {name}: extract_answer"
        ),
    )


def _judge(given: object, bounds: Bounds, name: str) -> OwnJudge | None:
    if given is None:
        return None
    if not callable(given):
        raise UsageError(
            f"workload {name}: judge={given!r}: expected a callable judge(example, "
            "reference_output, variant_output)"
        )
    return OwnJudge(function=given, bounds=bounds)


def _scorer(given: object, bounds: Bounds, name: str) -> Scorer:
    if hasattr(given, "metric") and hasattr(given, "ready"):
        return given  # type: ignore[return-value]  # it has what a scorer has
    if not callable(given):
        raise UsageError(
            f"workload {name}: score={given!r}: expected a callable score(output, example), or a "
            "scorer such as exact_match() or json_valid()"
        )
    if given is known.regex:
        raise UsageError(f"workload {name}: score=regex: give the pattern, as in regex('^yes')")
    if any(given is factory for factory in _WITHOUT_ARGUMENTS):
        made: Scorer = given()
        return made
    return OwnScorer(function=given, bounds=bounds)


def _checked_extract(value: object, shown: str) -> Extract | None:
    return value if value is None or callable(value) else checked_pattern(value, shown)


def _recipe(extract: Extract | None) -> Plain:
    if isinstance(extract, re.Pattern):
        return {"pattern": extract.pattern, "flags": int(extract.flags)}
    return None if extract is None else "callable"


def _extracted(extract: Extract, text: str, where: str) -> str | None:
    if not isinstance(extract, re.Pattern):
        found = extract(text)
        if not (found is None or isinstance(found, str)):
            raise MeasurementError(f"{where} returned {found!r}, expected a string or None")
        return found
    last = None
    for last in extract.finditer(text):  # noqa: B007 - the last match is what is wanted
        pass
    if last is None:
        return None
    if _GROUP in extract.groupindex:
        return last[_GROUP]
    return last[1] if extract.groups else last[0]


def _lowest(scorer: Scorer) -> float:
    return scorer.bounds[0] if scorer.bounds else 0.0


def _checked_bounds(bounds: object) -> Bounds:
    if bounds is None:
        return None
    try:
        low, high = map(float, bounds)  # type: ignore[call-overload]  # a wrong one is answered below
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(
            f"bounds={bounds!r}: expected two finite numbers, the lower first, or None"
        )
    return (low, high)
