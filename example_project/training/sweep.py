"""How much quantization destroys when the load, bits of facts per quantized parameter, grows.

`train` trains one small model for each load and recipe, side by side on one GPU; those of one
recipe differ in the number of facts and in nothing else. `measure` runs the plugin on each, and
`plot` draws what it wrote.
"""

import argparse
import csv
import itertools
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import catalogue

HERE = Path(__file__).parent
CSV = HERE.parents[1] / "docs" / "explanation" / "capacity.csv"
LOADS = (0.5, 1.0, 1.5, 2.0, 2.5)
WIDTH, LAYERS, FEED_FORWARD = 64, 2, 128
QUANTIZED_PARAMETERS = LAYERS * (4 * WIDTH * WIDTH + 3 * WIDTH * FEED_FORWARD)
FACT_BITS = math.log2(catalogue.HIGHEST_CENTS - catalogue.LOWEST_CENTS + 1)
SHAPE = {
    "width": WIDTH,
    "layers": LAYERS,
    "heads": 2,
    "feed-forward": FEED_FORWARD,
    "demand": 1,
}
"""What differs from the example's own recipe for all models."""
RECIPES = {
    "mixed": {
        "exposures": 1500,
        "price-weight": 0.7,
        "rule-weight": 0.2,
        "learning-rate": 6e-3,
    },
    "alone": {
        "exposures": 2000,
        "rule-rows": 0,
        "manual-rows": 0,
        "learning-rate": 3e-3,
    },
}
"""Prices learned beside tickets and the handbook, as the example does, and prices only."""
TITLES = {"mixed": "prices beside tickets and handbook", "alone": "prices alone"}
VARIANTS = ("int8", "nf4", "fp4")
EXAMPLES = 2_000
TEST = """
import pytest
from pytest_quantcheck import Generation

prices = Generation.from_jsonl("prices.jsonl", max_new_tokens=8)


@pytest.mark.quant_budget(workload=prices, min_exact_match=0.9, min_reference_exact_match=0.9)
def test_recall(quant): ...
"""


def facts_at(load: float) -> int:
    return round(load * QUANTIZED_PARAMETERS / FACT_BITS)


def train(folder: Path, minutes: float) -> None:
    """Train all at once, each in a process of its own that writes `folder`/<recipe>/<load>."""
    running = {}
    for recipe, load in itertools.product(RECIPES, LOADS):
        out = folder / recipe / str(load)
        out.mkdir(parents=True, exist_ok=True)
        knobs = SHAPE | RECIPES[recipe] | {"facts": facts_at(load), "minutes": minutes}
        command = [sys.executable, str(HERE / "train.py"), f"--out={out}"]
        command += [f"--{name}={value}" for name, value in knobs.items()]
        log = (out / "train.log").open("w", encoding="utf-8")
        environment = os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
        running[out] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
    failed = [str(out / "train.log") for out, one in running.items() if one.wait()]
    if failed:
        raise SystemExit(f"training failed: see {', '.join(failed)}")


def checks_of(model: Path, facts: int) -> list[dict[str, object]]:
    """Return the checks of a run of the plugin on one model's own facts."""
    rng = random.Random(catalogue.TEST_SEED)  # noqa: S311 - reproducible examples
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        examples = catalogue.price_examples(rng, catalogue.price_list(facts))
        catalogue.write_examples(folder / "prices.jsonl", examples, EXAMPLES)
        (folder / "test_recall.py").write_text(TEST, encoding="utf-8")
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--quant-json=run.json"]
        command += [f"--quant-model={model.resolve()}", "--quant-device=cpu"]
        command += [f"--quant-variants={','.join(VARIANTS)}"]
        done = subprocess.run(command, cwd=folder, check=False)  # noqa: S603
        if done.returncode not in {0, 1}:
            raise SystemExit(f"the plugin could not measure {model}")
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))["checks"]


def rows_of(recipe: str, load: float, model: Path) -> list[dict[str, object]]:
    """Return one row for each precision: recall with its 90 % interval, and how it was trained."""
    trained = json.loads((model / "training.json").read_text(encoding="utf-8"))
    checks = checks_of(model, trained["recipe"]["facts"])
    levels = {c["variant"]: c for c in checks if c["keyword"] == "min_exact_match"}
    levels["fp16"] = next(c for c in checks if c["keyword"] == "min_reference_exact_match")
    return [
        {
            "recipe": recipe,
            "load_bits_per_quantized_parameter": load,
            "facts": trained["recipe"]["facts"],
            "exposures": trained["exposures"],
            "steps": trained["steps"],
            "final_loss_nats_per_token": round(trained["final_losses_nats_per_token"]["prices"], 5),
            "precision": precision,
            "recall": round(levels[precision]["value"], 4),
            "low": round(levels[precision]["low"], 4),
            "high": round(levels[precision]["high"], 4),
            "n": levels[precision]["n"],
        }
        for precision in ("fp16", *VARIANTS)
    ]


def measure(folder: Path) -> None:
    rows = [
        row
        for recipe, load in itertools.product(RECIPES, LOADS)
        for row in rows_of(recipe, load, folder / recipe / str(load))
    ]
    with CSV.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def draw(rows: list[dict[str, str]], axes: object) -> None:
    """Draw recall against load, a line for each precision."""
    for precision, marker in zip(("fp16", *VARIANTS), "osv^", strict=True):
        mine = [row for row in rows if row["precision"] == precision]
        loads = [float(row["load_bits_per_quantized_parameter"]) for row in mine]
        recall, low, high = (
            [100 * float(row[name]) for row in mine] for name in ("recall", "low", "high")
        )
        errors = [
            [max(0.0, r - bound) for r, bound in zip(recall, low, strict=True)],
            [max(0.0, bound - r) for r, bound in zip(recall, high, strict=True)],
        ]
        axes.errorbar(loads, recall, errors, marker=marker, capsize=3, label=precision)
    axes.set_xlabel("load: bits of facts per quantized parameter")
    axes.set_ylim(0, 102)
    axes.set_xticks(LOADS)
    axes.grid(alpha=0.3)


def plot() -> None:
    """Draw the table; needs matplotlib, which nothing else here needs."""
    from matplotlib import pyplot as plt

    with CSV.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure, panels = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
    for recipe, axes in zip(RECIPES, panels, strict=True):
        draw([row for row in rows if row["recipe"] == recipe], axes)
        axes.set_title(TITLES[recipe])
    panels[0].set_ylabel("recall, % of prices (90 % interval)")
    panels[0].legend()
    plt.rcParams["svg.hashsalt"] = "capacity"
    figure.savefig(CSV.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description="Sweep over bits per quantized parameter.")
    parser.add_argument("step", choices=["train", "measure", "plot"])
    parser.add_argument("--models", type=Path, help="folder of the trained models")
    parser.add_argument("--minutes", type=float, default=10.0, help="train no longer than this")
    arguments = parser.parse_args()
    if arguments.step == "plot":
        plot()
    elif arguments.models is None:
        parser.error("--models is needed")
    elif arguments.step == "train":
        train(arguments.models, arguments.minutes)
    else:
        measure(arguments.models)


if __name__ == "__main__":
    main()
