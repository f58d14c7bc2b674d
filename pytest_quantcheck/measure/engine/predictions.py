"""Two models' predictions of the same tokens, compared without the logits of all of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from pytest_quantcheck.measure.divergence import TokenDivergences
from pytest_quantcheck.measure.engine.states import StateArrays
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError, RequestError
from pytest_quantcheck.store.codec import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_quantcheck.measure.engine.forward import Forward
    from pytest_quantcheck.measure.engine.head import Head
    from pytest_quantcheck.measure.protocols import Advance, ScoreRequest

_CHUNK_ELEMENTS = 2**25
"""Logits of one model that are alive at once: 128 MiB of float32."""
_LOWEST_KL = -(2.0**-20)
"""What rounding explains: see `_compare_rows`."""
_DIGEST_ROWS = 16
"""Rows of which every weight of a head makes logits: enough to tell it from a quantized one."""


class _Logits(Protocol):
    """Where the logits of scored tokens come from, some rows at a time."""

    @property
    def vocabulary(self) -> int:
        """Logits of one row."""
        ...

    def rows(self, request: int, size: int) -> Iterator[torch.Tensor]:
        """Yield the logits of the scored tokens in order, (at most `size`, v)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptPredictions:
    """Final hidden states and the head that makes logits of them.

    Notes
    -----
    They can be compared when the body has left memory. A state takes 2·d bytes in 16 bits, its
    logits 2·v: 60 times as much for 8B parameters and 128,000 tokens.
    """

    requests: tuple[ScoreRequest, ...]
    states: StateArrays
    head: Head
    device: str
    """Where the head is."""
    vocabulary: int
    needs_model: bool = False

    def divergences(
        self, variant: _Logits, *, advance: Advance | None = None
    ) -> list[TokenDivergences]:
        """Return, per request, how a variant's predictions differ from these."""
        return _compare((self, variant), self.requests, advance)

    def kept(self) -> Content:
        """Return the states, and what tells the head from others."""
        return Content(
            data={
                "dtype": self.states.dtype,
                "vocabulary": self.vocabulary,
                "head": self.head_digest(),
            },
            arrays={str(index): states for index, states in enumerate(self.states.arrays)},
        )

    @torch.inference_mode()
    def head_digest(self) -> str:
        """Return the digest of the logits that the head makes of the first states."""
        first = self.states.tensor(0)[:_DIGEST_ROWS].to(self.device)
        logits = self.head.logits(first).float().cpu().numpy()
        return hashlib.sha256(logits.tobytes()).hexdigest()

    def rows(self, request: int, size: int) -> Iterator[torch.Tensor]:
        """Yield the logits of one request from its states."""
        for part in torch.split(self.states.tensor(request), size):
            yield self.head.logits(part.to(self.device))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MadePredictions:
    """The model itself, asked one sequence at a time: where no head can be split off."""

    requests: tuple[ScoreRequest, ...]
    forward: Callable[[], Forward]
    """Raises where the model was closed."""
    device: str
    vocabulary: int
    needs_model: bool = True

    def kept(self) -> None:
        """Return nothing: a later run needs the model."""

    def divergences(
        self, variant: _Logits, *, advance: Advance | None = None
    ) -> list[TokenDivergences]:
        """Return, per request, how a variant's predictions differ from these."""
        return _compare((self, variant), self.requests, advance)

    def rows(self, request: int, size: int) -> Iterator[torch.Tensor]:
        """Yield the logits of one request from a pass of its own."""
        asked = self.requests[request]
        inputs = torch.tensor([asked.inputs], device=self.device)
        logits = self.forward().logits(inputs, len(asked.targets))
        yield from torch.split(logits[0], size)


