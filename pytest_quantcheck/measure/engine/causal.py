"""A causal language model of transformers in memory, however its weights are stored."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from pytest_quantcheck.errors import MeasurementError, QuantcheckError
from pytest_quantcheck.measure.engine.chat import render_chat
from pytest_quantcheck.measure.engine.encoding import Encoder
from pytest_quantcheck.measure.engine.forward import Forward
from pytest_quantcheck.measure.engine.generation import Generator
from pytest_quantcheck.measure.engine.plan import Limits, PackTooLargeError
from pytest_quantcheck.measure.engine.scoring import Scorer
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.protocols import (
        Advance,
        Continuation,
        ScoreRequest,
        Weights,
    )
    from pytest_quantcheck.workloads.decoding import Decoding

CPU_LIMITS = Limits(batch_tokens=2048, logits=2**26)
"""256 MiB of float32 logits."""
CUDA_LIMITS = Limits(batch_tokens=16_384, logits=2**29)
"""1 GiB of 16-bit logits."""
_PartT = TypeVar("_PartT")
_NO_LIMIT = 10**9
"""Tokenizers without a limit give a number larger than this."""
_DEFAULT_CONTEXT = 2048
"""For architectures without a longest sequence, as lm-evaluation-harness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a backend hands over."""

    model: PreTrainedModel
    tokenizer: object
    device: str
    compute_dtype: str
    weights: Weights
    overflow_note: str = ""
    """What to say besides when logits are not finite."""


class CausalModel:
    """A `LoadedModel` of transformers.

    Parameters
    ----------
    loaded : Loaded
        The model in evaluation mode, and what goes with it.
    limits : Limits, optional
        What one forward pass may take; by default what suits the device.
    """

    def __init__(self, loaded: Loaded, *, limits: Limits | None = None) -> None:
        on_cuda = loaded.device.startswith("cuda")
        chosen = limits or (CUDA_LIMITS if on_cuda else CPU_LIMITS)
        config = loaded.model.config.get_text_config()
        self.device = loaded.device
        self.compute_dtype = loaded.compute_dtype
        self.weights = loaded.weights
        self.pack_limit: int | None = None
        self.context_tokens = known_context_tokens(config, loaded.tokenizer)[0]
        self._overflow_note = loaded.overflow_note
        self._encoder = Encoder(loaded.tokenizer)
        self._model: PreTrainedModel | None = loaded.model
        self._scorer: Scorer | None = Scorer(
            Forward(loaded.model), loaded.device, vocabulary=config.vocab_size, limits=chosen
        )
        self._generator: Generator | None = Generator(
            loaded.model,
            loaded.device,
            decode=self._encoder.decode,
            ends=_end_tokens(loaded.model, loaded.tokenizer),
            batch_tokens=chosen.batch_tokens,
        )

    @property
    def model(self) -> PreTrainedModel:
        """The model of transformers itself."""
        return opened(self._model)

    @property
    def tokenizer(self) -> object:
        """The tokenizer of transformers itself."""
        return self._encoder.tokenizer

    @property
    def prefix_token(self) -> int:
        """Token that stands before a document."""
        return self._encoder.prefix_token

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the token ids; with `special`, exactly one BOS where the tokenizer adds one."""
        return self._encoder.encode(text, special=special)

    def render_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        options: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a conversation as the chat template writes it, up to the assistant's turn."""
        return render_chat(self.tokenizer, messages, tools=tools, options=options or {})

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text without special tokens."""
        return self._encoder.decode(tokens)

    def score(
        self, requests: Sequence[ScoreRequest], *, advance: Advance | None = None
    ) -> list[NDArray[np.float32]]:
        """Return the log-likelihood in nats of each scored token, per request."""
        scorer = opened(self._scorer)
        with library_errors("scoring"), undisturbed(), torch.inference_mode():
            scores = self._in_fitting_packs(
                lambda most: scorer.score(requests, advance, sequences=most)
            )
        for index, values in enumerate(scores):
            if np.isnan(values).any():
                raise self._not_finite(index)
        return scores

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
            raise self._not_finite(found.broken)
        return list(found.found)

    def close(self) -> None:
        """Free the memory for real."""
        self._model = self._scorer = self._generator = None
        gc.collect()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _in_fitting_packs(self, work: Callable[[int | None], _PartT]) -> _PartT:
        """Do `work` with most sequences of a pack; from the start in smaller ones if need be."""
        while True:
            try:
                return work(self.pack_limit)
            except PackTooLargeError as error:
                self.pack_limit = error.sequences // 2
            # The failed pass has left the stack here: its tensors can really be given back.
            torch.cuda.empty_cache()

    def _not_finite(self, index: int) -> NonFiniteLogitsError:
        note = self._overflow_note or (
            f"the {self.compute_dtype} computation overflowed or the weights are broken; this is "
            "no regression: check the checkpoint, or compute in bf16"
        )
        return NonFiniteLogitsError(
            f"the logits are not finite (NaN or infinite): {note}", request=index
        )


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Say that the architecture, not a score, is what broke."""
    try:
        yield
    except QuantcheckError:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise MeasurementError(
            f"{what} failed inside the model ({type(error).__name__}: {first}); this is no "
            "regression: the architecture may not work at this precision"
        ) from error


def opened(part: _PartT | None) -> _PartT:
    """Return a part of a variant that has not been closed."""
    if part is None:
        raise MeasurementError("this variant was closed; ask its handle again")
    return part


def known_context_tokens(config: object, tokenizer: object) -> list[int]:
    """Return the longest sequence by each source that knows one, the model's first."""
    candidates = [
        getattr(config, name, None)
        for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    ]
    candidates.append(getattr(tokenizer, "model_max_length", None))
    known = [int(value) for value in candidates if value and 0 < value < _NO_LIMIT]
    return known or [_DEFAULT_CONTEXT]


def _end_tokens(model: PreTrainedModel, tokenizer: object) -> tuple[int, ...]:
    """Return the tokens that end a sequence: the generation config's, else the tokenizer's."""
    ends = getattr(model.generation_config, "eos_token_id", None)
    if ends is None:
        ends = getattr(tokenizer, "eos_token_id", None)
    if ends is None:
        return ()
    return tuple(ends) if isinstance(ends, list | tuple) else (int(ends),)
