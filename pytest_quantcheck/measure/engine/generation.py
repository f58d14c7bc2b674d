"""Continuations: the model's own next tokens, without anything its checkpoint brings."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_quantcheck.measure.engine.continuous import Machine, continued
from pytest_quantcheck.measure.engine.equal_lengths import EqualLengths
from pytest_quantcheck.measure.engine.outputs import Asked
from pytest_quantcheck.measure.engine.row_probe import checked_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.layout import Layout
    from pytest_quantcheck.measure.engine.outputs import Answered, Ending
    from pytest_quantcheck.measure.protocols import Advance, Continuation
    from pytest_quantcheck.workloads.decoding import Decoding

_MOST = 64
"""Sequences at once."""
_CONTINUOUS = "rows of a shared cache"
_EQUAL_LENGTHS = "batches of prompts of equal length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuations:
    """What a model wrote after prompts."""

    found: tuple[Continuation, ...]
    """(n,)"""
    broken: int | None
    """Index of the first prompt whose logits were NaN or infinite."""


class Generator:
    """Continues prompts on one model.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    device : str
        Where its inputs go.
    ending : Ending
        What ends an output.
    batch_tokens : int
        Most tokens of one pass.
    cache_bytes : int
        Most bytes of the keys and values that are kept at once.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        device: str,
        *,
        ending: Ending,
        batch_tokens: int,
        cache_bytes: int,
    ) -> None:
        self._model = model
        self._device = device
        self.ending = ending
        self._batch_tokens = batch_tokens
        self._cache_bytes = cache_bytes
        self.captures = True
        """Whether steps are replayed as CUDA graphs where that is possible."""

    @property
    def plan(self) -> str:
        """How sequences are batched."""
        return _EQUAL_LENGTHS if self.layout is None else _CONTINUOUS

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        *,
        streams: Sequence[int] = (),
        advance: Advance | None = None,
        sequences: int | None = None,
    ) -> Continuations:
        """Return the continuation of each prompt.

        Parameters
        ----------
        prompts : sequence of sequence of int
            Tokens.
        decoding : Decoding
            How they are continued.
        streams : sequence of int
            For each prompt, which random numbers it is sampled with.
        advance : callable, optional
            Told whenever outputs have ended.
        sequences : int, optional
            Most sequences at once.

        Raises
        ------
        PackTooLargeError
            Several sequences do not fit into the memory of the device together.
        MeasurementError
            A single prompt does not fit.
        """
        owners: dict[Asked, list[int]] = defaultdict(list)
        for index, prompt in enumerate(prompts):
            stream = streams[index] if streams else 0
            owners[Asked(prompt=tuple(prompt), stream=stream)].append(index)
        results: dict[int, Continuation] = {}
        broken: list[int] = []
        tokens = 0
        for answers in self._answers(list(owners), decoding, min(sequences or _MOST, _MOST)):
            for one in answers:
                results.update(dict.fromkeys(owners[one.asked], one.found))
                broken.extend([] if one.is_finite else owners[one.asked])
                tokens += len(one.asked.prompt) + len(one.found.tokens)
            if advance:
                advance(len(results), tokens)
        return Continuations(
            found=tuple(results[index] for index in range(len(prompts))),
            broken=min(broken, default=None),
        )

    @cached_property
    def layout(self) -> Layout | None:
        """How rows of different lengths are decoded together; None where they are not."""
        return checked_layout(self._model, self._device)

    @property
    def _captures(self) -> bool:
        """Whether steps are captured: LLM.int8 waits for the host in each of its layers."""
        is_free = self.layout is not None and self.layout.pads
        return self.captures and is_free and self._device.startswith("cuda")

    def _answers(
        self, asked: list[Asked], decoding: Decoding, most: int
    ) -> Iterator[list[Answered]]:
        if self.layout is None:
            way = EqualLengths(
                self._model, self._device, ending=self.ending, batch_tokens=self._batch_tokens
            )
            return way.run(asked, decoding, most)
        machine = Machine(
            model=self._model,
            layout=replace(self.layout, captures=self._captures),
            device=self._device,
            ending=self.ending,
            batch_tokens=self._batch_tokens,
            cached_tokens=max(1, self._cache_bytes // self.layout.token_bytes),
        )
        return continued(machine, asked, decoding, most)
