"""Options of bitsandbytes that a declared variant may set, and what they are called in labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

OptionValue: TypeAlias = bool | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    precisions: frozenset[str]
    """Those on which it has an effect."""
    choices: tuple[str, ...] = ()
    """Names of dtypes; none for a truth or a number."""
    is_number: bool = False
    words: str = ""
    """How a label says it."""


_FOUR_BITS = frozenset({"nf4", "fp4"})
_EIGHT_BITS = frozenset({"int8"})
_OPTIONS = {
    "bnb_4bit_use_double_quant": _Option(precisions=_FOUR_BITS, words="double quant"),
    "bnb_4bit_compute_dtype": _Option(
        precisions=_FOUR_BITS, choices=("float16", "bfloat16", "float32"), words="{} compute"
    ),
    "bnb_4bit_quant_storage": _Option(
        precisions=_FOUR_BITS,
        choices=("uint8", "int8", "float16", "bfloat16", "float32"),
        words="in {}",
    ),
    "llm_int8_threshold": _Option(precisions=_EIGHT_BITS, is_number=True, words="threshold {:g}"),
    "llm_int8_has_fp16_weight": _Option(precisions=_EIGHT_BITS, words="fp16 weights"),
    "llm_int8_enable_fp32_cpu_offload": _Option(precisions=_EIGHT_BITS, words="fp32 offload"),
}
OPTION_NAMES = tuple(_OPTIONS)
"""Options of `BitsAndBytesConfig` that a variant states under their own names."""

SAID_OTHERWISE = {
    "load_in_8bit": "precision",
    "load_in_4bit": "precision",
    "bnb_4bit_quant_type": "precision",
    "llm_int8_skip_modules": "skip_modules",
}
"""Options of `BitsAndBytesConfig` that another key of a variant says."""


def parse_options(
    found: Mapping[str, object], precision: str, place: str
) -> tuple[tuple[str, OptionValue], ...]:
    """Return the options of a variant as pairs, checked.

    Raises
    ------
    UsageError
        A name or value is wrong, or the option has no effect on this precision.
    """
    return tuple((name, _checked(name, value, precision, place)) for name, value in found.items())


def options_in_words(options: tuple[tuple[str, OptionValue], ...]) -> str:
    """Return what options say in a label; those that are off say nothing.

    Examples
    --------
    >>> options_in_words((("bnb_4bit_use_double_quant", True),))
    'double quant'
    >>> options_in_words((("llm_int8_threshold", 4.0),))
    'threshold 4'
    """
    return ", ".join(_OPTIONS[name].words.format(value) for name, value in options if _says(value))


def _says(value: OptionValue) -> bool:
    return value is not False


def _checked(name: str, value: object, precision: str, place: str) -> OptionValue:
    if name not in _OPTIONS:
        raise UsageError(f"{place}: unknown key {name!r}; {suggestion(name, _OPTIONS)}")
    option = _OPTIONS[name]
    if precision not in option.precisions:
        expected = " and ".join(sorted(option.precisions))
        raise UsageError(
            f"{place}: {name} has no effect on precision {precision!r}; it belongs to {expected}"
        )
    if option.choices:
        if value in option.choices:
            return str(value)
        raise UsageError(f"{place}: {name}={value!r}: expected one of {', '.join(option.choices)}")
    if option.is_number:
        if type(value) in {int, float} and math.isfinite(value) and value >= 0:  # type: ignore[arg-type, operator]  # a number
            return float(value)  # type: ignore[arg-type]  # the same
        raise UsageError(f"{place}: {name}={value!r}: expected a number, at least 0")
    if type(value) is not bool:
        raise UsageError(f"{place}: {name}={value!r}: expected true or false")
    return value
