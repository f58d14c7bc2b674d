"""Writes what tests declare, and runs none: `pytest -p pytest_quantcheck.plugin.declaring`.

`quantcheck verify` calls it, to compare a run with the working tree. Neither models nor numerics
are loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantcheck.core.declared import DeclaredBudget, DeclaredModel, DeclaredTree
from pytest_quantcheck.core.plain import to_builtins
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.plugin import activate
from pytest_quantcheck.plugin.collect import PLAN, ItemPlan

if TYPE_CHECKING:
    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.model import ModelUnderTest
    from pytest_quantcheck.core.protocols import WorkloadLike
    from pytest_quantcheck.plugin.session import QuantcheckSession

_PLANS = pytest.StashKey[list[ItemPlan]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the path of the file."""
    parser.addoption("--quant-declared", dest="quant_declared", help="write declared budgets there")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Collect in this process, whatever xdist was asked for."""
    if config.pluginmanager.has_plugin("xdist"):
        config.option.dist = "no"
        config.option.tx = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Remember the tests before any is deselected; they are planned by now."""
    config.stash[_PLANS] = [item.stash[PLAN] for item in items if PLAN in item.stash]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Write the file in place of running tests; errors of collection are left to pytest."""
    config = session.config
    if session.testsfailed:
        return None
    found = _declared(config.stash.get(_PLANS, []), activate(config))
    text = json.dumps(to_builtins(found))
    Path(config.getoption("quant_declared")).write_text(text, encoding="utf-8")
    return True


def _declared(plans: list[ItemPlan], session: QuantcheckSession) -> DeclaredTree:
    read: dict[WorkloadLike, tuple[int, str, str]] = {}
    budgets = [
        _budget(budget, plan, session, read=read) for plan in plans for budget in plan.budgets
    ]
    models = dict.fromkeys(plan.model for plan in plans if plan.model is not None)
    return DeclaredTree(
        alpha=session.settings.alpha,
        budgets=budgets,
        models=[_model(model, plans, session) for model in models],
    )


def _budget(
    budget: Budget,
    plan: ItemPlan,
    session: QuantcheckSession,
    *,
    read: dict[WorkloadLike, tuple[int, str, str]],
) -> DeclaredBudget:
    settings, workload, limit = session.settings, budget.workload, budget.limit
    n, fingerprint, error = 0, "", ""
    if workload is not None and limit.is_statistical and hasattr(workload, "examples"):
        if workload not in read:
            read[workload] = _read(workload, session)
        n, fingerprint, error = read[workload]
    return DeclaredBudget(
        nodeid=plan.location.nodeid,
        path=plan.location.path,
        line=plan.location.line,
        variant=budget.variant,
        workload=workload.name if workload is not None else None,
        fingerprint=fingerprint,
        n=n,
        error=error,
        slice=budget.slice,
        keyword=limit.keyword,
        limit=limit.value,
        gate=(budget.gate or settings.gate).value,
        target=(budget.target or settings.target).value,
        waive_until=budget.waive_until.isoformat() if budget.waive_until else None,
        reason=budget.reason,
    )


def _read(workload: Any, session: QuantcheckSession) -> tuple[int, str, str]:  # noqa: ANN401 - one of ours
    settings = session.settings
    try:
        examples = workload.examples(max_examples=settings.max_examples, seed=settings.seed)
        return len(examples), workload.fingerprint(examples), ""
    except QuantcheckError as error:
        return 0, "", str(error)


def _model(
    model: ModelUnderTest, plans: list[ItemPlan], session: QuantcheckSession
) -> DeclaredModel:
    from pytest_quantcheck.plugin.sources import planned_variants, sources_of
    from pytest_quantcheck.store.files import FileDigests

    try:
        variants = planned_variants(plans, session.settings)
        found = sources_of(model, variants, files=FileDigests(None))
    except OSError as error:
        return DeclaredModel(model=model.label, sources=[], error=str(error))
    return DeclaredModel(model=model.label, sources=found, error="")
