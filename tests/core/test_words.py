"""Quantities, variants, digests and records."""

import doctest
import enum
import math
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.core import record as records
from pytest_quantcheck.core.plain import from_builtins, to_builtins
from pytest_quantcheck.core.quantity import (
    Unit,
    format_bare,
    format_bytes,
    format_limit,
    format_quantity,
)
from pytest_quantcheck.core.variant import BUILTIN_VARIANTS, builtin_variant

MODULES = [
    f"pytest_quantcheck.{room}.{name}"
    for room, names in {
        "core": (
            "quantity",
            "variant",
            "model",
            "options",
            "fingerprint",
            "grammar",
            "batches",
            "latency",
        ),
        "workloads": ("choice", "classification", "documents", "generation", "template"),
        "report": ("terminal",),
    }.items()
    for name in names
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    outcome = doctest.testmod(import_module(name))

    assert outcome.attempted > 0
    assert outcome.failed == 0


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.5, Unit.FRACTION, "50.0 %"),
        (-0.0213, Unit.POINTS, "-2.1 pp"),
        (0.25, Unit.SCORE, "0.2500"),
        (8.413, Unit.PERPLEXITY, "8.41"),
        (math.inf, Unit.PERPLEXITY, "inf"),
        (math.nan, Unit.POINTS, "nan pp"),
        (2**20, Unit.BYTES, "1.0 MiB"),
    ],
)
def test_a_quantity_is_printed_with_its_unit(value, unit, shown):
    assert format_quantity(value, unit) == shown


def test_minus_zero_is_zero():
    assert format_bare(-0.0, Unit.RATIO) == "0.000"


def test_units_step_at_1024():
    assert format_bytes(1023) == "1023 B"
    assert format_bytes(1024) == "1.0 KiB"
    assert format_bytes(2**50) == "1024.0 TiB"


def test_a_limit_keeps_its_digits():
    assert format_limit(0.08, Unit.FRACTION) == "8.0 %"
    assert format_limit(0.005, Unit.SCORE) == "0.005"
    assert format_limit(9.5, Unit.PERPLEXITY) == "9.5"


def test_builtin_variants_say_what_they_are():
    labels = {name: builtin_variant(name).label for name in BUILTIN_VARIANTS}

    assert labels == {
        "fp16": "fp16",
        "bf16": "bf16",
        "fp32": "fp32",
        "int8": "int8 (LLM.int8)",
        "nf4": "nf4",
        "fp4": "fp4",
        "int4": "int4 (nf4)",
    }
    assert builtin_variant("int4").backend == "bitsandbytes"
    assert builtin_variant("bf16").backend == "transformers"
    quantized = {name for name in BUILTIN_VARIANTS if builtin_variant(name).is_quantized}
    assert quantized == {"int8", "int4", "nf4", "fp4"}


def test_a_variant_may_have_a_name_of_its_own():
    variant = builtin_variant("frugal", precision="int4")

    assert (variant.label, variant.backend) == ("frugal (nf4)", "bitsandbytes")


class Colour(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    "value",
    [np.float64(1.0), np.int64(1), Colour.RED, Unit.RATIO, Path("x"), {1, 2}, object()],
    ids=lambda value: type(value).__name__,
)
def test_only_builtins_travel(value):
    with pytest.raises(TypeError, match="in a record"):
        to_builtins({"x": [value]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner
    maybe: Inner | None
    many: list[Inner]
    counts: dict[str, int]
    number: float | None


def test_a_record_survives_the_journey():
    outer = Outer(
        inner=Inner(name="a"), maybe=Inner(name="b"), many=[Inner(name="c")],
        counts={"n": 1}, number=None,
    )  # fmt: skip

    plain = to_builtins(outer)

    assert plain == {
        "inner": {"name": "a"},
        "maybe": {"name": "b"},
        "many": [{"name": "c"}],
        "counts": {"n": 1},
        "number": None,
    }
    assert from_builtins(Outer, plain) == outer


def test_every_record_type_is_made_of_builtins_and_records():
    shown = {
        hint
        for kind in vars(records).values()
        if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__")
        for hint in kind.__annotations__.values()
    }

    assert not {hint for hint in shown if "Enum" in hint or "Path" in hint or "tuple" in hint}
