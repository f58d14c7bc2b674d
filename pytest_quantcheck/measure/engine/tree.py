"""Log-likelihoods in packs: what sequences begin with alike is computed once."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from pytest_quantcheck.measure.engine.kernels.exact_norms import ExactNorms
from pytest_quantcheck.measure.engine.kernels.four_bit import FourBitLayers
from pytest_quantcheck.measure.engine.kernels.gates import FusedGates
from pytest_quantcheck.measure.engine.kernels.norms import FusedNorms
from pytest_quantcheck.measure.engine.kernels.rotations import FusedRotations
from pytest_quantcheck.measure.engine.likelihoods import log_likelihoods
from pytest_quantcheck.measure.engine.llm_int8.layers import is_llm_int8, run_packed
from pytest_quantcheck.measure.engine.llm_int8.rooms import Rooms
from pytest_quantcheck.measure.engine.packs import plan_packs
from pytest_quantcheck.measure.engine.plan import PackTooLargeError
from pytest_quantcheck.measure.engine.segments import segments_on
from pytest_quantcheck.measure.engine.upload import upload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.attention import TreeAttention
    from pytest_quantcheck.measure.engine.head import Split
    from pytest_quantcheck.measure.engine.kernels.replaced import Replaced
    from pytest_quantcheck.measure.engine.packs import Pack
    from pytest_quantcheck.measure.engine.plan import Limits
    from pytest_quantcheck.measure.engine.scoring import Scorer
    from pytest_quantcheck.measure.protocols import Advance, ScoreRequest


class Forwards(Protocol):
    """What forwards packs of its own kind: trees, or padded batches."""

    split: Split
    longest: int | None

    def ready(self) -> AbstractContextManager[None]:
        """Return a context in which packs can be forwarded."""
        ...

    def plan(self, requests: Sequence[ScoreRequest], limits: Limits) -> Iterator[Any]:
        """Yield the packs that answer all requests."""
        ...

    def states(
        self,
        pack: Any,  # noqa: ANN401 - one of its own
        later: list[Callable[[], bool]] | None = None,
    ) -> torch.Tensor:
        """Return the final hidden states of each row, (r, d).

        What can only be known when the device is done goes to `later`: whether they hold, or the
        pack is to be forwarded again. Without it the host waits.
        """
        ...


class PackForward:
    """Forwards packs.

    Parameters
    ----------
    split : Split
        Body and head of the model.
    attention : TreeAttention
        What takes the place of its own.
    device : str
        Where its inputs go.
    longest : int, optional
        Tokens of the longest sequence that the attention is right for.
    """

    def __init__(
        self, split: Split, attention: TreeAttention, device: str, *, longest: int | None
    ) -> None:
        self.split = split
        self.longest = longest
        self.rooms = Rooms() if is_llm_int8(attention.model) else None
        self.fused: list[Replaced | FusedRotations] = []
        """What kernels of our own compute: nothing on a CPU."""
        if device.startswith("cuda"):
            # LLM.int8 would amplify what the fused norms round differently
            norms = FusedNorms if self.rooms is None else ExactNorms
            kinds = (FusedGates, FusedRotations, norms, FourBitLayers)
            self.fused = [kind(attention.model) for kind in kinds]
        self._attention = attention
        self._device = device

    def plan(self, requests: Sequence[ScoreRequest], limits: Limits) -> Iterator[Pack]:
        """Yield the packs that answer all requests."""
        return plan_packs(requests, limits)

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Return a context in which packs can be forwarded."""
        with ExitStack() as stack:
            stack.enter_context(self._attention.installed())
            for one in self.fused:
                stack.enter_context(one.installed())
            yield

    def states(self, pack: Pack, later: list[Callable[[], bool]] | None = None) -> torch.Tensor:
        """Return the final hidden states of each row, (t, d)."""
        tokens, positions = upload([pack.tokens, pack.positions], torch.device(self._device))
        self._attention.expect(pack)
        work = partial(self.split.body.states, tokens[None], positions[None])
        if self.rooms is None:
            return work()[0]
        segments = segments_on(self._device, pack.segments, pack.parents.tolist())
        return run_packed(work, segments, self.rooms, later)[0]


