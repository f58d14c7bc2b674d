"""Compare quantcheck's outputs in batches with transformers' one prompt at a time.

usage: generation.py --model FOLDER --data FILE.jsonl [--n 200] [--max-new-tokens 48]
                     [--batch-size 32] [--variant fp16] [--device cuda] [--out FILE.json]

DATA has a `question` a line, such as GSM8K. All outputs come from one model in memory, greedily:
ours, in batches of prompts of equal length; plain batches of transformers, padded on the left; and
`model.generate` one prompt at a time, with which both are compared. A row for each prompt is
printed as it comes: where an output first diverges, and by how many nats the one-at-a-time model
preferred its own token there. A lead near 0 is a tie that rounding decides.

On a host where a forward takes 33 ms whatever the batch, 200 prompts of 48 tokens take about
5 minutes one at a time, and half as long in batches of equal length:

    python benchmarks/generation.py --model SmolLM2-135M-Instruct --data gsm8k.jsonl --out out.json
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.plugin.laboratory import BUILTIN_BACKENDS
from pytest_quantcheck.workloads.decoding import Decoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROMPT = "Question: {question}\nAnswer:"


@dataclass(kw_only=True)
class Divergence:
    """Where an output leaves the one-at-a-time output."""

    position: int
    """New tokens before it."""
    lead_nats: float | None
    """By how much the one-at-a-time model preferred its own token; None where one just ended."""


@dataclass(kw_only=True)
class Row:
    """One prompt."""

    index: int
    prompt_tokens: int
    new_tokens: int
    ours: Divergence | None
    """None where the outputs are equal."""
    padded: Divergence | None


class Plain:
    """Greedy outputs of transformers itself."""

    def __init__(self, model: Any, ends: Sequence[int], new_tokens: int) -> None:  # noqa: ANN401 - transformers' own
        self.model = model
        self.ends = tuple(ends)
        self.config = transformers.GenerationConfig(
            do_sample=False,
            max_new_tokens=new_tokens,
            eos_token_id=list(ends) or None,
            pad_token_id=ends[0] if ends else 0,
        )

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
        """Return the new tokens of each prompt, made in one batch padded on the left."""
        longest = max(map(len, prompts))
        pad = self.config.pad_token_id
        ids = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
        mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        device = self.model.device
        found = self.model.generate(
            torch.tensor(ids, device=device),
            attention_mask=torch.tensor(mask, device=device),
            generation_config=self.config,
        )
        return [self._before_end(row) for row in found[:, longest:].tolist()]

    @torch.inference_mode()
    def lead(self, tokens: Sequence[int], own: int, other: int) -> float:
        """Return by how many nats `own` leads `other` after `tokens`."""
        ids = torch.tensor([list(tokens)], device=self.model.device)
        logits = self.model(ids).logits[0, -1].float()
        return float(logits[own] - logits[other])

    def _before_end(self, row: list[int]) -> list[int]:
        stop = next((i for i, token in enumerate(row) if token in self.ends), len(row))
        return row[:stop]


def divergence(
    plain: Plain, prompt: Sequence[int], single: Sequence[int], other: Sequence[int]
) -> Divergence | None:
    """Return where `other` leaves `single`; None if it does not."""
    if list(single) == list(other):
        return None
    shared = next(
        (i for i, (one, two) in enumerate(zip(single, other, strict=False)) if one != two),
        min(len(single), len(other)),
    )
    if shared == min(len(single), len(other)):
        return Divergence(position=shared, lead_nats=None)
    lead = plain.lead([*prompt, *single[:shared]], single[shared], other[shared])
    return Divergence(position=shared, lead_nats=round(lead, 5))


def questions(path: Path, n: int) -> list[str]:
    """Return the first prompts of a file."""
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    return [PROMPT.format(question=row["question"]) for row in rows[:n]]


def chunks(prompts: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield `size` prompts at a time, in the order of the file."""
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def run(arguments: argparse.Namespace) -> None:
    """Measure everything, and write each row as it comes."""
    device = choose_device(arguments.device)
    source = ModelSource(model=str(arguments.model.resolve()), device=device.device)
    pool = Pool({spec.name: spec for spec in BUILTIN_BACKENDS}, source, 0.85)
    loaded: Any = pool.get(builtin_variant(arguments.variant))
    texts = questions(arguments.data, arguments.n)
    prompts = [loaded.encode(text, special=True) for text in texts]
    ends = loaded._generator._ends  # noqa: SLF001 - the same end tokens for all
    plain = Plain(loaded.model, ends, arguments.max_new_tokens)

    started = time.perf_counter()
    padded = [one for part in chunks(prompts, arguments.batch_size) for one in plain.generate(part)]
    seconds = {"padded": time.perf_counter() - started}
    loaded.pack_limit = arguments.batch_size
    started = time.perf_counter()
    decoding = Decoding(max_new_tokens=arguments.max_new_tokens)
    ours = [list(one.tokens) for one in loaded.generate(prompts, decoding)]
    seconds["ours"] = time.perf_counter() - started
    print(json.dumps({"prompts": len(prompts), "seconds": seconds}), flush=True)

    rows: list[Row] = []
    seconds["single"] = 0.0
    for index, prompt in enumerate(prompts):
        started = time.perf_counter()
        (single,) = plain.generate([prompt])
        seconds["single"] += time.perf_counter() - started
        row = Row(
            index=index,
            prompt_tokens=len(prompt),
            new_tokens=len(single),
            ours=divergence(plain, prompt, single, ours[index]),
            padded=divergence(plain, prompt, single, padded[index]),
        )
        rows.append(row)
        print(json.dumps(asdict(row)), flush=True)
        write(rows, arguments, seconds, device.name)
    print(json.dumps(summary(rows, arguments, seconds, device.name)))
    pool.close()


def summary(
    rows: Sequence[Row], arguments: argparse.Namespace, seconds: dict[str, float], device: str
) -> dict[str, Any]:
    """Return the shares of equal outputs, and how near the ties were elsewhere."""
    about: dict[str, Any] = {
        "device": device,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "variant": arguments.variant,
        "max_new_tokens": arguments.max_new_tokens,
        "batch_size": arguments.batch_size,
        "n": len(rows),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
    for name in ("ours", "padded"):
        found = [getattr(row, name) for row in rows]
        leads = [abs(one.lead_nats) for one in found if one and one.lead_nats is not None]
        about[name] = {
            "equal": found.count(None),
            "share_equal": round(found.count(None) / len(rows), 4),
            "widest_lead_nats": max(leads, default=None),
        }
    return about


def write(
    rows: Sequence[Row], arguments: argparse.Namespace, seconds: dict[str, float], device: str
) -> None:
    """Keep what is known so far: a run that is cut short loses nothing."""
    if arguments.out:
        about = summary(rows, arguments, seconds, device)
        about["rows"] = [asdict(row) for row in rows]
        arguments.out.write_text(json.dumps(about, indent=1), encoding="utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--max-new-tokens", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--variant", default="fp16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
