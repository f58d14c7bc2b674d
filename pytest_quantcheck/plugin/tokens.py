"""Documents in figures: their loss by word and byte, and how far two predictions are apart."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.core.tokens import DivergenceRecord, TextLossRecord, TokenRecord
from pytest_quantcheck.stats.scores import metric_level, pooled_quantile

if TYPE_CHECKING:
    from typing import Any

    from pytest_quantcheck.core.tokens import TokenShift
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.workloads.example import Example

_SHOWN = 5


def text_loss_record(measured: Measurement | None) -> TextLossRecord | None:
    """Return the record of a loss over words and bytes; None where no documents were measured."""
    if measured is None or "byte_perplexity" not in measured.scores:
        return None
    words, utf8 = (measured.scores[name] for name in ("word_perplexity", "byte_perplexity"))
    n_bytes = round(math.fsum(utf8.weights))
    return TextLossRecord(
        n_words=round(math.fsum(words.weights)),
        n_bytes=n_bytes,
        word_perplexity=metric_level(words),
        byte_perplexity=metric_level(utf8),
        bits_per_byte=math.fsum(utf8.values) / n_bytes / math.log(2),
    )


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
