"""Options of bitsandbytes in declared variants."""

import pytest

from pytest_quantcheck.core.model import ModelUnderTest
from pytest_quantcheck.core.options import (
    OPTION_NAMES,
    SAID_OTHERWISE,
    options_in_words,
    parse_options,
)
from pytest_quantcheck.core.variant import Variant
from pytest_quantcheck.errors import UsageError

GOOD = {
    "bnb_4bit_use_double_quant": ("nf4", True, "double quant"),
    "bnb_4bit_compute_dtype": ("fp4", "bfloat16", "bfloat16 compute"),
    "bnb_4bit_quant_storage": ("nf4", "float16", "in float16"),
    "llm_int8_threshold": ("int8", 4, "threshold 4"),
    "llm_int8_has_fp16_weight": ("int8", True, "fp16 weights"),
    "llm_int8_enable_fp32_cpu_offload": ("int8", True, "fp32 offload"),
}


def test_every_option_is_known_by_the_name_transformers_gives_it():
    import inspect

    from transformers import BitsAndBytesConfig

    parameters = inspect.signature(BitsAndBytesConfig.__init__).parameters
    known = {name for name in parameters if name not in {"self", "kwargs"}}

    assert known == set(OPTION_NAMES) | set(SAID_OTHERWISE)


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_an_option_is_kept_and_said_in_the_label(name):
    precision, value, words = GOOD[name]

    options = parse_options({name: value}, precision, "here")

    assert options == ((name, value),)
    label = Variant(name="x", precision=precision, backend="b", options=options).label
    assert label.startswith("x (")
    assert label.endswith(f", {words})")


def test_an_option_that_is_off_says_nothing():
    assert options_in_words((("bnb_4bit_use_double_quant", False),)) == ""


WRONG = {
    "unknown": (
        "nf4",
        "bnb_4bit_use_double_qant",
        True,
        "did you mean 'bnb_4bit_use_double_quant'",
    ),
    "precision": ("int8", "bnb_4bit_use_double_quant", True, "no effect on precision 'int8'"),
    "own": ("lossy", "llm_int8_threshold", 4, "no effect on precision 'lossy'; it belongs to int8"),
    "truth": ("nf4", "bnb_4bit_use_double_quant", 1, "=1: expected true or false"),
    "number": ("int8", "llm_int8_threshold", "6", "='6': expected a number, at least 0"),
    "bool": ("int8", "llm_int8_threshold", True, "=True: expected a number, at least 0"),
    "negative": ("int8", "llm_int8_threshold", -1, "=-1: expected a number"),
    "nan": ("int8", "llm_int8_threshold", float("nan"), "=nan: expected a number"),
    "dtype": (
        "nf4",
        "bnb_4bit_compute_dtype",
        "fp16",
        "expected one of float16, bfloat16",
    ),
    "list": ("nf4", "bnb_4bit_quant_storage", [], "expected one of uint8, int8"),
}


@pytest.mark.parametrize(("precision", "name", "value", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_says_what_was_expected(precision, name, value, message):
    with pytest.raises(UsageError, match="here: ") as caught:
        parse_options({name: value}, precision, "here")
    assert message in str(caught.value)


def test_models_are_equal_by_what_they_load():
    one = ModelUnderTest(model="/models/desk", name="models/desk")
    assert one == ModelUnderTest(model="/models/desk", name="./models/desk")
    assert one != ModelUnderTest(model="/models/desk", name="models/desk", adapter="/tone")


def test_what_is_known_only_after_loading_stands_in_one_pair_of_parentheses():
    release = Variant(name="release-1", precision="fp16", backend="transformers")
    stored = Variant(name="awq", precision="as stored", backend="checkpoint")

    assert release.labelled(compute="float32 compute") == "release-1 (fp16, float32 compute)"
    assert stored.labelled("awq 4-bit") == "awq (awq 4-bit)"
    assert stored.label == "awq (as stored)"
