"""Single lines below the tables: Holm's list, noise, and what earlier runs measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.quantity import (
    Unit,
    format_count,
    format_pvalue,
    format_quantity,
)
from pytest_quantcheck.report.wording import place

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantcheck.core.record import MeasurementRecord
    from pytest_quantcheck.core.supplements import HolmRecord, NoiseRecord


def also_failing(holm: HolmRecord) -> str:
    """Return that the whole run shows what one budget alone does not."""
    return (
        f"also failing (Holm): {holm.nodeid}: {holm.keyword} of {holm.variant_label} on "
        f"{place(holm)}, p {format_pvalue(holm.p_fail)}, "
        f"{format_pvalue(holm.p_adjusted)} over the family"
    )


def noise(found: NoiseRecord) -> str:
    """Return how far the reference differs from itself on one workload."""
    subject = f"noise floor of {found.workload} {found.metric}"
    if found.is_identical:
        return (
            f"{subject}: 0, {found.reference_label} gives the same in packs of at most "
            f"{found.pack_limit}"
        )
    is_of_tokens = found.level_unit == Unit.PERPLEXITY.value
    most = (
        f"{found.most:.2g} nats per {METRICS[found.metric].per}"
        if is_of_tokens
        else format_quantity(found.most, Unit(found.level_unit))
    )
    margins = "" if found.margin_nats is None else f", by {found.margin_nats:.2g} nats on average"
    return (
        f"{subject}: at most {most}; {format_count(found.n_different)} of "
        f"{format_count(found.n)} differ where {found.reference_label} is measured again in packs "
        f"of at most {found.pack_limit}{margins}"
    )


def text_losses(measurements: Iterable[MeasurementRecord]) -> list[str]:
    """Return a line for each workload of documents: its loss over words and bytes."""
    found: dict[str, list[str]] = {}
    for one in measurements:
        if (loss := one.text_loss) is not None:
            found.setdefault(one.workload, []).append(
                f"{one.variant_label} {format_quantity(loss.word_perplexity, Unit.PERPLEXITY)} and "
                f"{loss.byte_perplexity:.4f} ({loss.bits_per_byte:.4f} bits)"
            )
    return [
        f"{workload} perplexity per word and per byte: {', '.join(variants)}"
        for workload, variants in found.items()
    ]


def reused(measurements: Iterable[MeasurementRecord]) -> str:
    """Return how much of the reference earlier runs measured; empty where nothing."""
    kept = [one for one in measurements if one.is_reference and one.n_from_store]
    if not kept:
        return ""
    n_whole = sum(one.n_from_store == one.n for one in kept)
    workloads = format_count(len(kept), "workload")
    parts = f" ({len(kept) - n_whole} in part)" if n_whole < len(kept) else ""
    since = min(one.measured_at for one in kept)[: len("2026-11-20")]
    return f"reference scores of {workloads} from the store{parts}, since {since}"
