"""How far apart the predictions of two models are: figures, and the tokens to look at first."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.tokens import DivergenceRecord, TokenRecord
from pytest_quantcheck.stats.scores import pooled_quantile

if TYPE_CHECKING:
    from typing import Any

    from pytest_quantcheck.core.tokens import TokenShift
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.workloads.example import Example

_SHOWN = 5


def divergence_record(measured: Measurement | None) -> DivergenceRecord | None:
    """Return the record of a variant's divergence; None where none was measured."""
    if measured is None or not measured.divergences:
        return None
    found = measured.divergences
    kl = np.concatenate([one.kl for one in found])
    delta_p = np.concatenate([one.delta_p for one in found])
    shifts = [
        (shift, example)
        for example, one in zip(measured.examples, found, strict=True)
        for shift in one.worst
    ]
    shifts.sort(key=lambda pair: -pair[0].kl)
    return DivergenceRecord(
        n_tokens=kl.size,
        mean_kl=float(kl.mean()),
        p99_kl=pooled_quantile("p99_kl", [kl]),
        max_kl=float(kl.max()),
        top1_agreement=float(np.concatenate([one.has_same_top for one in found]).mean()),
        delta_p_mean=float(delta_p.mean()),
        delta_p_rms=float(np.sqrt(np.mean(delta_p**2))),
        worst=[_token(shift, example) for shift, example in shifts[:_SHOWN]],
    )


def _token(shift: TokenShift, example: Example[Any]) -> TokenRecord:
    return TokenRecord(example=example.id, slice=example.slice, **asdict(shift))
