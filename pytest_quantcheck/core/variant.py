"""A variant: a named precision recipe of one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.options import options_in_words

if TYPE_CHECKING:
    from pytest_quantcheck.core.options import OptionValue

PRECISIONS = ("fp16", "bf16", "fp32", "int8", "nf4", "fp4")
"""What weights can be stored as. 8 and 4 bits are bitsandbytes' LLM.int8, NF4 and FP4."""

QUANTIZED_PRECISIONS = frozenset({"int8", "nf4", "fp4"})

BUILTIN_VARIANTS = {name: name for name in PRECISIONS} | {"int4": "nf4"}
"""Variant name to precision; `int4` is NF4."""

AS_STORED = "as stored"
"""Precision of a checkpoint that was quantized before; its own configuration says how."""

_METHODS = {"int8": "LLM.int8", "nf4": "nf4", "fp4": "fp4"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of storing a model's weights."""

    name: str
    """As the user calls it: `int4`."""
    precision: str
    """One of `PRECISIONS`, `AS_STORED`, or what another backend calls its own."""
    backend: str
    """Name of the backend that loads it."""
    skip_modules: tuple[str, ...] = ()
    """Modules the user leaves unquantized on purpose, by dotted name or its last part."""
    options: tuple[tuple[str, OptionValue], ...] = ()
    """Options of the quantization library, by its own names."""
    checkpoint: str | None = None
    """Hub id, or absolute path of a folder, that is loaded instead of the model."""
    revision: str | None = None
    """Branch, tag or commit of that hub id."""

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
        >>> options = (("bnb_4bit_use_double_quant", True),)
        >>> Variant(name="small", precision="nf4", backend="bitsandbytes", options=options).label
        'small (nf4, double quant)'
        """
        return self.labelled()

    def labelled(self, method: str = "", *, compute: str = "") -> str:
        """Return the name with what is known once it is loaded.

        Parameters
        ----------
        method : str
            How its weights are stored, where the precision does not say it.
        compute : str
            What it computes in, where that is not what its weights are stored in.
        """
        method = method or _METHODS.get(self.precision, self.precision)
        words = options_in_words(self.options)
        said = ["" if method == self.name else method, words, compute]
        known = ", ".join(part for part in said if part)
        return f"{self.name} ({known})" if known else self.name


def builtin_variant(name: str, *, precision: str | None = None) -> Variant:
    """Return the built-in variant `name`, or one called `name` of a built-in precision."""
    stored = BUILTIN_VARIANTS[precision or name]
    backend = "bitsandbytes" if stored in QUANTIZED_PRECISIONS else "transformers"
    return Variant(name=name, precision=stored, backend=backend)
