"""Scorers: what makes an output right."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn, Protocol

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.json_schema import read_schema, validator
from pytest_quantcheck.workloads.source import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from pytest_quantcheck.core.fingerprint import Plain

    Given: TypeAlias = str | Mapping[str, Plain]
    """An example as it stands in the data: a mapping, or a prompt alone."""
    OwnScore: TypeAlias = Callable[[str, Given], float]
    Check: TypeAlias = "Callable[[str, Case], float]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one output is judged by."""

    place: str
    """How errors name the example."""
    answers: tuple[str, ...]
    """Accepted answers, without the white space around them."""
    given: Given


class Scorer(Protocol):
    """A rule that gives a number to one output, higher is better."""

    @property
    def metric(self) -> str:
        """Name of the metric it measures."""
        ...

    @property
    def needs_answer(self) -> bool:
        """Whether it compares with accepted answers."""
        ...

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Lowest and highest possible value; None if there are none."""
        ...

    def recipe(self) -> Plain:
        """Return what decides its values; a callable has no digest."""
        ...

    def ready(self) -> Check:
        """Return what scores an output, with everything it needs loaded.

        Raises
        ------
        UsageError
            It cannot score as asked.
        BackendUnavailable
            A package is missing.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactMatch:
    """The output equals an accepted answer, white space around them aside."""

    metric: ClassVar[str] = "exact_match"
    needs_answer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    ignore_case: bool

    def recipe(self) -> Plain:
        """Return what decides its values."""
        return {"metric": self.metric, "ignore_case": self.ignore_case}

    def ready(self) -> Check:
        """Return what scores an output."""
        fold = _folding(ignore_case=self.ignore_case)
        return lambda output, case: float(fold(output.strip()) in map(fold, case.answers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contains:
    """Any of the accepted answers occurs in the output."""

    metric: ClassVar[str] = "contains"
    needs_answer: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    ignore_case: bool

    def recipe(self) -> Plain:
        """Return what decides its values."""
        return {"metric": self.metric, "ignore_case": self.ignore_case}

    def ready(self) -> Check:
        """Return what scores an output."""
        fold = _folding(ignore_case=self.ignore_case)
        return lambda output, case: float(any(fold(one) in fold(output) for one in case.answers))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexMatch:
    """A pattern matches somewhere in the output, or the whole of it."""

    metric: ClassVar[str] = "regex_match"
    needs_answer: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    pattern: re.Pattern[str]
    fullmatch: bool

    def recipe(self) -> Plain:
        """Return what decides its values."""
        return {
            "metric": self.metric,
            "pattern": self.pattern.pattern,
            "flags": int(self.pattern.flags),
            "fullmatch": self.fullmatch,
        }

    def ready(self) -> Check:
        """Return what scores an output."""
        if self.fullmatch:
            return lambda output, _: float(self.pattern.fullmatch(output.strip()) is not None)
        return lambda output, _: float(self.pattern.search(output) is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JsonValid:
    """The whole output is JSON, and follows a schema if one is given."""

    metric: ClassVar[str] = "json_valid"
    needs_answer: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float] | None] = (0.0, 1.0)
    schema: Mapping[str, Plain] | Path | None

    def recipe(self) -> Plain:
        """Return what decides its values, the schema's content included."""
        schema: Plain = read_schema(self.schema) if self.schema is not None else None
        return {"metric": self.metric, "schema": schema}

    def ready(self) -> Check:
        """Return what scores an output.

        Raises
        ------
        UsageError
            The schema cannot be read, or is none.
        BackendUnavailable
            A schema is given, and jsonschema is missing.
        """
        follows = validator(read_schema(self.schema)) if self.schema is not None else None

        def check(output: str, _: Case) -> float:
            try:
                value = json.loads(output, parse_constant=_no_constant)
            except (ValueError, RecursionError):
                return 0.0
            return float(follows is None or follows(value))

        return check


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnScorer:
    """A callable of the user's."""

    metric: ClassVar[str] = "score"
    needs_answer: ClassVar[bool] = False
    function: OwnScore
    bounds: tuple[float, float] | None

    def recipe(self) -> Plain:
        """Return what decides its values besides the callable, which has no digest."""
        return {"metric": self.metric, "bounds": [*self.bounds] if self.bounds else None}

    def ready(self) -> Check:
        """Return what scores an output."""
        return lambda output, case: checked_score(
            self.function(output, case.given), self.bounds, where=f"{case.place}: the scorer"
        )


def exact_match(*, ignore_case: bool = False) -> ExactMatch:
    """Return the scorer `exact_match`: the output is one of the accepted answers.

    White space around outputs and answers does not count.
    """
    return ExactMatch(ignore_case=_flag(ignore_case, "exact_match(ignore_case"))


def contains(*, ignore_case: bool = False) -> Contains:
    """Return the scorer `contains`: any of the accepted answers occurs in the output."""
    return Contains(ignore_case=_flag(ignore_case, "contains(ignore_case"))


def regex(pattern: str | re.Pattern[str], *, fullmatch: bool = False) -> RegexMatch:
    """Return the scorer `regex_match`: `pattern` is found in the output, as by `re.search`.

    Parameters
    ----------
    pattern : str or re.Pattern
        With its flags.
    fullmatch : bool
        Whether it must match the whole output, white space around it aside.

    Raises
    ------
    UsageError
        It is no regular expression.
    """
    return RegexMatch(
        pattern=checked_pattern(pattern, "regex(…)"),
        fullmatch=_flag(fullmatch, "regex(…, fullmatch"),
    )


def json_valid(schema: Mapping[str, Plain] | str | Path | None = None) -> JsonValid:
    """Return the scorer `json_valid`: the whole output is JSON.

    Parameters
    ----------
    schema : mapping, str or Path, optional
        A JSON schema the value must follow, or its file; relative paths start at the folder of
        the calling file. Needs the extra `json-schema`.
    """
    if isinstance(schema, str | Path):
        # Paths start at the calling file, as in from_jsonl.
        schema = resolve(schema, sys._getframe(1).f_code.co_filename)  # noqa: SLF001 - no public way
    elif schema is not None and not hasattr(schema, "keys"):
        raise UsageError(f"json_valid(schema={schema!r}): expected a mapping or a path")
    return JsonValid(schema=schema)


def checked_pattern(pattern: object, shown: str) -> re.Pattern[str]:
    """Return `pattern` compiled.

    Raises
    ------
    UsageError
        It is no regular expression for text.
    """
    if isinstance(pattern, re.Pattern) and isinstance(pattern.pattern, str):
        return pattern
    if not isinstance(pattern, str) or not pattern:
        raise UsageError(f"{shown}: found {pattern!r}, expected a regular expression")
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{shown}: {pattern!r} is no regular expression: {error}") from None


def checked_score(value: object, bounds: tuple[float, float] | None, *, where: str) -> float:
    """Return what a user's callable gave as a number.

    Raises
    ------
    MeasurementError
        It is not a finite number within the bounds.
    """
    number = float(value) if isinstance(value, int | float) else math.nan
    if not math.isfinite(number):
        raise MeasurementError(f"{where} returned {value!r}, expected a finite number")
    low, high = bounds or (-math.inf, math.inf)
    if not low <= number <= high:
        raise MeasurementError(
            f"{where} returned {number!r}, outside bounds=({low!r}, {high!r}); pass the bounds "
            "your scores have, or bounds=None"
        )
    return number


def _folding(*, ignore_case: bool) -> Callable[[str], str]:
    return str.casefold if ignore_case else str


def _flag(value: object, shown: str) -> bool:
    if type(value) is not bool:
        raise UsageError(f"{shown}={value!r}): expected True or False")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
