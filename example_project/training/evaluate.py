# ruff: noqa: TID253 - a measuring script needs torch from its first line
"""Measure one precision of the model on the test files with a plain transformers loop.

A second opinion on the plugin's figures, sharing no code with it.
"""

import argparse
import json
import math
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

PROJECT = Path(__file__).parents[1]
ROWS = 256
NEW_TOKENS = {"prices": 8, "orders": 24, "quotes": 32}


def load(folder: Path, variant: str, device: str) -> torch.nn.Module:
    """Return the model; on a CPU fp16 weights are computed with in float32."""
    dtype = torch.float16 if device == "cuda" else torch.float32
    config = None
    if variant == "int8":
        config = BitsAndBytesConfig(load_in_8bit=True)
    elif variant in {"nf4", "fp4"}:
        config = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=variant, bnb_4bit_compute_dtype=dtype
        )
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, quantization_config=config, device_map={"": device}
    )
    return model.eval()


def read(name: str) -> list[dict[str, object]]:
    path = PROJECT / "data" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def batches_of_one_length(rows: list[list[int]], device: str) -> list[tuple[list[int], Tensor]]:
    """Return (indices, tokens) pairs that need no padding."""
    by_length = defaultdict(list)
    for index, row in enumerate(rows):
        by_length[len(row)].append(index)
    chunks = [
        indices[start : start + ROWS]
        for indices in by_length.values()
        for start in range(0, len(indices), ROWS)
    ]
    return [(chunk, torch.tensor([rows[i] for i in chunk], device=device)) for chunk in chunks]


def generate(model: torch.nn.Module, tokens: Tensor, count: int, end: int) -> list[list[int]]:
    """Return greedy continuations, each cut before its EOS."""
    width = tokens.shape[1]
    for _ in range(count):
        following = model(tokens).logits[:, -1].float().argmax(-1)
        tokens = torch.cat([tokens, following[:, None]], dim=1)
        if (tokens[:, width:] == end).any(1).all():
            break
    outputs = tokens[:, width:].tolist()
    return [row[: row.index(end)] if end in row else row for row in outputs]


def token_nll(model: torch.nn.Module, tokens: Tensor) -> Tensor:
    """Return -log p of every token but the first, in nats."""
    logp = model(tokens).logits[:, :-1].float().log_softmax(-1)
    return -logp.gather(2, tokens[:, 1:, None])[..., 0]  # (rows, length - 1)


def final_answers(model: torch.nn.Module, tokenizer: object, name: str) -> list[str]:
    """Return each output's answer: what follows the last "=", or all of it."""
    rows = [tokenizer(example["prompt"])["input_ids"] for example in read(name)]
    answers = [""] * len(rows)
    for indices, tokens in batches_of_one_length(rows, model.device):
        outputs = generate(model, tokens, NEW_TOKENS[name], tokenizer.eos_token_id)
        for i, text in zip(indices, tokenizer.batch_decode(outputs), strict=True):
            answers[i] = text.rpartition("=")[2].strip()
    return answers


def exact_match(answers: list[str], name: str) -> float:
    pairs = zip(answers, read(name), strict=True)
    return sum(answer == example["answer"] for answer, example in pairs) / len(answers)


def contains(answers: list[str], name: str) -> float:
    pairs = zip(answers, read(name), strict=True)
    return sum(example["answer"] in answer for answer, example in pairs) / len(answers)


def is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def accuracy(model: torch.nn.Module, tokenizer: object, name: str) -> float:
    examples = read(name)
    choices = len(examples[0]["choices"])
    rows, answer_tokens = [], []
    for example in examples:
        context = tokenizer(example["context"])["input_ids"]
        for choice in example["choices"]:
            row = tokenizer(example["context"] + choice)["input_ids"]
            rows.append(row)
            answer_tokens.append(len(row) - len(context))
    logp = torch.zeros(len(rows))
    for indices, tokens in batches_of_one_length(rows, model.device):
        nll = token_nll(model, tokens).cpu()
        for i, row_nll in zip(indices, nll, strict=True):
            logp[i] = -row_nll[-answer_tokens[i] :].sum()
    best = logp.view(-1, choices).argmax(1).tolist()
    right = sum(b == example["answer"] for b, example in zip(best, examples, strict=True))
    return right / len(examples)


def perplexity(model: torch.nn.Module, tokenizer: object, name: str) -> float:
    rows = [tokenizer(example["text"])["input_ids"] for example in read(name)]
    parts = [token_nll(model, tokens) for _, tokens in batches_of_one_length(rows, model.device)]
    total = sum(part.sum().item() for part in parts)
    return math.exp(total / sum(part.numel() for part in parts))


@torch.inference_mode()
def evaluate(folder: Path, variant: str, device: str) -> dict[str, float | str]:
    """Return the metrics of one variant of the model in `folder`."""
    began = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = load(folder, variant, device)
    answers = {name: final_answers(model, tokenizer, name) for name in NEW_TOKENS}
    return {
        "variant": variant,
        "device": device,
        "triage_accuracy": accuracy(model, tokenizer, "triage"),
        "shelf_accuracy": accuracy(model, tokenizer, "shelf"),
        "prices_exact_match": exact_match(answers["prices"], "prices"),
        "orders_exact_match": exact_match(answers["orders"], "orders"),
        "quotes_contains": contains(answers["quotes"], "quotes"),
        "quotes_json": sum(map(is_json, answers["quotes"])) / len(answers["quotes"]),
        "manual_perplexity": round(perplexity(model, tokenizer, "manual"), 4),
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one variant on the test files.")
    parser.add_argument("--variant", choices=["fp16", "int8", "nf4", "fp4"], default="fp16")
    parser.add_argument("--model", type=Path, default=PROJECT / "model")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    result = evaluate(arguments.model, arguments.variant, arguments.device)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
