"""Compare ways of generating in batches with transformers' one prompt at a time.

usage: generation.py --model FOLDER --data FILE.jsonl [--n 64] [--max-new-tokens 32]
                     [--batch-size 32] [--variant fp16] [--device cuda] [--out FILE.json]

DATA has a `question` a line, such as GSM8K. All outputs come from one model in memory, greedily:
`rows`, as quantcheck generates; `launched`, the same without CUDA graphs; `equal`, its
batches of prompts of equal length, for architectures that know no rows; `padded`, plain batches of
transformers, padded on the left; and `single`, `model.generate` one prompt at a time, with which
all are compared. A row for each prompt is printed as it comes: where an output first diverges, and
by how many nats the one-at-a-time model preferred its own token there. A lead near 0 is a tie that
rounding decides.

On a host where a step takes 13 ms whatever the batch, 64 prompts of 32 tokens take about 25 s one
at a time, 15 s in batches of equal length, and 2 s otherwise:

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
from common.plain import releases

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.engine.equal_lengths import EqualLengths
from pytest_quantcheck.measure.engine.outputs import Asked
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.workloads.decoding import Decoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    divergence: dict[str, Divergence | None]
    """By way of batching; None where the outputs are equal."""


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


def launched(
    loaded: Any,  # noqa: ANN401 - with what only this module looks at
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
) -> list[list[int]]:
    """Return the new tokens of each prompt, with no step replayed as a CUDA graph."""
    loaded._generator.captures = False  # noqa: SLF001 - has no switch for users
    try:
        return [[*one.tokens] for one in loaded.generate(prompts, decoding)]
    finally:
        loaded._generator.captures = True  # noqa: SLF001


def in_equal_lengths(
    loaded: Any,  # noqa: ANN401 - with what only this module looks at
    prompts: Sequence[Sequence[int]],
    decoding: Decoding,
) -> list[list[int]]:
    """Return the new tokens of each prompt, made in batches of prompts of equal length."""
    asked = [Asked(prompt=tuple(prompt), stream=0) for prompt in prompts]
    way = EqualLengths(
        loaded.model,
        loaded.device,
        ending=loaded._generator.ending,  # noqa: SLF001 - the same end tokens for all
        batch_tokens=loaded.limits.batch_tokens,
    )
    with torch.inference_mode():
        answers = [one for batch in way.run([*set(asked)], decoding, 64) for one in batch]
    found = {one.asked: [*one.found.tokens] for one in answers}
    return [found[one] for one in asked]


def chunks(prompts: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield `size` prompts at a time, in the order of the file."""
    for start in range(0, len(prompts), size):
        yield prompts[start : start + size]


def run(arguments: argparse.Namespace) -> None:
    """Measure everything, and write each row as it comes."""
    device = choose_device(arguments.device)
    source = ModelSource(model=str(arguments.model.resolve()), device=device.device)
    pool = Pool(BUILTIN_BACKENDS, source, 0.85)
    loaded: Any = pool.get(builtin_variant(arguments.variant))
    texts = questions(arguments.data, arguments.n)
    prompts = [loaded.encode(text, special=True) for text in texts]
    generator = loaded._generator  # noqa: SLF001 - both ways of one model
    plain = Plain(loaded.model, generator.ending.tokens, arguments.max_new_tokens)
    decoding = Decoding(max_new_tokens=arguments.max_new_tokens)
    ways: dict[str, Callable[[], list[list[int]]]] = {
        "rows": lambda: [[*one.tokens] for one in loaded.generate(prompts, decoding)],
        "launched": lambda: launched(loaded, prompts, decoding),
        "equal": lambda: in_equal_lengths(loaded, prompts, decoding),
        "padded": lambda: [
            one for part in chunks(prompts, arguments.batch_size) for one in plain.generate(part)
        ],
    }
    plain.generate(prompts[:1])  # the first pass loads kernels
    print(json.dumps({"plan": generator.plan}), flush=True)
    seconds: dict[str, float] = {}
    found: dict[str, list[list[int]]] = {}
    for name, way in ways.items():
        started = time.perf_counter()
        found[name] = way()
        seconds[name] = time.perf_counter() - started
        print(json.dumps({"way": name, "seconds": round(seconds[name], 2)}), flush=True)

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
            divergence={
                name: divergence(plain, prompt, single, outputs[index])
                for name, outputs in found.items()
            },
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
        **releases(),
        "variant": arguments.variant,
        "max_new_tokens": arguments.max_new_tokens,
        "batch_size": arguments.batch_size,
        "n": len(rows),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }
    tokens = sum(row.new_tokens for row in rows)
    about["tokens_per_second"] = {name: round(tokens / value, 1) for name, value in seconds.items()}
    for name in rows[0].divergence if rows else ():
        found = [row.divergence[name] for row in rows]
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
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--max-new-tokens", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--variant", default="fp16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
