"""Time the example project's workloads on a CPU against a plain padded transformers loop.

usage: cpu_example.py [--limit 200] [--repeats 3] [--batch 32] [--json FILE]

Both sides have the reference in float32 in memory, read the same examples, tokenize, and give
log-likelihoods of choices, perplexity, or greedy outputs; in turns. The plain loop takes examples
in their order, pads them to the longest of a batch, and masks the padding. Seconds are the
processor's, on one thread, after a warm-up of both: other programs do not lengthen them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from devices import EXAMPLE, make_workloads

from pytest_quantcheck import Documents, Generation
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.scores import metric_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REFERENCE = builtin_variant("fp16")


@dataclass(kw_only=True)
class Row:
    """One workload."""

    workload: str
    examples: int
    seconds: float
    plain_seconds: float
    ratio: float
    """Seconds of the plain loop over ours."""
    level: float
    plain_level: float
    """Accuracy, perplexity, or the share of outputs that hold the answer."""


class Plain:
    """A short script's way to do the same."""

    def __init__(self, folder: Path, batch_size: int) -> None:
        self._model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32
        ).eval()
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._tokenizer.pad_token = self._tokenizer.pad_token or self._tokenizer.eos_token
        self._batch_size = batch_size

    @torch.inference_mode()
    def run(self, workload: Any, examples: Sequence[Any]) -> float:  # noqa: ANN401 - any workload
        """Return the level of a workload."""
        items = [example.item for example in examples]
        if isinstance(workload, Generation):
            return self._generated(items, workload.decoding.max_new_tokens)
        if isinstance(workload, Documents):
            return self._perplexity(items)
        return self._accuracy(items)

    def _accuracy(self, items: Sequence[Any]) -> float:
        pairs = []
        for item in items:
            first = len(self._ids(item.context))
            pairs += [(self._ids(item.context + choice), first) for choice in item.choices]
        nats = iter([sum(one) for one in self._scored(pairs)])
        right = 0
        for item in items:
            mine = [next(nats) for _ in item.choices]
            right += mine.index(max(mine)) == item.answer
        return right / len(items)

    def _perplexity(self, items: Sequence[Any]) -> float:
        prefix = self._tokenizer.bos_token_id or self._tokenizer.eos_token_id
        texts = [self._tokenizer(one.text, add_special_tokens=False)["input_ids"] for one in items]
        scored = self._scored([([prefix, *ids], 1) for ids in texts])
        found = [value for one in scored for value in one]
        return math.exp(-sum(found) / len(found))

    def _scored(self, pairs: Sequence[tuple[list[int], int]]) -> Iterator[list[float]]:
        """Yield the log-likelihoods of each sequence from an index on."""
        for start in range(0, len(pairs), self._batch_size):
            batch = pairs[start : start + self._batch_size]
            longest = max(len(ids) for ids, _ in batch)
            rows = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in batch])
            mask = torch.tensor([[1] * len(i) + [0] * (longest - len(i)) for i, _ in batch])
            logits = self._model(input_ids=rows, attention_mask=mask).logits
            values = logits[:, :-1].log_softmax(-1).gather(2, rows[:, 1:, None])[..., 0]
            for (ids, first), row in zip(batch, values, strict=True):
                yield row[first - 1 : len(ids) - 1].tolist()

    def _generated(self, items: Sequence[Any], new_tokens: int) -> float:
        self._tokenizer.padding_side = "left"
        right = 0
        for start in range(0, len(items), self._batch_size):
            batch = items[start : start + self._batch_size]
            inputs = self._tokenizer(
                [item.prompt for item in batch], return_tensors="pt", padding=True
            )
            found = self._model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=new_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
            texts = self._tokenizer.batch_decode(
                found[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
            )
            right += sum(
                any(answer in text for answer in item.answers)
                for item, text in zip(batch, texts, strict=True)
            )
        return right / len(items)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text)["input_ids"])


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor seconds of a piece of work, and its result."""
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def compare(pool: Pool, plain: Plain, workload: Any, arguments: argparse.Namespace) -> Row:  # noqa: ANN401
    """Return medians of both sides, in turns."""
    portion = Portion(max_examples=arguments.limit)
    ours, theirs = [], []
    for _ in range(arguments.repeats + 1):
        runner = Runner(pool, reference=REFERENCE, portion=portion)
        examples = runner.course(workload).examples
        ours.append(timed(lambda: runner.measure(REFERENCE, workload)))  # noqa: B023
        theirs.append(timed(lambda: plain.run(workload, examples)))  # noqa: B023
    measured = ours[-1][1]
    seconds, plain_seconds = (
        statistics.median(one[0] for one in side[1:]) for side in (ours, theirs)
    )
    return Row(
        workload=workload.name,
        examples=len(measured.examples),
        seconds=seconds,
        plain_seconds=plain_seconds,
        ratio=plain_seconds / seconds,
        level=metric_level(next(iter(measured.scores.values()))),
        plain_level=theirs[-1][1],
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    source = ModelSource(model=str(EXAMPLE / "model"), device=choose_device("cpu").device)
    pool = Pool(BUILTIN_BACKENDS, source, 0.85)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, batches of {arguments.batch}")
    print("| workload | examples | plain loop, s | quantcheck, s | ratio | level, plain, ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    rows = []
    with undisturbed():
        pool.get(REFERENCE)
        plain = Plain(EXAMPLE / "model", arguments.batch)
        for workload in make_workloads():
            row = compare(pool, plain, workload, arguments)
            rows.append(vars(row))
            print(
                f"| {row.workload} | {row.examples} | {row.plain_seconds:.2f} | {row.seconds:.2f} "
                f"| {row.ratio:.2f} | {row.plain_level:.4g}, {row.level:.4g} |",
                flush=True,
            )
            if arguments.json:
                arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
