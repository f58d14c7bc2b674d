"""The model under test: which weights, of which revision, with which adapter."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnderTest:
    """One model of a suite; its variants are compared with its own reference."""

    model: str
    """Hub id, or absolute path of a folder."""
    name: str = field(compare=False)
    """As the user wrote it."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    adapter: str | None = None
    """LoRA adapter: hub id, or absolute path of a folder."""
    adapter_name: str = field(default="", compare=False)
    """As the user wrote it."""
    merges_adapter: bool = False
    """Merge the adapter first and quantize then; else it stays beside the quantized weights."""

    @property
    def label(self) -> str:
        """The model with everything that tells it from others.

        Examples
        --------
        >>> ModelUnderTest(model="acme/desk", name="acme/desk", revision="v2").label
        'acme/desk@v2'
        >>> ModelUnderTest(model="/m", name="m", adapter="/tone", adapter_name="tone").label
        'm + tone'
        """
        text = self.name + (f"@{self.revision}" if self.revision else "")
        if self.adapter is None:
            return text
        return f"{text} + {self.adapter_name}" + (" (merged)" if self.merges_adapter else "")
