"""From markers to plans: what each collected test has to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.core.budget import Location
from pytest_quantcheck.core.metric import compares_models
from pytest_quantcheck.core.parse import MarkerArguments, parse_marker
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.binding import check_batch_size

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from typing import TypeAlias

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.model import ModelUnderTest
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.plugin.settings import Settings

    Node: TypeAlias = pytest.Item | pytest.Collector

MARKER = "quant_budget"
_COUNT_KEY = "quantcheck/budgets-collected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPlan:
    """What one test, on one variant, has to decide."""

    variant: str
    budgets: tuple[Budget, ...]
    location: Location
    n_in_family: int
    """Budgets that share the run's alpha."""
    model: ModelUnderTest | None
    """None: the fixture `quant_model` says when the test is set up."""
    model_group: Hashable
    """Equal for tests of one model, as far as that is known before they run."""

    @property
    def workloads(self) -> tuple[WorkloadLike, ...]:
        """The workloads its markers name, each once."""
        named = (budget.workload for budget in self.budgets)
        return tuple(dict.fromkeys(workload for workload in named if workload is not None))


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class _Level:
    """How far from a test its marker stands: function, class and its bases, module."""

    distance: int
    base: int


PLAN = pytest.StashKey[ItemPlan]()


def location_of(node: pytest.Item) -> Location:
    """Return where a test stands."""
    path, line, _ = node.location
    return Location(nodeid=node.nodeid, path=path, line=(line or 0) + 1)


def definition_id(item: pytest.Item) -> str:
    """Return the id of the test function behind a parametrized item."""
    parent = item.parent
    name = getattr(item, "originalname", None) or item.name
    return f"{parent.nodeid}::{name}" if parent else item.nodeid


def budgets_of(definition: pytest.Item, settings: Settings) -> tuple[Budget, ...]:
    """Return the budgets of a test: the closest marker wins, for each check.

    Raises
    ------
    UsageError
        A marker is wrong, or one level states the same check twice.
    """
    where = location_of(definition)
    chosen: dict[tuple[object, ...], Budget] = {}
    levels: dict[tuple[object, ...], _Level] = {}
    for level, mark in by_level(definition, MARKER):
        arguments = MarkerArguments(args=mark.args, kwargs=mark.kwargs)
        for budget in parse_marker(
            arguments, variants=settings.known_variants, defaults=settings.variants, where=where
        ):
            check_batch_size(budget)
            key = (budget.variant, budget.workload, budget.slice, budget.limit.keyword)
            if key not in chosen:
                chosen[key], levels[key] = budget, level
            elif levels[key] == level:
                raise UsageError(
                    f"{MARKER} at {where} ({where.nodeid}): {budget.limit.keyword} stands twice "
                    f"for {budget.variant} on the same level; keep one"
                )
    return tuple(chosen.values())


def compared_workloads(budgets: Iterable[Budget]) -> tuple[WorkloadLike, ...]:
    """Return the workloads on which budgets compare the predictions of reference and variant."""
    named = (budget.workload for budget in budgets if compares_models(budget.limit.metric))
    return tuple(dict.fromkeys(workload for workload in named if workload is not None))


def by_level(item: pytest.Item, name: str) -> list[tuple[_Level, pytest.Mark]]:
    """Return the markers `name` of a test, the closest first, each with its level."""
    outwards = list(reversed(item.listchain()))
    closest = parameter_marks(item)
    marked = [
        (
            _Level(distance=-1, base=0)
            if any(mark is one for one in closest)
            else _Level(distance=outwards.index(node), base=_base(node, mark)),  # type: ignore[arg-type]  # nodes are items or collectors
            mark,
        )
        for node, mark in item.iter_markers_with_node(name)
    ]
    return sorted(marked, key=lambda pair: pair[0])


def parameter_marks(item: pytest.Item) -> Sequence[pytest.Mark]:
    """Return the marks that stand in `pytest.param`."""
    marks: Sequence[pytest.Mark] = getattr(getattr(item, "callspec", None), "marks", ())
    return marks


def _base(node: Node, mark: pytest.Mark) -> int:
    """Return how far up the base classes a class got `mark` from; 0 for its own."""
    bases = node.obj.__mro__ if isinstance(node, pytest.Class) else ()
    for distance, base in enumerate(bases):
        own = vars(base).get("pytestmark", ())
        own = own if isinstance(own, list | tuple) else [own]
        if any(getattr(one, "mark", one) is mark for one in own):
            return distance
    return 0


def count_budgets(config: pytest.Config, planned: Sequence[ItemPlan]) -> int:
    """Return the number of budgets that share alpha, whatever `--lf` left out.

    `--lf` leaves out whole modules before they are collected, so that the count of the run
    it repeats is remembered in pytest's cache.
    """
    count = sum(plan.n_in_family for plan in planned)
    cache: pytest.Cache | None = getattr(config, "cache", None)
    if cache is None or not planned or config.getoption("collectonly"):
        return count
    if config.getoption("lf", default=False):
        return max(count, int(cache.get(_COUNT_KEY, 0)))
    cache.set(_COUNT_KEY, count)
    return count


def variants_of(
    definition: pytest.Item, budgets: Sequence[Budget] | None, settings: Settings
) -> tuple[str, ...]:
    """Return the variants over which a test is parametrized.

    Raises
    ------
    UsageError
        The test requests `quant`, so that there are `budgets`, and has none; or no variant is set.
    """
    where = location_of(definition)
    if budgets is not None and not budgets:
        raise UsageError(
            f"{where} ({where.nodeid}) requests the fixture quant but has no {MARKER}; state a "
            "budget, or request quant_variant for a plain handle"
        )
    asked = [budget.variant for budget in budgets or ()] or settings.variants
    if not asked:
        raise UsageError(
            f"{where} ({where.nodeid}): no variants; set quant_variants, for example "
            '["int8", "int4"]'
        )
    order = (*settings.variants, *asked)
    return tuple(name for name in dict.fromkeys(order) if name in asked)


def grouped(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return `items` with ours sorted by model, then variant, among the places they had."""
    ours = [item for item in items if PLAN in item.stash]
    models = list(dict.fromkeys(item.stash[PLAN].model_group for item in ours))
    variants = list(dict.fromkeys(item.stash[PLAN].variant for item in ours))

    def place(item: pytest.Item) -> tuple[int, int]:
        plan = item.stash[PLAN]
        return models.index(plan.model_group), variants.index(plan.variant)

    in_order = iter(sorted(ours, key=place))
    return [next(in_order) if PLAN in item.stash else item for item in items]