def revived(
    kept: Content, requests: Sequence[ScoreRequest], head: Head, *, device: str, vocabulary: int
) -> KeptPredictions | None:
    """Return predictions that an earlier run kept, with a head that is in memory now.

    Parameters
    ----------
    kept : Content
        What `KeptPredictions.kept` returned.
    requests : sequence of ScoreRequest
        The same.
    head : Head
        Of any variant.
    device : str
        Where the head is.
    vocabulary : int
        Logits of one row.

    Returns
    -------
    KeptPredictions or None
        None where the head makes other logits of the same states, or the states are of other
        requests.
    """
    data: Any = kept.data
    states = StateArrays(arrays=tuple(kept.arrays.values()), dtype=data["dtype"])
    sizes = [len(request.targets) for request in requests]
    if data["vocabulary"] != vocabulary or [len(one) for one in states.arrays] != sizes:
        return None
    found = KeptPredictions(
        requests=tuple(requests), states=states, head=head, device=device, vocabulary=vocabulary
    )
    return found if found.head_digest() == data["head"] else None


@torch.inference_mode()
def _compare(
    models: tuple[_Logits, _Logits], requests: Sequence[ScoreRequest], advance: Advance | None
) -> list[TokenDivergences]:
    reference, variant = models
    size = max(1, _CHUNK_ELEMENTS // variant.vocabulary)
    found, n_tokens = [], 0
    for index, request in enumerate(requests):
        targets = torch.tensor(request.targets)
        sides = reference.rows(index, size), variant.rows(index, size)
        columns = [
            _compare_rows(before, after, part)
            for before, after, part in zip(*sides, torch.split(targets, size), strict=True)
        ]
        found.append(_as_divergences(torch.cat(columns, dim=1).cpu().numpy(), index))
        n_tokens += len(targets)
        if advance is not None:
            advance(index + 1, n_tokens)
    return found


def _compare_rows(
    reference: torch.Tensor, variant: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Return six numbers for each row: see `_as_divergences`.

    Parameters
    ----------
    reference, variant : (r, v) floating
        Logits.
    targets : (r,) int64
        The tokens that follow.

    Returns
    -------
    (6, r) float64

    Notes
    -----
    Log-probabilities are float32 and sums float64. Rounding leaves the sums P and Q of both
    distributions not quite 1, which is undone: KL = Σ p·(ln p - ln q) / P - ln P + ln Q.

    That is the divergence of p / P from q / Q, which is never negative, but for ln p and ln q: they
    are off by as much as exp rounds, within 2 units in the last place on CPU and CUDA. Once for p
    and once for q that is at most 4·2⁻²³ nats below; twice as much, 2⁻²⁰, is taken for rounding.
    """
    log_q = torch.log_softmax(variant, dim=-1, dtype=torch.float32)
    log_p = torch.log_softmax(reference.to(variant.device), dim=-1, dtype=torch.float32)
    p, q = log_p.exp(), log_q.exp()
    terms = torch.where(p > 0, p * (log_p - log_q), 0.0)  # what one never predicts adds nothing
    p_sum, q_sum = p.sum(-1, dtype=torch.float64), q.sum(-1, dtype=torch.float64)
    kl = terms.sum(-1, dtype=torch.float64) / p_sum - p_sum.log() + q_sum.log()
    target = targets.to(variant.device)[:, None]
    delta = q.gather(1, target) - p.gather(1, target)
    top_p, top_q = p.max(-1), q.max(-1)
    columns = (kl, delta[:, 0], top_p.values, top_q.values, top_p.indices, top_q.indices)
    return torch.stack([column.double() for column in columns])


def _as_divergences(
    columns: np.ndarray[tuple[int, int], np.dtype[np.float64]], request: int
) -> TokenDivergences:
    kl, delta, reference_p, variant_p, reference_top, variant_top = columns
    if not np.isfinite(kl).all():
        raise NonFiniteLogitsError(
            "the two predictions of a token are infinitely far apart, or their logits are not "
            "finite (NaN or infinite)",
            request=request,
        )
    if (least := float(kl.min())) < _LOWEST_KL:
        raise RequestError(
            f"a token's divergence is {least:.3g} nats, and rounding explains no less than "
            f"{_LOWEST_KL:.2g}: the device computes wrongly; measure again, or elsewhere",
            request=request,
        )
    return TokenDivergences(
        kl=np.maximum(kl, 0.0),
        delta_p=delta,
        reference_top=reference_top.astype(np.int64),
        variant_top=variant_top.astype(np.int64),
        reference_p=reference_p,
        variant_p=variant_p,
    )
