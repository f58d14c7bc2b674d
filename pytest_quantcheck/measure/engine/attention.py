"""Attention of a pack: each row on its own segment and on those above it, and on nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pytest_quantcheck.errors import QuantcheckError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from transformers import PreTrainedModel

    from pytest_quantcheck.measure.engine.packs import Pack

_NAME = "quantcheck_tree"
_SETTING = "_attn_implementation_internal"
"""Where a configuration keeps the name of its attention; the public name changes others too."""


class UnsupportedAttentionError(QuantcheckError):
    """A layer asks for attention that packs cannot give."""


class Kernel(Protocol):
    """Computes the attention of a pack."""

    def load(self, pack: Pack, device: torch.device) -> Any:  # noqa: ANN401 - its own business
        """Return what `attend` needs to know of a pack."""
        ...

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scale: float,
        layout: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        """Return (t, h, d) of queries (t, h, d), keys and values (t, g, d)."""
        ...


class TreeAttention:
    """Takes the place of a model's own attention while packs are forwarded.

    Parameters
    ----------
    model : PreTrainedModel
        Whose layers ask transformers for their attention function.
    kernel : Kernel
        What computes it.
    """

    def __init__(self, model: PreTrainedModel, kernel: Kernel) -> None:
        self.model = model
        self._configs = _configs(model)
        self._kernel = kernel
        self._pack: Pack | None = None
        self._layouts: dict[torch.device, Any] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let the model call it; everything is as before afterwards."""
        before = [vars(config)[_SETTING] for config in self._configs]
        ALL_ATTENTION_FUNCTIONS[_NAME] = self._attend
        try:
            for config in self._configs:
                vars(config)[_SETTING] = _NAME
            yield
        finally:
            for config, name in zip(self._configs, before, strict=True):
                vars(config)[_SETTING] = name
            del ALL_ATTENTION_FUNCTIONS[_NAME]  # type: ignore[no-untyped-call]
            self._pack = None
            self._layouts.clear()

    def expect(self, pack: Pack) -> None:
        """Say what pack the model is given next."""
        self._pack = pack
        self._layouts.clear()

    def _attend(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        **options: Any,  # noqa: ANN401 - of each architecture
    ) -> tuple[torch.Tensor, None]:
        """Return (1, t, h, d) of queries (1, h, t, d), keys and values (1, g, t, d)."""
        pack = self._pack
        assert pack is not None  # noqa: S101 - the scorer said which
        _refuse(module, attention_mask, options, longest=pack.longest)
        device = query.device
        if device not in self._layouts:
            self._layouts[device] = self._kernel.load(pack, device)
        scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
        found = self._kernel.attend(
            *(one[0].transpose(0, 1) for one in (query, key, value)),
            scale=scale,
            layout=self._layouts[device],
        )
        return found[None], None


def _configs(model: PreTrainedModel) -> list[Any]:
    """Return the configurations that the modules of a model read, each once."""
    found = {
        id(module.config): module.config for module in model.modules() if hasattr(module, "config")
    }
    return [one for one in found.values() if hasattr(one, _SETTING)]


def _refuse(
    module: torch.nn.Module,
    mask: torch.Tensor | None,
    options: dict[str, Any],
    *,
    longest: int,
) -> None:
    """Raise UnsupportedAttentionError where a layer wants more than causal attention."""
    window = options.get("sliding_window")
    if mask is not None:
        raise UnsupportedAttentionError("attention with a mask of its own")
    if window is not None and 0 < window < longest:
        raise UnsupportedAttentionError("a sliding window")
    if options.get("softcap") is not None:
        raise UnsupportedAttentionError("softcapping in attention")
    if options.get("s_aux") is not None or options.get("sinks") is not None:
        raise UnsupportedAttentionError("attention sinks")
    if options.get("position_bias") is not None:
        raise UnsupportedAttentionError("biases by position")
    if options.get("is_causal", getattr(module, "is_causal", True)) is False:
        raise UnsupportedAttentionError("attention to both sides")
