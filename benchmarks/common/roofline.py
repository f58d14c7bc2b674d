"""What a scoring run costs at least, by the operations that it cannot avoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from common.meter import matmul_peak

if TYPE_CHECKING:
    from common.meter import Run
    from common.requests import Work


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """Operations a second of large matrix products, measured in this run; None on a CPU."""

    compute: float | None
    int8: float | None


def measure_peaks(device: str, dtype: torch.dtype, *, with_int8: bool) -> Peaks:
    """Return the peaks of a device."""
    return Peaks(
        compute=matmul_peak(device, dtype),
        int8=matmul_peak(device, torch.int8) if with_int8 else None,
    )


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Operations of one run."""

    body: float
    """Linear layers of the body."""
    attention: float
    head: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.body + self.attention + self.head

    def utilization(self, seconds: float, peaks: Peaks) -> float | None:
        """Return the share of the peak in the dtype computed in."""
        return self.total / seconds / peaks.compute if peaks.compute else None

    def limit_share(self, seconds: float, peaks: Peaks, variant: str) -> float | None:
        """Return which share of the run these operations take at the peak of their own dtype."""
        body_peak = peaks.int8 if variant == "int8" else peaks.compute
        if not (body_peak and peaks.compute):
            return None
        rest = (self.attention + self.head) / peaks.compute
        return (self.body / body_peak + rest) / seconds


def cost_of(run: Run, work: Work, config: Any) -> Cost:  # noqa: ANN401 - partly untyped
    """Return the operations of a run of our engine.

    Attention is counted as a tree of shared prefixes needs it; where more tokens than the tree's
    were forwarded, in proportion.
    """
    width, heads = config.hidden_size, config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or width // heads
    keys = config.num_key_value_heads * head_width
    layer = width * (2 * heads * head_width + 2 * keys + 3 * config.intermediate_size)
    distinct, attended = work.tree
    return Cost(
        body=2.0 * layer * config.num_hidden_layers * run.forwarded,
        attention=4.0
        * heads
        * head_width
        * config.num_hidden_layers
        * (attended * run.forwarded / distinct),
        head=2.0 * width * config.vocab_size * run.head_rows,
    )
