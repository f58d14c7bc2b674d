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
    from collections.abc import Hashable, Iterable, Mapping, Sequence
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
    closest = _parameter_marks(item)
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


def variants_of(definition: pytest.Item, settings: Settings) -> tuple[str, ...]:
    """Return the variants over which a test is parametrized.

    Raises
    ------
    UsageError
        The test requests `quant` and has no budget, has a budget and does not request `quant`, or
        there is no variant.
    """
    where = location_of(definition)
    names = getattr(definition, "fixturenames", ())
    budgets = budgets_of(definition, settings) if "quant" in names else ()
    if "quant" not in names and any(mark.name == MARKER for mark in definition.own_markers):
        raise UsageError(missing_fixture(where))
    if "quant" in names and not budgets:
        raise UsageError(
            f"{where} ({where.nodeid}) requests the fixture quant but has no {MARKER}; state a "
            "budget, or request quant_variant for a plain handle"
        )
    asked = {budget.variant for budget in budgets} if budgets else set(settings.variants)
    if not asked:
        raise UsageError(
            f"{where} ({where.nodeid}): no variants; set quant_variants, for example "
            '["int8", "int4"]'
        )
    order = (*settings.variants, *(budget.variant for budget in budgets))
    return tuple(name for name in dict.fromkeys(order) if name in asked)


def missing_fixture(where: Location) -> str:
    """Return the message for a marked test that would never be decided."""
    return (
        f"{MARKER} at {where} ({where.nodeid}): the test does not request the fixture quant, so "
        "the budget would never be decided; add the argument quant to a plain test function or "
        "method"
    )


def replaced_fixture(where: Location, name: str = "quant") -> str:
    """Return the message for a test whose `quant` or `quant_variant` is not this plugin's."""
    return (
        f"{MARKER} at {where} ({where.nodeid}): the fixture {name} is overridden by one that does "
        f"not request {name} itself, so the budget would never be decided; write "
        f"def {name}({name})"
    )


def late_marker(item: pytest.Item) -> str:
    """Return the message for a marker that came when budgets were already counted."""
    where = location_of(item)
    return (
        f"{MARKER} at {where} ({where.nodeid}): the marker was added or removed after collection, "
        "when the budgets were already counted; write it as a decorator or in pytestmark"
    )


def orphans_of(found: Sequence[object]) -> list[str]:
    """Return a message for each marker on a test itself that would never be decided."""
    items = [node for node in found if isinstance(node, pytest.Item)]
    missing = [
        missing_fixture(location_of(item))
        for item in items
        if _is_marked(item) and not _requests_quant(item)
    ]
    return missing + [
        f"{MARKER} at {location_of(item)} ({item.nodeid}): the marker stands in pytest.param, "
        "where it would never be decided; write it as a decorator or in pytestmark"
        for item in items
        if _requests_quant(item) and any(mark.name == MARKER for mark in _parameter_marks(item))
    ]


class GroupMarkers:
    """Markers on modules and classes, until a test below is found that decides their budgets.

    The classes of a module are collected after it: only with the last of them is it known that
    nobody asks.
    """

    def __init__(self) -> None:
        self._awaited: dict[Node, set[Node]] = {}
        self._with_tests: set[Node] = set()

    def orphans_of(self, report: pytest.CollectReport, collector: pytest.Collector) -> list[str]:
        """Return a message for each marker that no test decides, now that `report` is known."""
        found = report.result or ()
        items = [node for node in found if isinstance(node, pytest.Item)]
        is_claimed = report.failed or any(map(_requests_quant, items))
        orphans = []
        chain: list[Node] = collector.listchain()  # type: ignore[assignment]  # items or collectors
        for node in filter(_is_marked, chain):
            awaited = self._awaited.setdefault(node, {collector})
            awaited.discard(collector)
            awaited.update(below for below in found if isinstance(below, pytest.Collector))
            if is_claimed:
                awaited.add(node)  # never empty again
            if items:
                self._with_tests.add(node)
            if not awaited and node in self._with_tests:
                orphans.append(node.nodeid)
        return [
            f"{MARKER} on {nodeid}: none of its tests requests the fixture quant, so the budget "
            "would never be decided"
            for nodeid in orphans
        ]


def n_planned_marks(item: pytest.Item, planned: Mapping[str, int]) -> int:
    """Return how many markers a test had when its budgets were counted."""
    inherited = sum(node is not item for node, _ in item.iter_markers_with_node(MARKER))
    return planned.get(definition_id(item), inherited) if PLAN in item.stash else inherited


def _is_marked(node: Node) -> bool:
    return any(mark.name == MARKER for mark in node.own_markers)


def _requests_quant(item: pytest.Item) -> bool:
    return "quant" in getattr(item, "fixturenames", ())


def _parameter_marks(item: pytest.Item) -> Sequence[pytest.Mark]:
    marks: Sequence[pytest.Mark] = getattr(getattr(item, "callspec", None), "marks", ())
    return marks


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
