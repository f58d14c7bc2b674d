"""Measure how far variants' predictions are from the reference's on WikiText articles.

usage: divergence.py --model FOLDER --text FILE [--variants int8,nf4,fp4] [--reference fp16]
                     [--articles 40] [--tokens 2048] [--naive 2] [--device auto] [--out FILE.json]

FILE is WikiText as it comes, where a line ` = Title = ` starts an article; articles are cut after
so many tokens (on a CPU take few: --articles 12 --tokens 192). The naive loop forwards the first
articles one by one through both models, and takes the divergence of all their logits in float64.
For int8 it differs by more than rounding: in packs each row takes the outlier columns of the rows
before it alone.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from tabulate import tabulate

from pytest_quantcheck import Documents
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.measure.tasks.documents import document_requests
from pytest_quantcheck.plugin.tokens import divergence_record
from pytest_quantcheck.stats.scores import metric_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_quantcheck.measure.measurement import MeasuredPair
    from pytest_quantcheck.measure.protocols import LoadedModel

_TITLE = re.compile(r"^ = [^=].*[^=] = *$", re.MULTILINE)
_HEADERS = {
    "variant": "variant",
    "perplexity": "perplexity",
    "ratio": "ratio",
    "mean_kl": "mean KL",
    "p99_kl": "p99",
    "max_kl": "max",
    "top1_agreement": "top-1 agreement",
    "delta_p_mean": "mean Δp",
    "delta_p_rms": "RMS Δp",
    "naive_error": "naive loop differs by",
    "seconds": "seconds",
}


def articles(text: str, tokenizer: Any, *, count: int, tokens: int) -> list[str]:  # noqa: ANN401 - no common type
    """Return the first articles, each cut after so many tokens."""
    starts = [match.start() for match in _TITLE.finditer(text)]
    ends = [*starts[1:], len(text)]
    whole = [text[start:end] for start, end in zip(starts, ends, strict=True)][:count]
    cut = [tokenizer(one, add_special_tokens=False)["input_ids"][:tokens] for one in whole]
    return [tokenizer.decode(one) for one in cut]


def naive_kl(
    reference: LoadedModel, variant: LoadedModel, texts: Sequence[str]
) -> NDArray[np.float64]:
    """Return the divergence of each token, from all logits of both models."""
    found = []
    models: list[Any] = [reference.model, variant.model]
    for text in texts:
        for request in document_requests(reference, text, place="article"):
            inputs = torch.tensor([request.tokens[:-1]], device=reference.device)
            with torch.inference_mode():
                p, q = (model(inputs).logits[0].double().log_softmax(-1) for model in models)
            kl = (p.exp() * (p - q)).sum(-1)
            found.append(kl[request.first_target - 1 :].cpu().numpy())
    return np.concatenate(found)


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each variant."""
    device = choose_device(arguments.device, require_gpu=False)
    source = ModelSource(model=str(arguments.model), device=device.device)
    pool = Pool(BUILTIN_BACKENDS, source, memory_fraction=0.85)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.model)
    text = arguments.text.read_text(encoding="utf-8")
    texts = articles(text, tokenizer, count=arguments.articles, tokens=arguments.tokens)
    workload = Documents.from_examples([{"text": one} for one in texts], name="wikitext")
    reference = builtin_variant(arguments.reference)
    runner = Runner(pool, reference=reference)
    runner.compare_predictions([workload])
    rows = []
    for name in arguments.variants.split(","):
        variant = builtin_variant(name)
        started = time.perf_counter()
        found = runner.measure_pair(variant, workload)
        row = describe(found) | {"seconds": time.perf_counter() - started}
        if n := arguments.naive:
            exact = naive_kl(pool.get(reference), pool.get(variant), texts[:n]).mean()
            ours = np.concatenate([one.kl for one in found.variant.divergences[:n]]).mean()
            row["naive_error"] = abs(ours / exact - 1)
        rows.append(row | {"device": device.name, "torch": torch.__version__})
        print(json.dumps(rows[-1]), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    runner.close()
    return rows


def describe(found: MeasuredPair) -> dict[str, Any]:
    """Return what was measured of one variant."""
    record = divergence_record(found.variant)
    assert record is not None  # noqa: S101 - it was asked for
    before, after = (
        metric_level(one.scores["perplexity"]) for one in (found.reference, found.variant)
    )
    return {
        "variant": found.variant.variant.name,
        "perplexity": after,
        "ratio": after / before,
        **{key: getattr(record, key) for key in _HEADERS if hasattr(record, key)},
        "naive_error": None,
        "n_tokens": record.n_tokens,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--variants", default="int8,nf4,fp4")
    parser.add_argument("--reference", default="fp16")
    parser.add_argument("--articles", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--naive", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path)
    rows = measure(parser.parse_args())
    table = [[row[key] for key in _HEADERS] for row in rows]
    print(tabulate(table, [*_HEADERS.values()], tablefmt="github", floatfmt=".4g"))


if __name__ == "__main__":
    main()
