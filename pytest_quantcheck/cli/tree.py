"""A run compared with the working tree: files of models, examples, budgets."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.runs import name_of
from pytest_quantcheck.core.declared import DeclaredTree
from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.plain import from_builtins
from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.core.declared import DeclaredBudget
    from pytest_quantcheck.core.record import CheckRecord, EnvironmentRecord, RunRecord
    from pytest_quantcheck.core.supplements import SourceRecord

_SHOWN_LINES = 15
_TERMS = ("limit", "gate", "target", "waive_until")
"""What a budget says beside what it is about."""


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What a run and a working tree differ in, and what could not be compared."""

    findings: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def root_of(run: RunRecord, file: Path) -> Path:
    """Return where the tests of a run are: here, or in the nearest folder above the run's file."""
    paths = {check.path for check in run.checks}
    folders = (Path(), *file.absolute().parents)
    return next((one for one in folders if any((one / path).is_file() for path in paths)), Path())


def compare_tree(run: RunRecord, root: Path) -> Comparison:
    """Return how the working tree at `root` differs from what `run` decided.

    Raises
    ------
    UsageError
        The tests cannot be collected.
    """
    paths = dict.fromkeys(check.path for check in run.checks)
    gone = [path for path in paths if not (root / path).is_file()]
    findings = [f"tests: {path} is gone" for path in gone]
    if len(gone) == len(paths):
        return Comparison(findings=findings)
    options = run.environments[0].options
    tree = declared(root, [path for path in paths if path not in gone], options)
    checks = [check for check in run.checks if check.path not in gone]
    found = compare(replace(run, checks=checks), tree)
    return replace(found, findings=findings + found.findings)


def compare(run: RunRecord, tree: DeclaredTree) -> Comparison:
    """Return how what tests declare differs from what `run` decided."""
    found = Comparison()
    checks = run.checks
    _compare_budgets(checks, tree, found)
    _compare_examples(checks, tree, found)
    for environment in run.environments:
        if environment.alpha != tree.alpha:
            found.findings.append(
                f"settings: alpha was {environment.alpha:g} in the run, it is {tree.alpha:g}"
            )
        _compare_model(environment, tree, found)
    return found


def declared(root: Path, paths: list[str], options: list[str]) -> DeclaredTree:
    """Return what the tests in `paths` declare: pytest collects them, and runs none.

    Raises
    ------
    UsageError
        It cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "declared.json"
        done = subprocess.run(  # noqa: S603 - this Python, with the project's own tests
            [
                *(sys.executable, "-m", "pytest", "--collect-only", "-q", "--color=no"),
                *("-p", "pytest_quantcheck.plugin.declaring", f"--quant-declared={file}"),
                *options,
                *paths,
            ],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        if not file.is_file():
            last = "\n".join((done.stdout + done.stderr).splitlines()[-_SHOWN_LINES:])
            raise UsageError(
                f"{root}: pytest cannot collect the tests of the run, exit status "
                f"{done.returncode}; run the command where pytest ran, or name the place with "
                f"--root, or look at scores only with --scores-only:\n{last}"
            )
        return from_builtins(DeclaredTree, json.loads(file.read_text(encoding="utf-8")))


def _compare_budgets(checks: list[CheckRecord], tree: DeclaredTree, found: Comparison) -> None:
    decided = {check.nodeid for check in checks}
    unmatched = list(tree.budgets)
    tests = {one.nodeid for one in unmatched}
    found.findings += [f"tests: {name} is gone" for name in sorted(decided - tests)]
    for check in checks:
        budget = _budget_of(check, unmatched)
        if budget is not None:
            unmatched.remove(budget)
            found.findings += _changes(check, budget)
        elif check.nodeid in tests:
            found.findings.append(f"budget: {name_of(check)} was decided, and no marker states it")
    for budget in unmatched:
        if budget.nodeid in decided:
            found.findings.append(
                f"budget: {budget.keyword}={budget.limit:g} of {budget.nodeid} is stated at "
                f"{budget.path}:{budget.line}, and the run did not decide it"
            )
    others = sorted({one.nodeid for one in unmatched} - decided)
    if others:
        found.said.append(f"tests of the same files that the run did not decide: {len(others)}")


def _budget_of(check: CheckRecord, budgets: list[DeclaredBudget]) -> DeclaredBudget | None:
    """Return the budget that a check decided; of several alike, one on the same examples."""
    is_of_weights = check.statistic == Statistic.WEIGHT_RATIO.value
    able = [
        one
        for one in budgets
        if (one.nodeid, one.keyword, one.slice) == (check.nodeid, check.keyword, check.slice)
        and (is_of_weights or one.workload in {None, check.workload})
    ]
    same = (one for one in able if one.fingerprint == check.fingerprint)
    return next(same, able[0] if able else None)


def _changes(check: CheckRecord, budget: DeclaredBudget) -> list[str]:
    return [
        f"budget: {name_of(check)}: {name} was {_shown(before)} when it was decided, it is "
        f"{_shown(now)} at {budget.path}:{budget.line}"
        for name in _TERMS
        for before, now in [(getattr(check, name), getattr(budget, name))]
        if before != now
    ]


def _compare_examples(checks: list[CheckRecord], tree: DeclaredTree, found: Comparison) -> None:
    budgets, said = list(tree.budgets), set()
    for check in checks:
        budget = _budget_of(check, budgets)
        if budget is None or not check.fingerprint:
            continue
        budgets.remove(budget)
        if budget.workload is None:
            said.add(f"{check.workload} is measured in a test's body: its examples not compared")
        elif budget.error:
            raise UsageError(f"{check.workload} cannot be read: {budget.error}")
        elif not budget.fingerprint:
            said.add(f"{check.workload} has no examples to compare")
        elif budget.fingerprint != check.fingerprint:
            now = format_count(budget.n)
            text = (
                f"examples: {check.workload}: its examples, or how they are scored, are not those "
                f"of the run ({now} now)"
            )
            if text not in found.findings:
                found.findings.append(text)
    found.said += sorted(said)


def _compare_model(environment: EnvironmentRecord, tree: DeclaredTree, found: Comparison) -> None:
    here = next((one for one in tree.models if one.model == environment.model), None)
    if here is None:
        found.said.append(f"{environment.model} is named by a fixture: its files not compared")
        return
    if not environment.sources:
        found.said.append(f"the run does not say what {environment.model} is made of")
    if here.error:
        raise UsageError(f"{environment.model}: its files cannot be read: {here.error}")
    for source in environment.sources:
        now = next((one for one in here.sources if one.name == source.name), None)
        place = f"{environment.model} ({source.name})" if source.name != "model" else here.model
        found.findings += [f"model: {place}: {text}" for text in _file_changes(source, now)]


def _file_changes(source: SourceRecord, now: SourceRecord | None) -> list[str]:
    if now is None:
        return ["the tests do not name it any more"]
    if source.commit != now.commit:
        return [f"commit {source.commit} was measured, it is now {now.commit or 'unknown'}"]
    names = sorted({*source.files, *now.files})
    differing = [name for name in names if source.files.get(name) != now.files.get(name)]
    return [
        f"{name} is not the file that was measured"
        if name in source.files and name in now.files
        else f"{name} is {'gone' if name in source.files else 'new'}"
        for name in differing
    ]


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
