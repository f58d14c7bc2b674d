"""Whether another checkpoint sees the same tokens: else nothing can be paired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.backends.kinds import is_classifier

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.measure.protocols import ModelSource

_PROBES = (
    "The invoice #4711 of 2026-03-31 comes to 1,234.50 EUR.",
    "  indented\n\tdef f(x): return x ** 2\n\n",
    "Größe naïve 東京 🙂 don't",
)
_SPECIALS = ("bos_token_id", "eos_token_id", "unk_token_id")
_SHAPE = ("model_type", "num_hidden_layers", "hidden_size")


def check_same_architecture(
    variant: Variant, found: PreTrainedConfig, expected: PreTrainedConfig, source: ModelSource
) -> None:
    """Check that a quantized checkpoint is one of the model under test.

    Raises
    ------
    UsageError
        Its type, depth, width or vocabulary is another.
    """
    ours, theirs = found.get_text_config(), expected.get_text_config()
    for name in (*_SHAPE, "vocab_size"):
        one, other = getattr(ours, name, None), getattr(theirs, name, None)
        if one != other:
            raise UsageError(
                f"variant {variant.name}: checkpoint {variant.checkpoint} has {name} {one!r}, and "
                f"{source.model} has {other!r}: it is no quantization of this model; give one "
                "that is"
            )
    if is_classifier(found) != is_classifier(expected) or (
        is_classifier(found) and found.id2label != expected.id2label
    ):
        raise UsageError(
            f"variant {variant.name}: checkpoint {variant.checkpoint} is {_task(found)}, and "
            f"{source.model} is {_task(expected)}: it is no quantization of this model; give one "
            "that is"
        )


def _task(config: PreTrainedConfig) -> str:
    if is_classifier(config):
        return f"a classifier of {', '.join(map(str, (config.id2label or {}).values()))}"
    return "a causal language model"


def check_same_tokens(variant: Variant, found: object, expected: object) -> None:
    """Check that two tokenizers make the same tokens of the same text.

    Raises
    ------
    UsageError
        Vocabulary, special tokens, chat template or the tokens of a few texts differ.
    """
    difference = _difference(found, expected)
    if difference:
        raise UsageError(
            f"variant {variant.name}: the tokenizer of {variant.checkpoint} differs from the "
            f"model's in {difference}, and only scores of the same tokens can be compared; save "
            "the model's own tokenizer beside the checkpoint"
        )


def _difference(found: Any, expected: Any) -> str:  # noqa: ANN401 - tokenizers of any kind
    if found.get_vocab() != expected.get_vocab():
        return f"the vocabulary ({len(found)} and {len(expected)} tokens)"
    for name in (*_SPECIALS, "chat_template"):
        if getattr(found, name, None) != getattr(expected, name, None):
            return name
    for probe in _PROBES:
        if found(probe)["input_ids"] != expected(probe)["input_ids"]:
            return f"the tokens of {probe!r}"
    return ""
