"""The noise floor of budgets, and what a run says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.supplements import NoiseRecord
from pytest_quantcheck.measure.noise import is_identical, margin_change
from pytest_quantcheck.stats.noise import floor_of, measure_noise
from pytest_quantcheck.stats.scores import metric_level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantcheck.core.limit import Limit
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.measure.measurement import MeasuredPair
    from pytest_quantcheck.plugin.evaluate import Pair, Terms
    from pytest_quantcheck.stats.noise import Noise


def noise_floor(limit: Limit, pair: Pair, metric: str, terms: Terms) -> float | None:
    """Return the largest degradation that may be noise; None where it was not measured.

    A claim about these examples only is arithmetic on what was measured, and has none.
    """
    if pair.noise is None or terms.target is Target.DATASET:
        return None
    reference, _ = pair.measurements
    found = _noise_of(pair.noise, metric, terms.levels.alpha_pass)
    return floor_of(limit, found, reference_level=metric_level(reference.scores[metric]))


def noise_records(pairs: Iterable[Pair], checks: Iterable[CheckRecord]) -> list[NoiseRecord]:
    """Return a record for each metric that a floor was looked up for, else for the first."""
    checks = list(checks)
    return [
        _record(pair, pair.noise, metric, checks[0].alpha_pass)
        for pair in pairs
        if pair.noise is not None
        for metric in _metrics(pair.noise, checks)
    ]


def _metrics(found: MeasuredPair, checks: list[CheckRecord]) -> list[str]:
    measured = found.reference
    asked = [
        check.metric
        for check in checks
        if check.noise_floor is not None and check.fingerprint == measured.fingerprint
    ]
    return list(dict.fromkeys(asked)) or list(measured.scores)[:1]


def _record(pair: Pair, found: MeasuredPair, metric: str, alpha: float) -> NoiseRecord:
    noise = _noise_of(found, metric, alpha)
    pack_limit = found.variant.pack_limit
    assert pack_limit is not None  # noqa: S101 - the second measurement has one
    return NoiseRecord(
        model=pair.reference.model,
        reference_label=pair.reference.label,
        workload=found.reference.workload_name,
        fingerprint=found.reference.fingerprint,
        metric=metric,
        level_unit=METRICS[metric].level_unit.value,
        n=noise.n,
        n_different=noise.n_different,
        difference=noise.difference,
        most=noise.most,
        margin_nats=margin_change(found),
        is_identical=is_identical(found),
        pack_limit=pack_limit,
    )


def _noise_of(found: MeasuredPair, metric: str, alpha: float) -> Noise:
    return measure_noise(
        found.reference.scores[metric],
        found.variant.scores[metric],
        alpha=alpha,
        is_identical=is_identical(found),
    )
