"""Compare quantcheck's scores with a plain transformers loop, variant by variant, on one machine.

usage: parity.py --model FOLDER --data FOLDER [--variants fp16,int8,nf4,fp4]
                 [--workloads hellaswag,arc_easy,…] [--plain fp16=250,int8=60,…] [--limit N]
                 [--device cuda] [--out FILE.json]

DATA holds hellaswag.jsonl, arc_easy.jsonl, boolq.jsonl (`id context choices gold`) and
wikitext-2.raw.txt, where a line ` = Title = ` starts an article. The plain loop scores one
sequence at a time, without padding, on so many examples of each workload.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from common.plain import load_plain, releases

from pytest_quantcheck import Documents, MultipleChoice
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.scores import metric_level

VARIANTS = ("fp16", "int8", "nf4", "fp4")
CHOICES = ("hellaswag", "arc_easy", "boolq")
N_ARTICLES = 40
ARTICLE_TOKENS = 2048
COPIES = 32
_TITLE = re.compile(r"^ = [^=].*[^=] = *$", re.MULTILINE)


@dataclass(kw_only=True)
class Row:
    """One variant on one workload."""

    variant: str
    workload: str
    n: int
    levels: dict[str, float]
    losses: int = 0
    gains: int = 0
    seconds: float = 0.0
    weight_mib: float = 0.0
    compared: int = 0
    agreeing: int = 0
    widest_disagreement_nats: float = 0.0
    largest_difference_nats: float = 0.0
    self_compared: int = 0
    self_agreeing: int = 0
    self_largest_difference_nats: float = 0.0
    plain_seconds_per_example: float = 0.0
    seconds_per_example: float = 0.0
    plain_perplexity: float | None = None


def articles(text: str) -> list[str]:
    """Return the articles of a WikiText file."""
    starts = [match.start() for match in _TITLE.finditer(text)]
    ends = [*starts[1:], len(text)]
    return [text[start:end] for start, end in zip(starts, ends, strict=True)]


def make_workloads(data: Path, tokenizer: Any) -> dict[str, Any]:  # noqa: ANN401 - tokenizers share no type
    """Return every workload by name; the articles whole, and the first ones cut."""
    made: dict[str, Any] = {
        name: MultipleChoice.from_jsonl(
            (data / f"{name}.jsonl").resolve(), fields={"answer": "gold"}
        )
        for name in CHOICES
    }
    texts = articles((data / "wikitext-2.raw.txt").read_text(encoding="utf-8"))
    made["wikitext"] = Documents.from_examples([{"text": text} for text in texts], name="wikitext")
    cut = [
        tokenizer.decode(tokenizer(text)["input_ids"][: ARTICLE_TOKENS - 1])
        for text in texts[:N_ARTICLES]
    ]
    made["wikitext-cut"] = Documents.from_examples(
        [{"text": text} for text in cut], name="wikitext-cut"
    )
    return made


class Plain:
    """A variant loaded and scored as a short script would."""

    def __init__(self, folder: str, variant: str, device: str) -> None:
        self.model, self.tokenizer = load_plain(folder, variant, device)
        self.device = device

    @torch.inference_mode()
    def loglikelihoods(self, tokens: list[int], first: int, copies: int = 1) -> torch.Tensor:
        """Return the log-likelihood of each token from index `first` on.

        The last token is no input, as in lm-evaluation-harness: under LLM.int8 an outlier in its
        row would change the scores of the tokens before it. More `copies` of the sequence make a
        batch that has the same outlier columns and no padding.
        """
        ids = torch.tensor([tokens] * copies, device=self.device)
        logits = self.model(ids[:, :-1]).logits[0, first - 1 :].float()
        picked = logits.log_softmax(-1).gather(1, ids[0, first:, None])
        return picked[:, 0].double().cpu()

    def choice(self, context: str, choice: str, copies: int = 1) -> float:
        """Return the log-likelihood of a choice after its context."""
        whole = self.tokenizer(context + choice)["input_ids"]
        first = len(self.tokenizer(context)["input_ids"])
        return float(self.loglikelihoods(whole, first, copies).sum())


def compare_choices(plain: Plain, measured: Any, row: Row, n_plain: int) -> None:  # noqa: ANN401
    """Fill `row` with how far the plain loop agrees on some examples."""
    step = max(1, len(measured.examples) // n_plain)
    started = time.perf_counter()
    for position in range(0, len(measured.examples), step):
        example, output = measured.examples[position], measured.outputs[position]
        item, answer = example.item, example.item.answer
        nats = [plain.choice(item.context, choice) for choice in item.choices]
        chosen = item.choices[max(range(len(nats)), key=nats.__getitem__)]
        margin = lead(nats, answer)
        row.compared += 1
        if row.variant == "int8":
            compare_with_itself(plain, item, row, nats)
        row.largest_difference_nats = max(row.largest_difference_nats, abs(margin - output.margin))
        if chosen == output.text:
            row.agreeing += 1
        else:
            first, second = sorted(nats, reverse=True)[:2]
            row.widest_disagreement_nats = max(row.widest_disagreement_nats, first - second)
    row.plain_seconds_per_example = (time.perf_counter() - started) / row.compared


def compare_with_itself(plain: Plain, item: Any, row: Row, nats: list[float]) -> None:  # noqa: ANN401
    """Fill `row` with how far the plain loop agrees with itself on batches of equal sequences."""
    again = [plain.choice(item.context, choice, copies=COPIES) for choice in item.choices]
    moved = abs(lead(again, item.answer) - lead(nats, item.answer))
    row.self_compared += 1
    row.self_agreeing += again.index(max(again)) == nats.index(max(nats))
    row.self_largest_difference_nats = max(row.self_largest_difference_nats, moved)


def lead(nats: list[float], answer: int) -> float:
    """Return by how much the right choice beats the best other."""
    return nats[answer] - max(value for i, value in enumerate(nats) if i != answer)


def compare_documents(plain: Plain, measured: Any, row: Row, prefix: int) -> None:  # noqa: ANN401
    """Fill `row` with the plain loop's perplexity of the cut articles."""
    total, count = 0.0, 0
    started = time.perf_counter()
    for example in measured.examples:
        tokens = [
            prefix,
            *plain.tokenizer(example.item.text, add_special_tokens=False)["input_ids"],
        ]
        found = plain.loglikelihoods(tokens, 1)
        total, count = total - float(found.sum()), count + len(found)
    row.plain_perplexity = math.exp(total / count)
    row.plain_seconds_per_example = (time.perf_counter() - started) / len(measured.examples)


