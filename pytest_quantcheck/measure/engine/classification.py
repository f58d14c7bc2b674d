"""A sequence-classification model of transformers in memory, however its weights are stored."""

from __future__ import annotations

import inspect
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch

from pytest_quantcheck.core.quantity import format_count
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.engine.llm_int8.layers import has_int8_layers
from pytest_quantcheck.measure.engine.loaded import (
    LoadedTransformer,
    known_context_tokens,
    library_errors,
)
from pytest_quantcheck.measure.engine.plan import Plan
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.loaded import Loaded
    from pytest_quantcheck.measure.engine.plan import Limits
    from pytest_quantcheck.measure.protocols import Advance

_FEWEST_LABELS = 2


class ClassificationModel(LoadedTransformer):
    """A `LoadedClassifier` of transformers.

    Parameters
    ----------
    loaded : Loaded
        The model in evaluation mode, and what goes with it.
    limits : Limits, optional
        What one forward pass may take; by default what suits the device.

    Raises
    ------
    UsageError
        The model does not choose one label of several.

    Notes
    -----
    Sequences of one length are forwarded together, so that none needs padding. LLM.int8 chooses
    outlier columns by batch, and heads see one row of each sequence: it takes them one by one.
    """

    def __init__(self, loaded: Loaded, *, limits: Limits | None = None) -> None:
        super().__init__(loaded, limits)
        self.labels = _labels(loaded.model)
        config = loaded.model.config.get_text_config()
        self.context_tokens = min(known_context_tokens(config, self.tokenizer))
        self._is_single = _takes_one(loaded.model)
        accepted = inspect.signature(loaded.model.forward).parameters
        self._takes_mask = "attention_mask" in accepted

    @property
    def plan(self) -> str:
        """How sequences are forwarded."""
        return Plan.BATCHES.value

    @property
    def generation_plan(self) -> str:
        """Empty: a classification head generates nothing."""
        return ""

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Return the token ids; with `special`, with all that the tokenizer puts around a text."""
        return (
            self.encoder.encode_whole(text) if special else self.encoder.encode(text, special=False)
        )

    def render_chat(self, *_messages: object, **_options: object) -> NoReturn:
        """Raise UsageError: a classification head answers no chat."""
        raise _no_language_model("ask it as a chat")

    def score(self, *_requests: object, **_options: object) -> NoReturn:
        """Raise UsageError: a classification head gives no log-likelihoods of tokens."""
        raise _no_language_model("score tokens")

    def generate(self, *_prompts: object, **_options: object) -> NoReturn:
        """Raise UsageError: a classification head generates nothing."""
        raise _no_language_model("generate")

    def server(self, *_shape: object) -> NoReturn:
        """Raise UsageError: a classification head generates nothing that could be timed."""
        raise _no_language_model("be timed token by token")

    def memory_use(self, *_shape: object) -> NoReturn:
        """Raise UsageError: there is no cache and no decoding."""
        raise _no_language_model("be timed token by token")

    def classify(
        self, sequences: Sequence[Sequence[int]], *, advance: Advance | None = None
    ) -> NDArray[np.float64]:
        """Return the log-probability in nats of each label.

        Parameters
        ----------
        sequences : sequence of sequence of int
            Token ids, special tokens included.
        advance : callable, optional
            Told the sequences and tokens finished so far.

        Returns
        -------
        (n, k) float64

        Raises
        ------
        NonFiniteLogitsError
            The logits behind a sequence are NaN or infinite.
        """
        with library_errors("classification"), undisturbed(), torch.inference_mode():
            found = self._classified(sequences, advance)
            while found is None:
                # The failed pass has left the stack here: its tensors can really be given back.
                torch.cuda.empty_cache()
                found = self._classified(sequences, advance)
        for index in np.flatnonzero(~np.isfinite(found).all(axis=1)).tolist():
            raise self.not_finite(index)
        return found

    def _classified(
        self, sequences: Sequence[Sequence[int]], advance: Advance | None
    ) -> NDArray[np.float64] | None:
        """Return (n, k) nats; None if memory ran out and packs must be smaller from the start."""
        found = np.empty((len(sequences), len(self.labels)))
        done = tokens = 0
        for batch in self._batches(sequences):
            values = self._attempt([sequences[index] for index in batch])
            length = len(sequences[batch[0]])
            if values is None:
                if len(batch) == 1:
                    raise MeasurementError(
                        f"out of memory on {self.device}: one text of {format_count(length)} "
                        "tokens does not fit beside the weights; shorten it, or free memory on "
                        "the device"
                    )
                self.pack_limit = len(batch) // 2
                return None
            found[batch] = values
            done += len(batch)
            tokens += len(batch) * length
            if advance:
                advance(done, tokens)
        return found

    def _batches(self, sequences: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Yield indices of sequences of equal length, the longest first."""
        groups: dict[int, list[int]] = defaultdict(list)
        for index, sequence in enumerate(sequences):
            groups[len(sequence)].append(index)
        most = 1 if self._is_single else self.pack_limit or len(sequences)
        for length in sorted(groups, reverse=True):
            size = max(1, min(most, self.limits.batch_tokens // length))
            for start in range(0, len(groups[length]), size):
                yield groups[length][start : start + size]

    def _attempt(self, batch: Sequence[Sequence[int]]) -> NDArray[np.float64] | None:
        try:
            inputs = torch.tensor([list(sequence) for sequence in batch], device=self.device)
            mask = {"attention_mask": torch.ones_like(inputs)} if self._takes_mask else {}
            logits = self.model(input_ids=inputs, **mask).logits
            return np.asarray(logits.double().log_softmax(dim=-1).cpu().numpy(), np.float64)
        except torch.OutOfMemoryError:
            return None


def _labels(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the names of the labels in the order of the logits."""
    config: Any = model.config
    names = dict(config.id2label or {})
    if len(names) < _FEWEST_LABELS or config.problem_type not in {
        None,
        "single_label_classification",
    }:
        raise UsageError(
            f"{type(model).__name__} with {len(names)} labels and problem_type="
            f"{config.problem_type!r}: expected a model that chooses one of several labels; "
            "regression and several labels for one text cannot be measured"
        )
    return tuple(str(names[index]) for index in sorted(names))


def _takes_one(model: PreTrainedModel) -> bool:
    """Return whether sequences must be forwarded one by one."""
    # Decoders find the end of each sequence by the padding token, and refuse batches without one.
    return has_int8_layers(model) or model.config.get_text_config().pad_token_id is None


def _no_language_model(what: str) -> UsageError:
    return UsageError(
        f"the model has a classification head and no language-model head, so nothing can {what}; "
        "measure it with Classification without labels=, or give a causal language model"
    )
