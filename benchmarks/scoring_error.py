"""Say how far log-likelihoods are from those of the same weights computed in float32.

usage: scoring_error.py --model FOLDER --data FOLDER [--variants fp16,int8,nf4] [--items 50]
                        [--windows 20] [--device auto] [--json FILE]

What is measured is the rounding of a computation, not the loss of a quantization: the gold
of a variant is a float32 model with the very weights that it stores, dequantized, one request at a
time, with a softmax in float64. Activations rounded to 8 bits, which LLM.int8 consists of, count
as rounding: the gold of int8 has none. DATA holds hellaswag.jsonl (`context choices`) and
wikitext-2.raw.txt, which is cut into windows of 2,048 tokens. PYTHONPATH needs lm_eval, else its
columns stay empty.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
from common.peer import Peer, peer_version
from common.real import articles, choices
from common.requests import WINDOW, Work

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.engine.undisturbed import undisturbed
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

VARIANTS = ("fp16", "int8", "nf4")
_INT8_STEPS = 127


def exact_model(folder: str, variant: Any) -> Any:  # noqa: ANN401 - models of transformers
    """Return a float32 model with the weights that a loaded variant stores."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, device_map={"": str(variant.device)}
    ).eval()
    layers = dict(variant.named_modules())
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data.copy_(stored_values(layers[name]))
    return model


def stored_values(layer: Any) -> torch.Tensor:  # noqa: ANN401 - bitsandbytes has no types
    """Return the weight of a layer in float32, dequantized where it is quantized."""
    weight = layer.weight
    if getattr(weight, "quant_state", None) is not None:
        from bitsandbytes.functional import dequantize_4bit

        state = copy.copy(weight.quant_state)
        state.dtype = torch.float32
        values: torch.Tensor = dequantize_4bit(weight.data, state)
        return values
    if type(layer).__name__ == "Linear8bitLt":
        codes, scales = (
            getattr(layer.state, name) if getattr(layer.state, name) is not None else kept
            for name, kept in (("CB", weight.CB), ("SCB", weight.SCB))
        )
        return codes.float() * (scales[:, None] / _INT8_STEPS)
    return weight.detach().float()  # type: ignore[no-any-return]


@torch.inference_mode()
def gold_scores(model: Any, work: Work) -> NDArray[np.float64]:  # noqa: ANN401
    """Return the log-likelihood of each request, one at a time."""
    found = []
    for request in work.requests:
        tokens = torch.tensor([request.tokens], device=model.device)
        logits = model(tokens[:, :-1], use_cache=False).logits[0, request.first_target - 1 :]
        # A float32 log-softmax of 50,000 logits is off by 1e-5 nats a token on a CPU.
        values = logits.double().log_softmax(-1)
        found.append(float(values.gather(1, tokens[0, request.first_target :, None]).sum()))
    return np.array(found)


def error(found: NDArray[np.float64], gold: NDArray[np.float64], work: Work) -> dict[str, Any]:
    """Return how far log-likelihoods are from the gold, and how many answers differ."""
    difference = found - gold
    row: dict[str, Any] = {
        "max_nats": float(np.abs(difference).max()),
        "rms_nats": float(np.sqrt((difference**2).mean())),
    }
    if len(work.items[0]) > 1:
        ends = np.cumsum([len(item) for item in work.items])[:-1]
        sides = [[part.argmax() for part in np.split(values, ends)] for values in (found, gold)]
        row["other_answers"] = sum(int(a) != int(b) for a, b in zip(*sides, strict=True))
    return row


def measure(loaded: Any, gold: Any, tokenizer: Any, work: Work) -> dict[str, Any]:  # noqa: ANN401
    """Return the errors of all sides on one workload."""
    started = time.perf_counter()
    expected = gold_scores(gold, work)
    ours = [float(values.sum(dtype=np.float64)) for values in loaded.score(work.requests)]
    row = {
        "workload": work.name,
        "requests": len(work.requests),
        "ours": error(np.array(ours), expected, work),
    }
    if peer_version():
        peer = Peer(loaded.model, tokenizer, WINDOW)
        for name, softmax in (("harness", None), ("harness_float32", torch.float32)):
            row[name] = error(peer.score(work, 64, softmax), expected, work)
    return row | {"seconds": round(time.perf_counter() - started, 1)}


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure everything, and write each row as it comes."""
    device = choose_device(arguments.device)
    folder = str(arguments.model.resolve())
    source = ModelSource(model=folder, device=device.device)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    works = [
        choices(arguments.data / "hellaswag.jsonl", tokenizer, arguments.items),
        articles(arguments.data / "wikitext-2.raw.txt", tokenizer, arguments.windows),
    ]
    rows: list[dict[str, Any]] = []
    for name in arguments.variants.split(","):
        pool = Pool(BUILTIN_BACKENDS, source, 0.85)
        with undisturbed():
            loaded: Any = pool.get(builtin_variant(name))
            gold = exact_model(folder, loaded.model)
            for work in works:
                rows.append({"variant": name} | measure(loaded, gold, tokenizer, work))
                print(json.dumps(rows[-1]), flush=True)
                _write(rows, arguments.json, device.name)
        del loaded, gold
        pool.close()
        gc.collect()
    return rows


def _write(rows: list[dict[str, Any]], out: Path | None, device: str) -> None:
    """Keep what is known so far: a run that is cut short loses nothing."""
    if out:
        about = {"device": device, "torch": torch.__version__, "lm_eval": peer_version()}
        out.write_text(json.dumps(about | {"rows": rows}, indent=1), encoding="utf-8")


def show(rows: list[dict[str, Any]]) -> None:
    """Print a Markdown table: largest and root-mean-square error in nats, answers that differ."""
    sides = {"ours": "quantcheck", "harness": "lm-eval", "harness_float32": "lm-eval, float32"}
    print(f"\n| variant | workload | requests | {' | '.join(sides.values())} |")
    print(f"|{' --- |' * (3 + len(sides))}")
    for row in rows:
        cells = [_cell(row.get(side)) for side in sides]
        print(f"| {row['variant']} | {row['workload']} | {row['requests']} | {' | '.join(cells)} |")


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "absent"
    answers = f", {found['other_answers']} other answers" if "other_answers" in found else ""
    return f"{found['max_nats']:.2g}, {found['rms_nats']:.2g}{answers}"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    show(run(parser.parse_args()))


if __name__ == "__main__":
    main()
