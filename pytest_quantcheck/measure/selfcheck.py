"""Is a variant what it claims? Read from its tensors, never from flags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_bytes, format_quantity
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.measurement import Measurement
    from pytest_quantcheck.measure.protocols import Weights

LEAST_FRACTION = 0.9
"""Share of the weights outside embeddings and head that a quantized variant must pack."""
_BYTES_AT_16_BITS = 2
_MOST_NAMED = 5


def check_quantized(variant: Variant, weights: Weights) -> None:
    """Check that a variant that claims quantization is quantized.

    Parameters
    ----------
    variant : Variant
        What it claims.
    weights : Weights
        What its tensors say; modules named in `skip_modules` do not count.

    Raises
    ------
    UsageError
        Less than 90 % of the parameters of its weights hold packed integers with their scales.
    """
    if not variant.is_quantized or weights.quantized_fraction >= LEAST_FRACTION:
        return
    share = format_quantity(weights.quantized_fraction, Unit.FRACTION)
    least = format_quantity(LEAST_FRACTION, Unit.FRACTION)
    raise UsageError(
        f"variant {variant.label} is not quantized enough to be tested as such: {share} of its "
        "2-D and 3-D weights outside embeddings and head hold packed integers, expected at least "
        f"{least}.{_left(weights)}"
    )


def check_differs(variant: Variant, weights: Weights, reference: Weights) -> None:
    """Check that quantization changed the weights.

    Parameters
    ----------
    variant : Variant
        What it claims.
    weights, reference : Weights
        Of the variant and of its reference.

    Raises
    ------
    UsageError
        Every weight, dequantized, equals the reference's.
    """
    expected = dict(reference.digests)
    compared = [(expected.get(name), found) for name, found in weights.digests]
    if variant.is_quantized and compared and all(one == other for one, other in compared):
        raise UsageError(
            f"variant {variant.label} claims quantization, and all of its {len(compared)} weights "
            "equal the reference's bit for bit after dequantization: the test would compare a "
            "model with itself. Was the checkpoint quantized before? Give the unquantized one"
        )


def check_same_prompts(reference: Measurement, variant: Measurement) -> None:
    """Check that reference and variant were asked the same, token for token.

    Parameters
    ----------
    reference, variant : Measurement
        Of one workload. One that saw no tokens is not compared.

    Raises
    ------
    UsageError
        An example was given as other tokens: the two have different tokenizers, chat templates
        or contexts.
    """
    pairs = zip(reference.prompt_digests, variant.prompt_digests, strict=False)
    for example, (one, other) in zip(variant.examples, pairs, strict=False):
        if one != other:
            raise UsageError(
                f"example {example.id} of {variant.workload_name}: variant "
                f"{variant.variant.label} was given other tokens than the reference "
                f"{reference.variant.label}, so their scores cannot be compared: the tokenizer, "
                "the chat template or the longest context differs between their checkpoints; "
                "expected the same files in both"
            )


def _left(weights: Weights) -> str:
    """Return the largest weights left, and how to leave them on purpose."""
    if not weights.left:
        return " There are no such weights to quantize: is everything named in skip_modules?"
    largest = weights.left[:_MOST_NAMED]
    sizes = ", ".join(
        f"{name} ({format_bytes(parameters * _BYTES_AT_16_BITS)})" for name, parameters in largest
    )
    modules = ", ".join(dict.fromkeys(f'"{_last_part(name)}"' for name, _ in largest))
    more = len(weights.left) - len(largest)
    rest = f" and {more} more" if more else ""
    return (
        f" Largest left at 16 bits: {sizes}{rest}. If they are left on purpose, declare the "
        f"variant with skip_modules = [{modules}]; if not, this backend cannot quantize this "
        "architecture"
    )


def _last_part(parameter_name: str) -> str:
    """Return the last part of the name of the module that owns a parameter."""
    return (parameter_name.rpartition(".")[0] or parameter_name).rpartition(".")[2]
