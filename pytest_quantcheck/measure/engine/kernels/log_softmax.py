"""Log-softmax at a few places of each row, without the log-probabilities of all others."""

from __future__ import annotations

from functools import lru_cache

import torch

from pytest_quantcheck.measure.engine.kernels.replaced import HALVES, holds

_BLOCK = 8192
"""Logits of a row that are read at once."""
_WARPS = 8
_DTYPES = (*HALVES, torch.float32)
_ABSOLUTE_NATS = 4e-6
_RELATIVE = 2.0**-21
"""Most that values of a trial may differ: a few units in the last place of float32, of the
logarithm of a sum of 100,000 and of a logit."""
_SCALES = (0.1, 1.0, 30.0)
"""Of the logits of a trial."""


def log_softmax_at(logits: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the log-probabilities in nats of some targets.

    Parameters
    ----------
    logits : (r, v) floating
        Of any strides.
    rows : (p,) int64
        Row of each target, in any order.
    targets : (p,) int64

    Returns
    -------
    (p,) float32
        NaN where a row holds NaN or +inf, or -inf alone.

    Notes
    -----
    torch writes and reads float32 for the whole vocabulary; a kernel of Triton reads the logits
    once (Milakov and Gimelshein, 2018, arXiv:1805.02867, algorithm 3). For 523 rows of 128,256 in
    16 bits it takes 0.05 ms on an H100 where torch takes 0.27, and no memory beside the logits.
    """
    fits = logits.is_cuda and logits.dtype in _DTYPES and logits.stride(1) == 1
    if fits and is_proven(logits.device, logits.dtype, logits.shape[1]):
        return _by_normalizers(logits, rows, targets)
    return _by_torch(logits, rows, targets)


def normalizers(logits: torch.Tensor) -> torch.Tensor:
    """Return what turns logits into log-probabilities: (logit - largest) - logarithm of the sum.

    Parameters
    ----------
    logits : (r, v) floating
        On a GPU; those of a row next to each other.

    Returns
    -------
    (2, r) float32
        The largest logit, and the logarithm of the sum of exponentials of differences to it: two
        numbers, so that no digit is lost against torch.

    Raises
    ------
    ImportError
        There is no Triton.
    """
    from pytest_quantcheck.measure.engine.kernels.triton_log_softmax import normalizer_kernel

    rows, width = logits.shape
    found = torch.empty((2, rows), dtype=torch.float32, device=logits.device)
    largest, log_sums = found
    with torch.cuda.device_of(logits):  # type: ignore[no-untyped-call]
        normalizer_kernel[(rows,)](
            logits, largest, log_sums, width, logits.stride(0), BLOCK=_BLOCK, num_warps=_WARPS
        )
    return found


@lru_cache(maxsize=16)
def is_proven(device: torch.device, dtype: torch.dtype, vocabulary: int) -> bool:
    """Return whether the kernel gives what torch gives for logits of a dtype and vocabulary."""
    return holds(lambda: _is_same(_trial(vocabulary).to(device, dtype)))


def _by_torch(logits: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits, dim=-1, dtype=torch.float32)[rows, targets]


def _by_normalizers(
    logits: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    largest, log_sums = normalizers(logits).index_select(1, rows)
    found: torch.Tensor = (logits[rows, targets] - largest) - log_sums
    return found


def _is_same(logits: torch.Tensor) -> bool:
    """Return whether the first and the last logit of each row get the same values."""
    row = torch.arange(len(logits), device=logits.device)
    rows = torch.cat((row, row))
    targets = torch.cat((torch.zeros_like(row), torch.full_like(row, logits.shape[1] - 1)))
    found, expected = (make(logits, rows, targets) for make in (_by_normalizers, _by_torch))
    return torch.allclose(found, expected, rtol=_RELATIVE, atol=_ABSOLUTE_NATS, equal_nan=True)


def _trial(vocabulary: int) -> torch.Tensor:
    """Return rows of several magnitudes, and rows with each kind of number that is not finite."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((len(_SCALES) + 5, vocabulary), generator=generator)
    logits[: len(_SCALES)] *= torch.tensor(_SCALES)[:, None]
    half_masked, masked, with_nan, with_inf, both = logits[len(_SCALES) :]
    half_masked[: vocabulary // 2 + 1] = -torch.inf
    masked[:] = -torch.inf
    with_nan[0] = torch.nan
    with_inf[-1] = torch.inf
    both[0], both[-1] = -torch.inf, torch.inf
    return logits
