"""Run one suite on one GPU and on two, and score one model on one GPU and spread over two.

usage: two_gpus.py [--shape 1b] [--examples 120] [--parts suite,spread] [--json FILE]

The model has the shape of a Llama and random weights with outlier channels. The suite has a
multiple-choice workload, one of documents and one of outputs, each on int8 and nf4; it runs in one
process and with `-n 2`, a GPU a worker, and every figure of its checks and everything recorded of
its examples is compared. Then fp16, int8 and nf4 score the same requests whole on the first GPU and
as they are placed where the first has no room: spread over both, or whole on the second where
transformers finds that they fit. A spread model is scored in batches of equal length, so the whole
one is too, and in packs besides. Exit status 1 where a check or an example differs, or a score in
the same batches by more than rounding.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from common.plugin import plugin_options
from common.shapes import SHAPES, make_model, make_tokenizer

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.engine.forward import Forward
from pytest_quantcheck.measure.engine.loaded import CUDA_LIMITS
from pytest_quantcheck.measure.engine.scoring import Scorer
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource, ScoreRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import transformers
    from numpy.typing import NDArray

PARTS = ("suite", "spread")
VARIANTS = ("fp16", "int8", "nf4")
QUIET = ("-q", "-p", "no:randomly", "-p", "no:benchmark")
COMPARED = ("outcome", "n", "reference_level", "variant_level", "value", "low", "high")
ROUNDING = 1e-3
"""Largest mean difference, in nats a token, in the same batches."""
_SPECS = {
    name: BackendSpec(name=name, target=f"pytest_quantcheck.measure.backends.{name}:{kind}")
    for name, kind in {
        "transformers": "TransformersBackend",
        "bitsandbytes": "BitsandbytesBackend",
    }.items()
}
_FIRST_WORD = 16
_N_GPUS = 2
_SUITE = """
import json
import pytest
from pytest_quantcheck import Documents, Generation, MultipleChoice

rows = json.loads(open("rows.json").read())
quiz = MultipleChoice.from_examples(rows["quiz"], name="quiz")
manual = Documents.from_examples(rows["manual"], name="manual")
essay = Generation.from_examples(rows["essay"], max_new_tokens=8, name="essay")

@pytest.mark.quant_budget(
    "int8", "nf4", workload=quiz, max_accuracy_drop=0.3, max_flip_rate=0.9)
def test_quiz(quant): ...

@pytest.mark.quant_budget(
    "int8", "nf4", workload=manual, max_perplexity_ratio=1.5, max_mean_kl=1.0)
def test_manual(quant): ...

@pytest.mark.quant_budget("int8", "nf4", workload=essay, max_exact_match_drop=0.2)
def test_essay(quant): ...
"""


def write_suite(folder: Path, vocabulary: int, examples: int) -> None:
    """Write a suite as a user would, its data beside it; the same one for the same arguments."""
    rng = np.random.default_rng(0)

    def text(words: int) -> str:
        return " ".join(f"t{i}" for i in rng.integers(_FIRST_WORD, vocabulary, size=words))

    rows = {
        "quiz": [
            {
                "id": str(i),
                "context": text(60),
                "choices": [f" {text(8)}" for _ in range(4)],
                "answer": i % 4,
            }
            for i in range(examples)
        ],
        "manual": [{"id": str(i), "text": text(300)} for i in range(examples // 4)],
        "essay": [
            {"id": str(i), "prompt": text(20 + i % 7), "answer": "t20"}
            for i in range(examples // 4)
        ],
    }
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "test_suite.py").write_text(_SUITE, encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One run of the suite."""

    seconds: float
    counts: str
    """pytest's last line."""
    devices: tuple[str, ...]
    checks: dict[str, list[Any]]
    """Figures of each check, by test and budget."""
    examples: dict[str, Any]
    """Scores and outputs of each example, by workload and variant."""


