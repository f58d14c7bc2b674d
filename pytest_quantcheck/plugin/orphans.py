"""Markers that would never be decided, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.plugin.collect import MARKER, location_of, parameter_marks
from pytest_quantcheck.plugin.models import MARKER as MODEL_MARKER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.budget import Location
    from pytest_quantcheck.plugin.collect import Node


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


def budget_orphans(found: Sequence[object]) -> list[str]:
    """Return a message for each marker on a test itself that would never be decided."""
    items = [node for node in found if isinstance(node, pytest.Item)]
    missing = [
        f"{MARKER} at {location_of(item)} ({item.nodeid}): the test does not request the fixture "
        "quant, so the budget would never be decided; add the argument quant to a plain test "
        "function or method"
        for item in items
        if _is_marked(item) and not _requests_quant(item)
    ]
    return missing + [
        f"{MARKER} at {location_of(item)} ({item.nodeid}): the marker stands in pytest.param, "
        "where it would never be decided; write it as a decorator or in pytestmark"
        for item in items
        if _requests_quant(item) and any(mark.name == MARKER for mark in parameter_marks(item))
    ]


def model_orphans(found: Sequence[object]) -> list[str]:
    """Return a message for each `quant_model` on a test itself that asks no model."""
    return [
        f"{MODEL_MARKER} at {location_of(item)} ({item.nodeid}): the test requests none of quant, "
        "quant_variant, quant_model and the model fixtures, so the marker has no effect; request "
        "one, or drop it"
        for item in found
        if isinstance(item, pytest.Item)
        and any(mark.name == MODEL_MARKER for mark in item.own_markers)
        and MODEL_MARKER not in getattr(item, "fixturenames", ())
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


def _is_marked(node: Node) -> bool:
    return any(mark.name == MARKER for mark in node.own_markers)


def _requests_quant(item: pytest.Item) -> bool:
    return "quant" in getattr(item, "fixturenames", ())
