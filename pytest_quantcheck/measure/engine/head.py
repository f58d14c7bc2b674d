"""A model in two parts: the body up to its final hidden states, and the head on top of them."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from typing import Self

    from transformers import PreTrainedModel

_PROBE_TOKENS = 16
_RELATIVE_TOLERANCE = 1e-3
"""Of the largest logit: the same arithmetic on the same values differs by less in any dtype."""
_OF_THE_WHOLE = ("forward", "_old_forward", "_hf_hook")
"""Attributes that are bound to the whole model: a wrapped forward, and what accelerate adds."""


class Head:
    """The architecture's own head, with whatever it does to its logits.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.

    Notes
    -----
    The model's own forward runs, its body replaced by what hands the given states over: so
    softcapping and scaling are part of it. It shares the weights of the head, and nothing else
    with the model: it can outlive the body.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        prefix = model.base_model_prefix
        parts = model.__dict__["_modules"]
        if prefix not in parts or parts[prefix] is not model.base_model:
            raise ValueError(f"{type(model).__name__} has no body of its own")
        self._given = _Given()
        # A shallow copy is another module with the same parameters, whose parts can be exchanged.
        self._shell = copy.copy(model)
        self._shell.__dict__["_modules"] = parts | {prefix: self._given}
        for name in _OF_THE_WHOLE:
            self._shell.__dict__.pop(name, None)
        self._token = torch.zeros((1, 1), dtype=torch.int64)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits of final hidden states.

        Parameters
        ----------
        states : (r, d) floating
            On the device of the head.

        Returns
        -------
        (r, v) floating
        """
        self._given.states = states[None]
        try:
            output = self._shell(input_ids=self._token)
        finally:
            self._given.states = None
        return output.logits[0]  # type: ignore[no-any-return]


class Body:
    """All of a model below its head.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        accepted = inspect.signature(model.base_model.forward).parameters
        self._module: Any = model.base_model
        self._options = {"use_cache": False} if "use_cache" in accepted else {}
        self.takes_positions = "position_ids" in accepted
        """Whether the place of each token in its sequence can be given."""

    def states(self, inputs: torch.Tensor, positions: torch.Tensor | None = None) -> torch.Tensor:
        """Return the final hidden states: what the head takes.

        Parameters
        ----------
        inputs : (b, t) int64
            Token ids.
        positions : (b, t) int64, optional
            Place of each token in its sequence; counted from 0 by default.

        Returns
        -------
        (b, t, d) floating
        """
        options: dict[str, Any] = dict(self._options)
        if positions is not None:
            options["position_ids"] = positions
        return self._module(input_ids=inputs, **options).last_hidden_state  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Both parts of a model."""

    body: Body
    head: Head
    vocabulary: int
    """Logits of one position."""


def split_model(model: PreTrainedModel, device: str) -> Split | None:
    """Return body and head of a model; None where the two do not make its own logits.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    device : str
        Where its inputs go.

    Notes
    -----
    Two forward passes of 16 tokens, compared.
    """
    inputs = _probe_tokens(model, device)
    try:
        body, head = Body(model), Head(model)
        found = head.logits(body.states(inputs)[0])
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001 - an architecture of another make: it is used whole
        return None
    expected = model(input_ids=inputs).logits[0]
    if not is_close(found.to(expected.device), expected, _RELATIVE_TOLERANCE):
        return None
    return Split(body=body, head=head, vocabulary=found.shape[-1])


def is_close(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> bool:
    """Whether values of the same shape differ by no more than a fraction of the largest."""
    if found.shape != expected.shape:
        return False
    found, expected = found.float(), expected.float()
    finite = expected[expected.isfinite()].abs()
    largest = float(finite.max()) if len(finite) else 0.0
    return torch.allclose(found, expected, rtol=0, atol=tolerance * largest, equal_nan=True)


def _probe_tokens(model: PreTrainedModel, device: str) -> torch.Tensor:
    """Return a sequence of different tokens, (1, 16)."""
    size = int(model.get_input_embeddings().num_embeddings)  # type: ignore[arg-type]
    return torch.arange(1, _PROBE_TOKENS + 1, device=device)[None] * 7919 % size


class _Given(torch.nn.Module):
    """A body that answers anything with the states it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.states: torch.Tensor | None = None

    @property
    def decoder(self) -> _Given:
        """Itself: some heads stand on a part of the body."""
        return self

    def forward(self, *_inputs: object, **_options: object) -> _Output:
        """Return the states in whatever form the head reads them."""
        assert self.states is not None  # noqa: S101 - set by the caller
        return _Output(self.states)


class _Output(tuple[torch.Tensor]):
    """An output of a body that holds final hidden states and nothing else."""

    __slots__ = ()

    def __new__(cls, states: torch.Tensor) -> Self:
        return super().__new__(cls, (states,))

    @property
    def last_hidden_state(self) -> torch.Tensor:
        """What the head takes."""
        return self[0]

    def __getattr__(self, _name: str) -> None:
        return None
