"""Classifiers that were quantized before."""

from __future__ import annotations

import pytest
import tiny_models
import transformers
from tiny_classifiers import save

from pytest_quantcheck import Classification
from pytest_quantcheck.core.variant import AS_STORED, Variant, builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.runner import Runner

REFERENCE = builtin_variant("fp16")
TEXTS = ["the king", "the other thing in the end", "an end"]
TICKETS = Classification.from_examples(
    [{"text": text, "label": "other"} for text in TEXTS], name="tickets"
)


@pytest.fixture
def whole(tmp_path):
    return save(tmp_path / "whole", "bert")


@pytest.fixture
def packed(tmp_path):
    """Return what saves a classifier in 4 bits, as its users do with transformers."""

    def save_packed(settings):
        source = save(tmp_path / "relabelled", "bert", **settings)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            source.model,
            quantization_config=transformers.BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                llm_int8_skip_modules=["classifier"],
            ),
        )
        folder = tiny_models.save(
            tmp_path / "packed", model, tiny_models.make_tokenizer(adds_eos=True)
        )
        return Variant(
            name="own", precision=AS_STORED, backend="checkpoint", checkpoint=str(folder)
        )

    return save_packed


def test_a_classifier_saved_in_4_bits_is_measured(packed, specs, whole):
    pool = Pool(specs, whole, 0.9)
    variant = packed({})

    runner = Runner(pool, reference=REFERENCE)
    own, nf4 = (runner.measure(one, TICKETS) for one in (variant, builtin_variant("nf4")))

    assert pool.weights(variant).quantized_fraction == 1.0
    assert [one.margin for one in own.outputs] == pytest.approx(
        [one.margin for one in nf4.outputs], abs=1e-3
    )
    pool.close()


def test_a_classifier_of_other_labels_is_no_quantization_of_the_model(packed, specs, whole):
    pool = Pool(specs, whole, 0.9)
    variant = packed({"id2label": {0: "other", 1: "shipping", 2: "billing"}})

    with pytest.raises(UsageError, match="is a classifier of other, shipping, billing, and"):
        pool.get(variant)