class TreeScorer:
    """Scores requests on one model, in packs.

    Parameters
    ----------
    forward : Forwards
        The model.
    single : Scorer
        What scores a sequence that no pack can hold.
    limits : Limits
        What one pack may take.
    """

    def __init__(self, forward: Forwards, single: Scorer, *, limits: Limits) -> None:
        self._forward = forward
        self._single = single
        self._limits = limits

    def score(
        self,
        requests: Sequence[ScoreRequest],
        advance: Advance | None,
        *,
        sequences: int | None = None,
    ) -> list[NDArray[np.float32]]:
        """Return the log-likelihood in nats of each scored token; NaN where logits are not finite.

        Parameters
        ----------
        requests : sequence of ScoreRequest
            In any order.
        advance : callable, optional
            Told of every pack that was handed to the device.
        sequences : int, optional
            Most sequences of a pack.

        Raises
        ------
        PackTooLargeError
            A pack of several sequences does not fit into the memory of the device.
        MeasurementError
            A single sequence does not fit into the memory of the device.
        """
        longest = self._forward.longest
        fits = [longest is None or len(one.tokens) <= longest for one in requests]
        short = [index for index, is_short in enumerate(fits) if is_short]
        alone = [index for index, is_short in enumerate(fits) if not is_short]
        found: dict[int, NDArray[np.float32]] = {}
        tally = _Tally(advance)
        limits = replace(self._limits, sequences=sequences)
        left = self._score([requests[index] for index in short], limits, tally)
        for index, values in zip(short, left, strict=True):
            if values is None:
                alone.append(index)
            else:
                found[index] = values
        if alone:
            alone.sort()
            rest = self._single.score(
                [requests[index] for index in alone], tally.onwards(), sequences=sequences
            )
            found.update(zip(alone, rest, strict=True))
        return [found[index] for index in range(len(requests))]

    def _score(
        self, requests: Sequence[ScoreRequest], limits: Limits, tally: _Tally
    ) -> list[NDArray[np.float32] | None]:
        """Return the log-likelihoods of each request; None where a sequence must go alone."""
        packs: list[Any] = []
        values: list[torch.Tensor] = []
        with self._forward.ready():
            for pack, one in self._forwarded(self._forward.plan(requests, limits), tally):
                packs.append(pack)
                values.append(one)
        found: list[NDArray[np.float32] | None] = [None] * len(requests)
        for pack, host in zip(packs, _on_host(values), strict=True):
            for owner, scores in pack.answers.split(host):
                found[owner] = scores
        return found

    def _forwarded(self, plan: Iterable[Any], tally: _Tally) -> Iterator[tuple[Any, torch.Tensor]]:
        """Yield packs and their values on the device; of a pack that comes again the last hold."""
        doubtful = []
        for pack in plan:
            later: list[Callable[[], bool]] = []
            values = self._attempt(pack, later)
            if values is not None:
                yield pack, values
                tally.add(len(pack.answers.sizes), pack.tokens.size)
                doubtful += [(pack, holds) for holds in later]
                continue
            # The failed pass has left the stack here: its tensors can really be freed.
            torch.cuda.empty_cache()
            if pack.sequences > 1:
                raise PackTooLargeError(pack.sequences)
        again = [pack for pack, holds in doubtful if not holds()]
        if again:
            yield from self._forwarded(again, _Tally(None))

    def _attempt(
        self,
        pack: Any,  # noqa: ANN401 - of the forward's own kind
        later: list[Callable[[], bool]],
    ) -> torch.Tensor | None:
        """Return the values of a pack on the device, or None if memory ran out."""
        try:
            states = self._forward.states(pack, later)
            return log_likelihoods(self._forward.split, states, pack.answers)
        except torch.OutOfMemoryError:
            return None


def _on_host(values: Sequence[torch.Tensor]) -> list[NDArray[np.float32]]:
    """Return tensors of one device as arrays, in one copy."""
    if not values:
        return []
    together = torch.cat(list(values)).cpu().numpy()
    return np.split(together, np.cumsum([len(one) for one in values])[:-1])


class _Tally:
    """Counts requests and tokens for whoever is told."""

    def __init__(self, advance: Advance | None) -> None:
        self._advance = advance
        self._done = self._tokens = 0

    def add(self, done: int, tokens: int) -> None:
        """Count and tell."""
        self._done += done
        self._tokens += tokens
        if self._advance:
            self._advance(self._done, self._tokens)

    def onwards(self) -> Advance | None:
        """Return what counts on from here."""
        advance = self._advance
        if advance is None:
            return None
        return lambda done, tokens: advance(self._done + done, self._tokens + tokens)
