"""A loaded model in an engine of its own: under other limits, with another plan."""

from __future__ import annotations

from functools import partial

from pytest_quantcheck.measure.engine.causal import CausalModel
from pytest_quantcheck.measure.engine.loaded import Loaded
from pytest_quantcheck.measure.engine.plan import Plan

PARTS = ("model", "tokenizer", "device", "compute_dtype", "weights")


def in_engine(loaded, limits=None, *, plan=None, **changes):
    """Return the same model forwarded otherwise, or with other parts."""
    parts = {name: getattr(loaded, name) for name in PARTS}
    return CausalModel(Loaded(**parts | changes), limits=limits, plan=plan)


in_batches = partial(in_engine, plan=Plan.BATCHES)
