"""What every model of transformers in memory has, whatever it is asked."""

from __future__ import annotations

import gc
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch

from pytest_quantcheck.errors import MeasurementError, QuantcheckError, first_line
from pytest_quantcheck.measure.engine.encoding import Encoder
from pytest_quantcheck.measure.engine.plan import Limits
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.protocols import Weights

CPU_LIMITS = Limits(batch_tokens=2048, logits=2**26)
"""256 MiB of float32 logits."""
CUDA_LIMITS = Limits(batch_tokens=16_384, pack_tokens=65_536, logits=2**29)
"""1 GiB of 16-bit logits. Small models take longer to be launched than to be computed: they get
large packs."""
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
    """Of transformers, or an `Encoder` of one that other variants use too."""
    device: str
    compute_dtype: str
    weights: Weights
    disk_bytes: int | None = None
    """Of the files of weights it was loaded from, where they are known."""
    overflow_note: str = ""
    """What to say besides when logits are not finite."""


class LoadedTransformer:
    """The part of a `LoadedModel` that does not depend on its head.

    Parameters
    ----------
    loaded : Loaded
        The model in evaluation mode, and what goes with it.
    limits : Limits, optional
        What one forward pass may take; by default what suits the device.
    """

    def __init__(self, loaded: Loaded, limits: Limits | None) -> None:
        self.device = loaded.device
        self.compute_dtype = loaded.compute_dtype
        self.weights = loaded.weights
        self.disk_bytes = loaded.disk_bytes
        self.pack_limit: int | None = None
        self.limits = limits or (CUDA_LIMITS if self._is_on_cuda else CPU_LIMITS)
        given = loaded.tokenizer
        self.encoder = given if isinstance(given, Encoder) else Encoder(given)
        self._overflow_note = loaded.overflow_note
        self._model: PreTrainedModel | None = loaded.model

    @property
    def model(self) -> PreTrainedModel:
        """The model of transformers itself."""
        return opened(self._model)

    @property
    def tokenizer(self) -> object:
        """The tokenizer of transformers itself."""
        return self.encoder.tokenizer

    @property
    def prefix_token(self) -> int:
        """Token that stands before a document."""
        return self.encoder.prefix_token

    def read_ahead(self, texts: Iterable[str]) -> None:
        """Tokenize texts that `encode` will be asked for, together."""
        self.encoder.read_ahead(texts)

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text without special tokens."""
        return self.encoder.decode(tokens)

    def close(self) -> None:
        """Free the memory for real."""
        parts = _untangled(self._model) if self._model else []
        self._model = None
        if any(part() is not None for part in parts):  # in cycles; a search takes 0.3 s
            gc.collect()
        if self._is_on_cuda:
            torch.cuda.empty_cache()

    def not_finite(self, index: int) -> NonFiniteLogitsError:
        """Return what to raise where the logits of one request are NaN or infinite."""
        note = self._overflow_note or (
            f"the {self.compute_dtype} computation overflowed or the weights are broken; this is "
            "no regression: check the checkpoint, or compute in bf16"
        )
        return NonFiniteLogitsError(
            f"the logits are not finite (NaN or infinite): {note}",
            request=index,
            is_configuration=bool(self._overflow_note),
        )

    @property
    def _is_on_cuda(self) -> bool:
        return self.device.startswith("cuda")


def _untangled(model: PreTrainedModel) -> list[weakref.ref[torch.nn.Module]]:
    """Return the parts of a model that is closed, without the cycles that are known.

    A part leaves memory with its last owner, unless it holds itself: the weights of bitsandbytes'
    4-bit layers hold their layer, and so does what separates the sequences in its 8-bit layers.
    """
    for module in model.modules():
        attributes = vars(module)
        forward = attributes.get("forward")
        if isinstance(forward, partial) and forward.args[:1] == (module,):
            del attributes["forward"]
        for parameter in module.parameters(recurse=False):
            if getattr(parameter, "module", None) is module:
                parameter.module = None  # type: ignore[attr-defined]  # as bitsandbytes names it
    return [weakref.ref(module) for module in model.modules()]


@contextmanager
def library_errors(what: str) -> Iterator[None]:
    """Say that the architecture, not a score, is what broke."""
    try:
        yield
    except QuantcheckError:
        raise
    except Exception as error:
        raise MeasurementError(
            f"{what} failed inside the model ({type(error).__name__}: {first_line(error)}); this "
            "is no regression: the architecture may not work at this precision"
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
