"""How a model's sequences are forwarded: found by trying, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from pytest_quantcheck.measure.engine.attention import TreeAttention, UnsupportedAttentionError
from pytest_quantcheck.measure.engine.blocks import BlockKernel
from pytest_quantcheck.measure.engine.head import split_model
from pytest_quantcheck.measure.engine.llm_int8.layers import is_llm_int8, packed
from pytest_quantcheck.measure.engine.packs import plan_packs
from pytest_quantcheck.measure.engine.padded import PaddedForward
from pytest_quantcheck.measure.engine.plan import Limits, Plan
from pytest_quantcheck.measure.engine.rotary import growing_rotations
from pytest_quantcheck.measure.engine.segments import separate_segments
from pytest_quantcheck.measure.engine.spread import n_devices
from pytest_quantcheck.measure.engine.tree import PackForward
from pytest_quantcheck.measure.engine.varlen import VarlenKernel, find_varlen
from pytest_quantcheck.measure.protocols import ScoreRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.attention import Kernel
    from pytest_quantcheck.measure.engine.head import Split

_LENGTH = 32
_BRANCHES = ((12, 20), (12, 20), (12, 12), (0, 0))
"""Tokens that each sequence of the probe has in common with the first, and with the second."""
_PADDED_LENGTHS = (32, 27, 30, 25)
_PROBE_LIMITS = Limits(batch_tokens=4 * _LENGTH, logits=1)
_TOLERANCES = {torch.float32: 1e-3, torch.float16: 0.1, torch.bfloat16: 0.1}
"""Root mean square of the differences of logits over that of the logits."""
_INT8_TOLERANCE = 0.3
"""LLM.int8 amplifies what a batch of another shape rounds differently."""
_WINDOWS = ("sliding_window", "attention_chunk_size", "window_size", "local_attention")
_ORIGINAL = "original_max_position_embeddings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a model's sequences are forwarded."""

    plan: Plan
    packs: PackForward | None = None
    """What forwards packs; None where they are not."""
    padded: PaddedForward | None = None
    """What forwards padded batches; None where they are not."""
    reason: str = ""
    """Why not in packs."""

    @property
    def forward(self) -> PackForward | PaddedForward | None:
        """Whichever of the two; None for batches of equal length."""
        return self.packs or self.padded

    @property
    def text(self) -> str:
        """What reports say."""
        return f"{self.plan.value} ({self.reason})" if self.reason else self.plan.value


def choose_plan(model: PreTrainedModel, device: str, wanted: Plan | None = None) -> Choice:
    """Return the fastest way to forward sequences that gives what the model itself gives.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model in evaluation mode.
    device : str
        Where its inputs go.
    wanted : Plan, optional
        The only way to try besides batches.

    Notes
    -----
    A few forward passes of at most 128 tokens. Sequences of 32 tokens that begin alike are
    forwarded in one pack, and as a plain batch: attention to a pack mate, or none to the shared
    beginning, would change the logits by as much as they vary.
    """
    if wanted is Plan.BATCHES:
        return _batches("as asked")
    if (devices := n_devices(model)) > 1:
        return _batches(f"spread over {devices} devices")
    try:
        return _tried(model, device, wanted)
    except torch.OutOfMemoryError:
        return _batches("no memory for a trial")


def _tried(model: PreTrainedModel, device: str, wanted: Plan | None) -> Choice:
    split = split_model(model, device)
    if split is None:
        return _batches("no head of its own")
    chosen: Choice | str = "as asked"
    if wanted is not Plan.PADDED:
        chosen = _packs(split, model, device, wanted)
    return _padded(split, model, device, chosen) if isinstance(chosen, str) else chosen


def _packs(split: Split, model: PreTrainedModel, device: str, wanted: Plan | None) -> Choice | str:
    """Return packs, or why not."""
    if not split.body.takes_positions:
        return "no places of tokens can be given"
    inputs = _probe_inputs(split.vocabulary)
    with packed(separate_segments(*inputs.shape, device=device)):
        states = split.body.states(inputs.to(device))
    expected = split.head.logits(states.flatten(0, 1))
    reason = "no kernel"
    for plan, kernel in _kernels(device, states.dtype, wanted):
        forward = PackForward(
            split, TreeAttention(model, kernel), device, longest=longest_sequence(model.config)
        )
        try:
            found = _packed_logits(forward, inputs)
        except torch.OutOfMemoryError:
            raise
        except UnsupportedAttentionError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - the next kernel, or batches
            reason = f"packs fail with {type(error).__name__}"
            continue
        difference = relative_difference(found, expected)
        if difference <= _tolerance(model, states.dtype):
            return Choice(plan=plan, packs=forward)
        reason = f"packs differ by {difference:.2g}"
    return reason