def run_suite(folder: Path, model: Path, *options: str) -> Ran:
    """Run the suite in processes of its own, with nothing stored."""
    record = folder / "run.json"
    command = [sys.executable, "-m", "pytest", *plugin_options(), *QUIET]
    settings = [f"--quant-model={model}", "--quant-no-store", f"--quant-json={record}"]
    started = time.perf_counter()
    ended = subprocess.run(  # noqa: S603 - our own command
        [*command, *settings, *options, str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if not record.exists():
        raise SystemExit(ended.stdout + ended.stderr)
    found = json.loads(record.read_text(encoding="utf-8"))
    record.unlink()
    lines = gzip.decompress((folder / "run.examples.jsonl.gz").read_bytes()).splitlines()[1:]
    examples = [json.loads(line) for line in lines]
    return Ran(
        seconds=seconds,
        counts=ended.stdout.strip().splitlines()[-1],
        devices=tuple(one["device_name"] for one in found["environments"]),
        checks={
            f"{one['nodeid']} {one['keyword']}": [one[name] for name in COMPARED]
            for one in found["checks"]
        },
        examples={f"{one['workload']} {one['variant']}": one for one in examples},
    )


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the keys that are not in both with the same value."""
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def requests(vocabulary: int) -> list[ScoreRequest]:
    """Return sequences of many lengths, some of which share a beginning."""
    rng = np.random.default_rng(1)
    shared = rng.integers(_FIRST_WORD, vocabulary, size=200).tolist()
    return [
        ScoreRequest(
            tokens=(*shared, *rng.integers(_FIRST_WORD, vocabulary, size=n).tolist()),
            first_target=len(shared),
        )
        for n in (300, 40, 40, 9, 700, 25)
    ]


def spread_differences(model: Path, vocabulary: int) -> Iterator[dict[str, Any]]:
    """Yield, variant by variant, how far scores of the spread model are from the whole one's."""
    source = ModelSource(model=str(model), device="cuda:0")
    asked = requests(vocabulary)
    for name in VARIANTS:
        variant = builtin_variant(name)
        whole = Pool(_SPECS, source, 0.85)
        spread = Pool(_SPECS, replace(source, others=("cuda:1",)), 0.85, free_bytes=lambda _: 1000)
        try:
            alone, loaded = whole.get(variant), spread.get(variant)
            found, packed = loaded.score(asked), alone.score(asked)
            is_packed = loaded.plan == alone.plan
            expected = packed if is_packed else score_in_batches(alone.model, asked)  # type: ignore[attr-defined]
            row = {
                "variant": name,
                "devices": sorted({str(one.device) for one in loaded.model.parameters()}),  # type: ignore[attr-defined]
                "plan": loaded.plan,
                "plan_whole": alone.plan,
                "mean_nats": mean_difference(found, expected),
                "mean_nats_across_plans": mean_difference(found, packed),
            }
        finally:
            whole.close()
            spread.close()
        yield row


def score_in_batches(
    model: transformers.PreTrainedModel, asked: list[ScoreRequest]
) -> list[NDArray[np.float32]]:
    """Score without packs, as a spread model does."""
    device = str(model.device)
    batches = Scorer(Forward(model), device, vocabulary=model.config.vocab_size, limits=CUDA_LIMITS)
    with torch.inference_mode():
        return batches.score(asked, None)


def mean_difference(one: list[NDArray[np.float32]], other: list[NDArray[np.float32]]) -> float:
    """Return how far log-likelihoods of tokens are from others, in nats."""
    pairs = zip(one, other, strict=True)
    return float(np.concatenate([np.abs(np.subtract(a, b)) for a, b in pairs]).mean())


def compare_suites(model: Path, vocabulary: int, examples: int) -> dict[str, Any]:
    """Run the suite both ways; return what differs."""
    with tempfile.TemporaryDirectory() as folder:
        write_suite(Path(folder), vocabulary, examples)
        alone, both = (run_suite(Path(folder), model, option) for option in ("-n0", "-n2"))
    for name, ran in (("one process", alone), ("-n 2", both)):
        print(f"{name}: {ran.seconds:.1f} s, {ran.devices}, {ran.counts}", flush=True)
    found = {
        "checks": len(alone.checks),
        "differing_checks": differing(alone.checks, both.checks),
        "workloads_on_variants": len(alone.examples),
        "differing_examples": differing(alone.examples, both.examples),
        "seconds": [alone.seconds, both.seconds],
    }
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    """Print what differs, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=list(SHAPES), default="1b")
    parser.add_argument("--examples", type=int, default=120)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if torch.cuda.device_count() < _N_GPUS:
        raise SystemExit("two_gpus.py needs two GPUs")
    parts, vocabulary = args.parts.split(","), SHAPES[args.shape]["vocab_size"]
    suites, spread = {}, []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder)
        make_model(args.shape, torch.float16, "cuda:0").save_pretrained(model)
        make_tokenizer(vocabulary).save_pretrained(model)
        torch.cuda.empty_cache()
        if "suite" in parts:
            suites = compare_suites(model, vocabulary, args.examples)
        if "spread" in parts:
            for row in spread_differences(model, vocabulary):
                print(json.dumps(row), flush=True)
                spread.append(row)
    if args.json:
        args.json.write_text(json.dumps({"suites": suites, "spread": spread}, indent=1))
    if suites.get("differing_checks") or suites.get("differing_examples"):
        raise SystemExit("the suite says something else on two GPUs")
    if any(row["mean_nats"] > ROUNDING or row["devices"] == ["cuda:0"] for row in spread):
        raise SystemExit("a spread model scores otherwise")


if __name__ == "__main__":
    main()
