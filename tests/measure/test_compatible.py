"""A checkpoint of another model, or with other tokens, is never compared."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_checkpoints
import tiny_models
import transformers

from pytest_quantcheck.core.variant import AS_STORED, Variant, builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.pool import Pool


def as_stored(folder):
    return Variant(name="own", precision=AS_STORED, backend="checkpoint", checkpoint=str(folder))


@pytest.fixture
def pool(checkpoint, specs):
    made = Pool(specs, checkpoint("llama"), 0.9)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "message"),
    [("gpt2", "has model_type 'gpt2', and"), ("llama_deep", "has num_hidden_layers 3, and")],
)
def test_a_checkpoint_of_another_model_is_refused(pool, tmp_path, kind, message):
    if kind == "gpt2":
        model = tiny_models.make_model(kind)
    else:
        config = tiny_models.make_config("llama")
        config.num_hidden_layers = 3
        model = transformers.AutoModelForCausalLM.from_config(config).half()
    other = tiny_models.save(tmp_path / "other", model)
    folder = tiny_checkpoints.save_bitsandbytes(other, tmp_path / "own", load_in_8bit=True)

    with pytest.raises(UsageError, match=message):
        pool.get(as_stored(folder))


@pytest.mark.parametrize(
    "what", ["the vocabulary", "bos_token_id", "chat_template", "the tokens of"]
)
def test_a_release_with_another_tokenizer_is_refused(pool, checkpoint, tmp_path, what):
    folder = Path(shutil.copytree(checkpoint("llama").model, tmp_path / "own"))
    tokenizer = tiny_models.make_tokenizer(adds_bos=what != "the tokens of")
    if what == "the vocabulary":
        tokenizer.add_tokens(["<tool>"])
    if what == "bos_token_id":
        tokenizer.bos_token = "</s>"  # noqa: S105 - a token of text
    if what == "chat_template":
        tokenizer.chat_template = "{{ messages }}"
    tokenizer.save_pretrained(folder)
    release = replace(builtin_variant("fp16"), name="release-1", checkpoint=str(folder))

    with pytest.raises(UsageError, match=f"differs from the model's in {what}"):
        pool.get(release)


def test_code_that_comes_with_a_checkpoint_is_not_run(pool, checkpoint, tmp_path):
    folder = Path(shutil.copytree(checkpoint("llama").model, tmp_path / "own"))
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').close()\nclass OwnConfig: ...\n"
    (folder / "own.py").write_text(code, encoding="utf-8")
    settings = {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.OwnConfig"},
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    }
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")

    with pytest.raises(UsageError, match="its configuration could not be loaded"):
        pool.get(as_stored(folder))
    assert not trace.exists()
