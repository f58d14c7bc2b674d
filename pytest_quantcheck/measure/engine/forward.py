"""One forward pass: the logits of the last positions, whole or in segments."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel


class Forward:
    """Calls a model with what its architecture accepts.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        accepted = inspect.signature(model.forward).parameters
        self._model = model
        self.keeps_rows = "logits_to_keep" in accepted
        """Whether the head can be run on the last positions only."""
        self._chooses_cache = "use_cache" in accepted
        self.segments = (
            self._chooses_cache
            and "past_key_values" in accepted
            and not getattr(model, "_is_stateful", False)
        )
        """Whether a sequence can be forwarded in parts; recurrent states cannot be continued."""

    def logits(self, inputs: torch.Tensor, rows: int) -> torch.Tensor:
        """Return the logits of the last `rows` positions.

        Parameters
        ----------
        inputs : (b, t) int64
            Sequences of equal length.
        rows : int
            From 1 to t.

        Returns
        -------
        (b, rows, v) floating
        """
        options: dict[str, Any] = {"use_cache": False} if self._chooses_cache else {}
        return self._call(inputs, rows, options).logits[:, -rows:]  # type: ignore[no-any-return]

    def segment_logits(
        self, inputs: torch.Tensor, first_row: int, size: int
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield the logits from `first_row` on, a segment at a time through the key-value cache.

        Parameters
        ----------
        inputs : (b, t) int64
            Sequences of equal length.
        first_row : int
            First position needed.
        size : int
            Tokens of a segment.

        Yields
        ------
        (position of the first row, (b, rows, v) floating)
        """
        cache = None
        length = inputs.shape[1]
        for start in range(0, length, size):
            stop = min(start + size, length)
            needed = max(0, stop - max(start, first_row))
            options = {"use_cache": True, "past_key_values": cache}
            output = self._call(inputs[:, start:stop], max(needed, 1), options)
            cache = output.past_key_values
            if needed:
                yield stop - needed, output.logits[:, -needed:]

    def _call(self, inputs: torch.Tensor, rows: int, options: dict[str, Any]) -> Any:  # noqa: ANN401 - each architecture has an output class of its own
        if self.keeps_rows:
            options["logits_to_keep"] = rows
        return self._model(input_ids=inputs, **options)