def _padded(split: Split, model: PreTrainedModel, device: str, reason: str) -> Choice:
    """Return padded batches if padding changes nothing, else batches without any."""
    longest = longest_sequence(model.config, with_windows=False)
    forward = PaddedForward(split, model, device, longest=longest)
    inputs = _probe_inputs(split.vocabulary)
    requests = [
        ScoreRequest(tokens=(*one[:length], 0), first_target=1)
        for one, length in zip(inputs.tolist(), _PADDED_LENGTHS, strict=True)
    ]
    (together,) = forward.plan(requests, _PROBE_LIMITS)
    found = forward.states(together)
    alone = [
        forward.states(batch) for one in requests for batch in forward.plan([one], _PROBE_LIMITS)
    ]
    rows = torch.from_numpy(together.answers.in_order).to(found.device)
    owners = [owner for owner, _ in together.answers.sizes]
    difference = relative_difference(
        split.head.logits(found[rows]), split.head.logits(torch.cat([alone[i] for i in owners]))
    )
    if difference <= _tolerance(model, found.dtype):
        return Choice(plan=Plan.PADDED, padded=forward, reason=reason)
    return _batches(reason)


def _tolerance(model: PreTrainedModel, dtype: torch.dtype) -> float:
    return _INT8_TOLERANCE if is_llm_int8(model) else _TOLERANCES.get(dtype, 0.0)


def relative_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Return by how much logits (r, v) differ, as a share of how much they vary.

    Both as root mean squares around the mean of each row, which no probability depends on.
    """
    found, expected = (
        one.float() - one.float().mean(dim=-1, keepdim=True) for one in (found, expected)
    )
    spread = expected.square().mean().sqrt()
    return float((found - expected).square().mean().sqrt() / spread)


def longest_sequence(config: Any, *, with_windows: bool = True) -> int | None:  # noqa: ANN401 - each architecture has its own
    """Return the tokens from which on more than the causal mask and positions would matter.

    Windows of attention are not seen in packs, and some rotary embeddings depend on the longest
    sequence of a forward pass. None where there is neither.
    """
    text = config.get_text_config()
    bounds = [getattr(text, name, None) for name in _WINDOWS if with_windows]
    for rotation in growing_rotations(text):
        bounds += [rotation.get(_ORIGINAL), getattr(text, _ORIGINAL, None)]
        bounds.append(getattr(text, "max_position_embeddings", None))
    known = [one for one in bounds if isinstance(one, int) and one > 0]
    return min(known, default=None)


def _batches(reason: str) -> Choice:
    return Choice(plan=Plan.BATCHES, reason=reason)


def _kernels(device: str, dtype: torch.dtype, wanted: Plan | None) -> Iterator[tuple[Plan, Kernel]]:
    """Yield what may compute the attention, the fastest first."""
    if wanted is not Plan.SEGMENTS and device.startswith("cuda") and dtype != torch.float32:
        for repeats_keys in (False, True):
            function = find_varlen(repeats_keys=repeats_keys)
            if function is not None:
                yield Plan.VARLEN, VarlenKernel(function)
    if wanted is not Plan.VARLEN:
        yield Plan.SEGMENTS, BlockKernel()


def _probe_inputs(vocabulary: int) -> torch.Tensor:
    """Return four sequences: two levels of shared beginnings, and one with nothing shared."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(vocabulary, (len(_BRANCHES), _LENGTH), generator=generator)
    for row, (first, second) in enumerate(_BRANCHES):
        inputs[row, :second] = inputs[1, :second]
        inputs[row, :first] = inputs[0, :first]
    return inputs


def _packed_logits(forward: PackForward, inputs: torch.Tensor) -> torch.Tensor:
    """Return the logits of every position, sequence by sequence, from one pack."""
    requests = [ScoreRequest(tokens=(*one, 0), first_target=1) for one in inputs.tolist()]
    (pack,) = plan_packs(requests, _PROBE_LIMITS)
    with forward.ready():
        logits = forward.split.head.logits(forward.states(pack))
    rows = torch.from_numpy(pack.answers.in_order)
    owners = torch.tensor([owner for owner, _ in pack.answers.sizes]).argsort()
    return logits[rows.view(len(inputs), -1)[owners].flatten().to(logits.device)]
