"""Sampling whose random numbers belong to an output, not to the batch it is made in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.workloads.decoding import Decoding

_GOLDEN = 0x9E3779B97F4A7C15
_FACTORS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_BITS = 52
"""One less than a float64 holds, so that a half can be added without rounding to 1."""


class Sampler:
    """Adds noise after which the largest logit is a sample.

    Parameters
    ----------
    decoding : Decoding
        Temperature, top-k and top-p, applied in this order, as in transformers.

    Notes
    -----
    The sample is the largest of logit + Gumbel noise (Gumbel, 1954). The noise of a token is a
    function of stream, step and token alone: reference and variant, which see the same noise,
    differ only where their distributions do, at most twice as often as any two coupled samples
    must (Daliri, Musco and Suresh, 2024, arXiv:2408.07978).
    """

    def __init__(self, decoding: Decoding) -> None:
        self._warp = LogitsProcessorList([TemperatureLogitsWarper(decoding.temperature or 1.0)])
        if decoding.top_k is not None:
            self._warp.append(TopKLogitsWarper(decoding.top_k))
        if decoding.top_p is not None:
            self._warp.append(TopPLogitsWarper(decoding.top_p))

    def noisy(
        self, logits: torch.Tensor, streams: Sequence[int], steps: Sequence[int]
    ) -> torch.Tensor:
        """Return logits with their noise.

        Parameters
        ----------
        logits : (b, v) float32
            Of the next token of each row.
        streams, steps : sequence of int
            For each row, which random numbers it takes, and how many tokens it has.
        """
        device, vocabulary = logits.device, logits.shape[1]
        warped: torch.Tensor = self._warp(logits.long(), logits)  # type: ignore[arg-type]  # no token is looked at
        seeds = torch.tensor([_signed(one) for one in streams], device=device)[:, None]
        taken = torch.tensor(steps, device=device)[:, None] * vocabulary
        counters = torch.arange(vocabulary, device=device) + taken
        return warped.double() - (-uniforms(seeds, counters).log()).log()


class SamplingProcessor:
    """A logits processor of transformers' own loop, after which the largest logit is a sample.

    Parameters
    ----------
    decoding : Decoding
        How outputs are sampled.
    streams : sequence of int
        For each row, which random numbers it takes.
    """

    def __init__(self, decoding: Decoding, streams: Sequence[int]) -> None:
        self._sampler = Sampler(decoding)
        self._streams = streams
        self._step = 0

    def __call__(self, _tokens: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the logits (b, v) of one step with their noise."""
        steps = [self._step] * len(logits)
        self._step += 1
        return self._sampler.noisy(logits, self._streams, steps)


def uniforms(streams: torch.Tensor, counters: torch.Tensor) -> torch.Tensor:
    """Return numbers in (0, 1), equal on every device.

    Parameters
    ----------
    streams : (b, 1) int64
        Seeds of SplitMix64 (Steele, Lea and Flood, 2014).
    counters : (n,) or (b, n) int64
        Which number of each stream, from 0.

    Returns
    -------
    (b, n) float64
    """
    state = streams + (counters + 1) * _signed(_GOLDEN)
    state = (state ^ _shift(state, 30)) * _signed(_FACTORS[0])
    state = (state ^ _shift(state, 27)) * _signed(_FACTORS[1])
    state ^= _shift(state, 31)
    return (_shift(state, 64 - _BITS).double() + 0.5) * 2.0**-_BITS


def _shift(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Shift right as if the values were unsigned."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
