"""Quantize a model to 4 bits with and without calibration, and set text aside to test it with.

usage: calibrate.py --model FOLDER --data FOLDER [--methods gptq,awq,rtn] [--samples 128]
                    [--tokens 512] [--group-size N] [--seed 0] [--out FOLDER]

Needs llmcompressor, and a GPU for awq. DATA holds wikitext-2.raw.txt, where a line ` = Title = `
starts an article, and arc_easy.jsonl (`id context choices gold`). Every fourth article is
calibrated on, the others go to OUT/wikitext.jsonl. OUT, by default `made` beside this file, gets a
checkpoint for each method: `rtn` has the grid of `gptq`, and rounds to the nearest step.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from compressed_tensors.offload import remove_dispatch
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from llmcompressor import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from llmcompressor.modifiers.transform.awq import AWQModifier
from texts import articles, sample_pieces, to_calibrate_on, to_test_with
from torch.utils.data import DataLoader

METHODS = ("gptq", "awq", "rtn")
BITS = 4
GROUP_SIZES = (128, 64, 32)
BATCH_SIZE = 16
_HEAD = "lm_head"


def widest_group(model: transformers.PreTrainedModel) -> int:
    """Return the largest usual group size that divides the inputs of every quantized layer."""
    widths = {
        module.in_features
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != _HEAD
    }
    for size in GROUP_SIZES:
        if not any(width % size for width in widths):
            return size
    raise SystemExit(f"no group size of {GROUP_SIZES} divides all widths {sorted(widths)}")


def recipe(method: str, group_size: int) -> list[Any]:
    """Return the modifiers of one method; the grid of AWQ has zero points, as its paper's."""
    weights = QuantizationArgs(
        num_bits=BITS, strategy="group", group_size=group_size, symmetric=method != "awq"
    )
    plan = {
        "config_groups": {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)},
        "ignore": [_HEAD],
    }
    match method:
        case "gptq":
            return [GPTQModifier(**plan)]
        case "awq":
            return [AWQModifier(), QuantizationModifier(**plan)]
        case "rtn":
            return [QuantizationModifier(**plan)]
        case _:
            raise SystemExit(f"--methods: {method!r} is none of {', '.join(METHODS)}")


def quantize(method: str, arguments: argparse.Namespace, rows: list[dict[str, list[int]]]) -> None:
    """Write the checkpoint of one method, and say what it took.

    Calibration is in float32: AWQ sums squared errors in the dtype of the model, and a sum over a
    batch leaves the range of float16.
    """
    started = time.perf_counter()
    model = transformers.AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    group_size = arguments.group_size or widest_group(model)
    transformers.set_seed(arguments.seed)
    batches: Any = DataLoader(
        rows, batch_size=BATCH_SIZE, collate_fn=transformers.default_data_collator
    )
    oneshot(model=model, recipe=recipe(method, group_size), dataset=batches)
    folder = arguments.out / method
    remove_dispatch(model).to(torch.float16).save_pretrained(folder, save_compressed=True)
    transformers.AutoTokenizer.from_pretrained(arguments.model).save_pretrained(folder)
    size_mib = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 2**20
    seconds = time.perf_counter() - started
    print(f"{method}: groups of {group_size}, {size_mib:.1f} MiB, {seconds:.1f} s", flush=True)


def run(arguments: argparse.Namespace) -> None:
    """Set text aside and write every checkpoint."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    texts = articles((arguments.data / "wikitext-2.raw.txt").read_text(encoding="utf-8"))
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in to_test_with(texts)]
    (arguments.out / "wikitext.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copyfile(arguments.data / "arc_easy.jsonl", arguments.out / "arc_easy.jsonl")
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    pieces = sample_pieces(
        to_calibrate_on(texts),
        lambda text: tokenizer(text, verbose=False)["input_ids"],
        samples=arguments.samples,
        tokens=arguments.tokens,
        seed=arguments.seed,
    )
    rows = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in pieces]
    for method in arguments.methods.split(","):
        quantize(method, arguments, rows)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--group-size", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "made")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
