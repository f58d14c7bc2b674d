"""A variant: a named precision recipe of one model."""

from __future__ import annotations

from dataclasses import dataclass

PRECISIONS = ("fp16", "bf16", "fp32", "int8", "nf4", "fp4")
"""What weights can be stored as. 8 and 4 bits are bitsandbytes' LLM.int8, NF4 and FP4."""

QUANTIZED_PRECISIONS = frozenset({"int8", "nf4", "fp4"})

BUILTIN_VARIANTS = {name: name for name in PRECISIONS} | {"int4": "nf4"}
"""Variant name to precision; `int4` is NF4."""

_METHODS = {"int8": "LLM.int8", "nf4": "nf4", "fp4": "fp4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of storing a model's weights."""

    name: str
    """As the user calls it: `int4`."""
    precision: str
    """One of `PRECISIONS`, or what another backend calls its own."""
    backend: str
    """Name of the backend that loads it."""
    skip_modules: tuple[str, ...] = ()
    """Modules the user leaves unquantized on purpose, by dotted name or its last part."""

    @property
    def is_quantized(self) -> bool:
        """Whether the weights claim fewer than 16 bits."""
        return self.precision not in {"fp16", "bf16", "fp32"}

    @property
    def label(self) -> str:
        """The name with what it really is.

        Examples
        --------
        >>> Variant(name="int4", precision="nf4", backend="bitsandbytes").label
        'int4 (nf4)'
        >>> Variant(name="nf4", precision="nf4", backend="bitsandbytes").label
        'nf4'
        """
        method = _METHODS.get(self.precision, self.precision)
        return self.name if method == self.name else f"{self.name} ({method})"


def builtin_variant(name: str, *, precision: str | None = None) -> Variant:
    """Return the built-in variant `name`, or one called `name` of a built-in precision."""
    stored = BUILTIN_VARIANTS[precision or name]
    backend = "bitsandbytes" if stored in QUANTIZED_PRECISIONS else "transformers"
    return Variant(name=name, precision=stored, backend=backend)