def run(arguments: argparse.Namespace) -> None:
    """Measure everything, and write each row as it comes."""
    device = choose_device(arguments.device)
    source = ModelSource(model=str(arguments.model.resolve()), device=device.device)
    pool = Pool(BUILTIN_BACKENDS, source, 0.85)
    reference = builtin_variant("fp16")
    runner = Runner(pool, reference=reference, portion=Portion(max_examples=arguments.limit))
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    made = make_workloads(arguments.data, tokenizer)
    chosen = arguments.workloads.split(",") if arguments.workloads else list(made)
    rows: list[Row] = []
    n_plain = dict(pair.split("=") for pair in arguments.plain.split(",") if pair)
    for name in arguments.variants.split(","):
        variant = builtin_variant(name)
        n = int(n_plain.get(name, 0))
        plain = Plain(str(arguments.model), name, device.device) if n else None
        for workload in map(made.__getitem__, chosen):
            row, measured = measure(runner, variant, workload, reference)
            if plain and workload.name in CHOICES:
                compare_choices(plain, measured, row, n)
            elif plain and workload.name == "wikitext-cut":
                compare_documents(plain, measured, row, pool.get(variant).prefix_token)
            rows.append(row)
            print(json.dumps(asdict(row)), flush=True)
            write(rows, arguments.out, device.name)
        del plain


def write(rows: list[Row], out: Path | None, device: str) -> None:
    """Keep what is known so far: a run that is cut short loses nothing."""
    about = {
        "device": device,
        **releases(),
        "rows": [asdict(row) for row in rows],
    }
    if out:
        out.write_text(json.dumps(about, indent=1), encoding="utf-8")


def measure(runner: Runner, variant: Any, workload: Any, reference: Any) -> tuple[Row, Any]:  # noqa: ANN401
    """Return one row without the comparison, and the measurement behind it."""
    before = runner.measure(reference, workload)
    measured = runner.measure(variant, workload)
    row = Row(
        variant=variant.name,
        workload=workload.name,
        n=len(measured.examples),
        levels={name: metric_level(scores) for name, scores in measured.scores.items()},
        seconds=measured.seconds,
        seconds_per_example=measured.seconds / len(measured.examples),
        weight_mib=runner.weights(variant).stored_bytes / 2**20,
    )
    if "accuracy_norm" in measured.scores:
        change = before.scores["accuracy_norm"].values - measured.scores["accuracy_norm"].values
        row.losses, row.gains = int((change > 0).sum()), int((change < 0).sum())
    return row, measured


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--workloads")
    parser.add_argument("--plain", default="fp16=250,int8=60,nf4=100,fp4=100")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
