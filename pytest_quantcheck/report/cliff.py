"""Where, from the largest variant to the smallest, the loss jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.report import wording
from pytest_quantcheck.report.sizes import weights_of, workload_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantcheck.core.record import CheckRecord, RunRecord

_TIMES = 3
"""A jump is more than this many times all that was lost before it."""
_SHARE = 0.05
"""A jump loses at least this share of the reference's level."""
_COMPARING = {"drop", "log_ratio"}
_FEWEST = 2
"""Variants it takes to say between which of them something happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What one variant lost, with an interval: a difference, or the logarithm of a ratio."""

    variant: str
    shown: str
    """As the table has it: `23.0 pp [18.9, 27.1]`."""
    value: float
    low: float
    high: float
    gross: float
    """Smallest loss that is worth the name of a cliff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cliff:
    """One workload, and where it falls."""

    workload: str
    losses: tuple[Loss, ...]
    """(v,) from the largest variant to the smallest."""
    position: int | None
    """Index of the first variant below the cliff; None where none is shown."""
    is_settled: bool
    """Whether a cliff is shown, or shown not to be there."""


def cliff_lines(run: RunRecord) -> list[str]:
    """Return where each workload falls; nothing where two variants compare none."""
    found = find_cliffs(run)
    reference = run.checks[0].reference_label.partition(" (")[0] if run.checks else ""
    falls = [_fall(one, reference) for one in found if one.position is not None]
    holds = [one for one in found if one.is_settled and one.position is None]
    unsettled = [one.workload for one in found if not one.is_settled]
    names = _listed([one.workload for one in holds])
    rest = []
    if holds and falls:
        rest.append(f"{names} {'does' if len(holds) == 1 else 'do'} not")
    elif holds:
        rest.append(f"no cliff from {reference} to {holds[0].losses[-1].variant}: {names}")
    if unsettled and (holds or falls):
        rest.append(f"not settled: {_listed(unsettled)}")
    if not falls:
        return ["; ".join(rest)] if rest else []
    lead = "cliff: "
    if len(falls) == 1:
        return [lead + "; ".join([*falls, *rest])]
    lines = [*falls, "; ".join(rest)] if rest else falls
    return [(" " * len(lead) if k else lead) + line for k, line in enumerate(lines)]


def find_cliffs(run: RunRecord) -> list[Cliff]:
    """Return every workload on which budgets compare two variants or more with the reference.

    Parameters
    ----------
    run : RunRecord
        Of one model.

    Notes
    -----
    Intervals are widened so that all of them together hold in 1 - alpha of the runs (Bonferroni,
    normal quantiles). Of a step from one variant to the next smaller one the lower limit is that of
    the smaller variant's loss minus the highest upper limit before. The first step where it is a
    twentieth of the reference's level or more (5 % of a perplexity), and more than three times
    all that may have been lost before, is the cliff; for the first step: than may be lost after it.
    """
    chains = [*_chains(run)]
    n_limits = 2 * sum(len(losses) for _, losses in chains)
    alpha = min((check.alpha_pass for check in run.checks), default=0.05)
    cliffs = []
    for workload, losses in chains:
        wide = [_widened(loss, alpha=alpha, n_limits=n_limits) for loss in losses]
        position = next((k for k in range(len(wide)) if _falls(wide, k)), None)
        is_settled = position is not None or all(_holds(wide, k) for k in range(len(wide)))
        cliffs.append(
            Cliff(workload=workload, losses=losses, position=position, is_settled=is_settled)
        )
    return cliffs


def _falls(losses: Sequence[Loss], k: int) -> bool:
    """Whether step `k` is shown to be a jump."""
    before = max((loss.high for loss in losses[:k]), default=0.0)
    step = losses[k].low - max(before, 0.0)
    after = max((loss.high for loss in losses[1:]), default=0.0) - losses[0].low
    other = before if k else after
    return step >= losses[k].gross and step > _TIMES * max(other, 0.0)


def _holds(losses: Sequence[Loss], k: int) -> bool:
    """Whether step `k` is shown to be none."""
    before = max((loss.low for loss in losses[:k]), default=0.0)
    step = losses[k].high - max(before, 0.0)
    after = max((loss.low for loss in losses[1:]), default=0.0) - losses[0].high
    other = before if k else after
    return step < losses[k].gross or step <= _TIMES * max(other, 0.0)


def _widened(loss: Loss, *, alpha: float, n_limits: int) -> Loss:
    normal = NormalDist()
    times = normal.inv_cdf(1 - alpha / n_limits) / normal.inv_cdf(1 - alpha)
    return Loss(
        variant=loss.variant,
        shown=loss.shown,
        value=loss.value,
        low=loss.value - times * (loss.value - loss.low),
        high=loss.value + times * (loss.high - loss.value),
        gross=loss.gross,
    )


def _chains(run: RunRecord) -> Iterator[tuple[str, tuple[Loss, ...]]]:
    """Yield each workload with the losses of its variants, by the size of their weights."""
    weights = weights_of(run)
    ranks = {label: rank for rank, label in enumerate(sorted(weights, key=lambda x: -weights[x]))}
    compared: dict[tuple[str, str], dict[str, dict[str, CheckRecord]]] = {}
    for check in run.checks:
        if check.statistic in _COMPARING and check.slice is None and _has_interval(check):
            metrics = compared.setdefault((check.workload, check.fingerprint), {})
            metrics.setdefault(check.metric, {}).setdefault(check.variant_label, check)
    names = workload_names(run.measurements)
    headlines = {(m.workload, m.fingerprint): m.metric for m in run.measurements}
    for key, metrics in compared.items():
        headline = headlines.get(key)
        for metric in sorted(metrics, key=lambda one: one != headline):
            checks = metrics[metric]
            if len(checks) >= _FEWEST:
                ordered = sorted(checks, key=lambda label: ranks.get(label, len(ranks)))
                name = names.get(key, key[0]) + ("" if metric == headline else f" ({metric})")
                yield name, tuple(_loss(checks[label]) for label in ordered)
                break


def _has_interval(check: CheckRecord) -> bool:
    limits = (check.low, check.value, check.high)
    least = 0.0 if Unit(check.unit) is Unit.RATIO else -math.inf
    return all(one is not None and least < one < math.inf for one in limits)


def _loss(check: CheckRecord) -> Loss:
    assert check.low is not None  # noqa: S101 - checks without an interval are left out
    assert check.high is not None  # noqa: S101 - the same
    is_ratio = Unit(check.unit) is Unit.RATIO
    limits = (check.value, check.low, check.high)
    value, low, high = (math.log(one) for one in limits) if is_ratio else limits
    return Loss(
        variant=check.variant,
        shown=wording.value_with_interval(check),
        value=value,
        low=low,
        high=high,
        gross=math.log1p(_SHARE) if is_ratio else _SHARE * abs(check.reference_level),
    )


def _fall(cliff: Cliff, reference: str) -> str:
    assert cliff.position is not None  # noqa: S101 - called for workloads that fall
    below = cliff.losses[cliff.position]
    above = reference
    if cliff.position:
        larger = cliff.losses[cliff.position - 1]
        above = f"{larger.variant} ({larger.shown.partition(' [')[0]})"
    return f"{cliff.workload} falls between {above} and {below.variant} ({below.shown})"


def _listed(names: Sequence[str]) -> str:
    """Return `triage, shelf and manual`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
