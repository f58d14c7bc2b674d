"""A causal language model of transformers in memory, however its weights are stored."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from pytest_quantcheck.measure.engine.chat import render_chat
from pytest_quantcheck.measure.engine.forward import Forward
from pytest_quantcheck.measure.engine.generation import Generator
from pytest_quantcheck.measure.engine.head import split_model
from pytest_quantcheck.measure.engine.loaded import (
    LoadedTransformer,
    known_context_tokens,
    library_errors,
    opened,
)
from pytest_quantcheck.measure.engine.outputs import Ending
from pytest_quantcheck.measure.engine.plan import PackTooLargeError
from pytest_quantcheck.measure.engine.predictions import (
    KeptPredictions,
    MadePredictions,
    revived,
)
from pytest_quantcheck.measure.engine.probe import choose_plan
from pytest_quantcheck.measure.engine.scoring import Scorer
from pytest_quantcheck.measure.engine.states import StateReader
from pytest_quantcheck.measure.engine.tree import TreeScorer
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.latency.compiled import capture_on
from pytest_quantcheck.measure.latency.memory import memory_use
from pytest_quantcheck.measure.latency.serving import ServedModel, open_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pytest_quantcheck.core.memory import MemoryUse
    from pytest_quantcheck.measure.engine.head import Split
    from pytest_quantcheck.measure.engine.loaded import Loaded
    from pytest_quantcheck.measure.engine.plan import Limits, Plan
    from pytest_quantcheck.measure.engine.probe import Choice
    from pytest_quantcheck.measure.latency.protocols import Shape
    from pytest_quantcheck.measure.latency.serving import ModelServer
    from pytest_quantcheck.measure.protocols import (
        Advance,
        Continuation,
        ScoreRequest,
    )
    from pytest_quantcheck.store.codec import Content
    from pytest_quantcheck.workloads.decoding import Decoding

_PartT = TypeVar("_PartT")
_WIDEST_ELEMENTS = 100_000_000
"""Of what the widest layer makes of a pack: 0.6 GiB in 16 bits for the three of a gated MLP."""
_USUAL_WIDTH = 4096
_CPU_CACHE_BYTES = 2**29
_CUDA_CACHE_BYTES = 2**32
"""Keys and values of the sequences that are continued together."""


class CausalModel(LoadedTransformer):
    """A `LoadedModel` of transformers.

    Parameters
    ----------
    loaded : Loaded
        The model in evaluation mode, and what goes with it.
    limits : Limits, optional
        What one forward pass may take; by default what suits the device.
    plan : Plan, optional
        How sequences are forwarded if the model allows it; by default what suits the device.
    """

    def __init__(
        self, loaded: Loaded, *, limits: Limits | None = None, plan: Plan | None = None
    ) -> None:
        super().__init__(loaded, limits)
        config = loaded.model.config.get_text_config()
        self.context_tokens = known_context_tokens(config, self.tokenizer)[0]
        self._wanted = plan
        self._choice: Choice | None = None
        self._pack_limits = replace(
            self.limits, batch_tokens=_pack_tokens(loaded.model, self.limits)
        )
        self._vocabulary: int = config.vocab_size
        self._split: Split | None = None
        self._batches: Scorer | None = Scorer(
            Forward(loaded.model), loaded.device, vocabulary=self._vocabulary, limits=self.limits
        )
        self._generator: Generator | None = Generator(
            loaded.model,
            loaded.device,
            ending=Ending(
                decode=self.encoder.decode, tokens=_end_tokens(loaded.model, self.tokenizer)
            ),
            batch_tokens=self.limits.batch_tokens,
            cache_bytes=_CUDA_CACHE_BYTES if self._is_on_cuda else _CPU_CACHE_BYTES,
        )

    @property
    def plan(self) -> str:
        """How sequences are forwarded to be scored; empty until some were."""
        return self._choice.text if self._choice else ""

    @property
    def generation_plan(self) -> str:
        """How outputs are generated."""
        return opened(self._generator).plan

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the token ids; with `special`, exactly one BOS where the tokenizer adds one."""
        return self.encoder.encode(text, special=special)

    def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a conversation as the chat template writes it, up to the assistant's turn."""
        return render_chat(self.tokenizer, messages, tools=tools, options=options or {})

    def score(
        self, requests: Sequence[ScoreRequest], *, advance: Advance | None = None
    ) -> list[NDArray[np.float32]]:
        """Return the log-likelihood in nats of each scored token, per request."""
        with library_errors("scoring"), undisturbed(), torch.inference_mode():
            scorer = self._scorer()
            scores = self._in_fitting_packs(
                lambda most: scorer.score(requests, advance, sequences=most)
            )
        for index, values in enumerate(scores):
            if np.isnan(values).any():
                raise self.not_finite(index)
        return scores

    def predictions(
        self, requests: Sequence[ScoreRequest], *, advance: Advance | None = None
    ) -> KeptPredictions | MadePredictions:
        """Return what the model predicts for each scored token, to be compared with another."""
        with library_errors("scoring"), undisturbed(), torch.inference_mode():
            packs, split = self._chosen().packs, self._parts()
            if split is None:
                return MadePredictions(
                    requests=tuple(requests),
                    forward=lambda: Forward(self.model),
                    device=self.device,
                    vocabulary=self._vocabulary,
                )
            reader = StateReader(
                split.body,
                self.device,
                packs=packs,
                vocabulary=split.vocabulary,
                limits=self._pack_limits,
            )
            states = self._in_fitting_packs(
                lambda most: reader.read(requests, sequences=most, advance=advance)
            )
        return KeptPredictions(
            requests=tuple(requests),
            states=states,
            head=split.head,
            device=self.device,
            vocabulary=split.vocabulary,
        )

    def revived_predictions(
        self, requests: Sequence[ScoreRequest], kept: Content
    ) -> KeptPredictions | None:
        """Return another variant's predictions as kept, if this model has the same head."""
        data: Any = kept.data
        if data["dtype"] != self.compute_dtype:
            return None
        with library_errors("scoring"), undisturbed(), torch.inference_mode():
            split = self._parts()
            if split is None:
                return None
            return revived(
                kept, requests, split.head, device=self.device, vocabulary=split.vocabulary
            )

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        *,
        streams: Sequence[int] = (),
        advance: Advance | None = None,
    ) -> list[Continuation]:
        """Return the continuation of each prompt."""
        generator = opened(self._generator)
        with library_errors("generation"), undisturbed(), torch.inference_mode():
            found = self._in_fitting_packs(
                lambda most: generator.generate(
                    prompts, decoding, streams=streams, advance=advance, sequences=most
                )
            )
        if found.broken is not None:
            raise self.not_finite(found.broken)
        return list(found.found)

    def server(self, shape: Shape) -> ModelServer:
        """Return what serves requests of one shape, to be timed."""
        return open_server(self._served_model(), shape)

    def memory_use(self, shape: Shape) -> MemoryUse:
        """Return what the model takes while it serves a shape."""
        return memory_use(
            self._served_model(),
            shape,
            weight_bytes=self.weights.stored_bytes,
            disk_bytes=self.disk_bytes,
        )

    def close(self) -> None:
        """Free the memory for real."""
        self._batches = self._generator = self._choice = self._split = None
        super().close()

    def _served_model(self) -> ServedModel:
        generator = opened(self._generator)
        return ServedModel(
            model=self.model,
            device=self.device,
            layout=lambda: generator.layout,
            context_tokens=self.context_tokens,
            capture=capture_on(self.device),
        )

    def _scorer(self) -> Scorer | TreeScorer:
        """Return what scores, chosen when the model is first asked."""
        batches = opened(self._batches)
        forward = self._chosen().forward
        if forward is None:
            return batches
        return TreeScorer(forward, batches, limits=self._pack_limits)

    def _chosen(self) -> Choice:
        """Return how sequences are forwarded, found when the model is first asked."""
        if self._choice is None:
            self._choice = choose_plan(self.model, self.device, self._wanted)
        return self._choice

    def _parts(self) -> Split | None:
        """Return body and head; None where the two do not make the model's own logits."""
        forward = self._chosen().forward
        if forward is not None:
            return forward.split
        if self._split is None:
            self._split = split_model(self.model, self.device)
        return self._split

    def _in_fitting_packs(self, work: Callable[[int | None], _PartT]) -> _PartT:
        """Do `work` with most sequences of a pack; from the start in smaller ones if need be."""
        while True:
            try:
                return work(self.pack_limit)
            except PackTooLargeError as error:
                self.pack_limit = error.sequences // 2
            # The failed pass has left the stack here: its tensors can really be given back.
            torch.cuda.empty_cache()


def _pack_tokens(model: PreTrainedModel, limits: Limits) -> int:
    """Return the tokens of a pack, fewer where the inner layers of the model are wide."""
    config = model.config.get_text_config()
    known = [getattr(config, name, None) for name in ("intermediate_size", "ffn_dim", "n_inner")]
    widths = [one for one in known if isinstance(one, int)]
    widest = max(widths, default=4 * int(getattr(config, "hidden_size", _USUAL_WIDTH)))
    return min(limits.pack_tokens or limits.batch_tokens, _WIDEST_ELEMENTS // widest)


def _end_tokens(model: PreTrainedModel, tokenizer: object) -> tuple[int, ...]:
    """Return the tokens that end a sequence: the generation config's, else the tokenizer's."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    if ends is None:
        ends = getattr(tokenizer, "eos_token_id", None)
    if ends is None:
        return ()
    return tuple(ends) if isinstance(ends, list | tuple) else (int(ends),)
