"""How much quantization destroys when the load, bits of facts per quantized parameter, grows.

`train` trains one small model for each load, side by side on one GPU. The models differ in the
number of facts and in nothing else.
"""

import argparse
import math
import os
import subprocess
import sys
from pathlib import Path

import catalogue

HERE = Path(__file__).parent
LOADS = (0.5, 1.0, 1.5, 2.0, 2.5)
WIDTH, LAYERS, FEED_FORWARD = 64, 2, 128
QUANTIZED_PARAMETERS = LAYERS * (4 * WIDTH * WIDTH + 3 * WIDTH * FEED_FORWARD)
FACT_BITS = math.log2(catalogue.HIGHEST_CENTS - catalogue.LOWEST_CENTS + 1)
RECIPE = {
    "width": WIDTH,
    "layers": LAYERS,
    "heads": 2,
    "feed-forward": FEED_FORWARD,
    "demand": 1,
    "rule-rows": 0,
    "manual-rows": 0,
    "learning-rate": 8e-3,
    "exposures": 800,
}
"""What differs from the example's own recipe: a smaller model that learns prices only."""


def facts_at(load: float) -> int:
    return round(load * QUANTIZED_PARAMETERS / FACT_BITS)


def train(folder: Path, minutes: float) -> None:
    """Train all loads at once, each in a process of its own that writes `folder`/<load>."""
    options = [f"--{name}={value}" for name, value in RECIPE.items()]
    running = []
    for load in LOADS:
        out = folder / str(load)
        out.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(HERE / "train.py"), *options, f"--minutes={minutes}"]
        command += [f"--facts={facts_at(load)}", f"--out={out}"]
        log = (out / "train.log").open("w", encoding="utf-8")
        environment = os.environ | {"TORCHINDUCTOR_COMPILE_THREADS": "2"}
        one = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
        running.append(one)
    failed = [str(load) for load, one in zip(LOADS, running, strict=True) if one.wait()]
    if failed:
        raise SystemExit(f"training failed at load {', '.join(failed)}: see {folder}/*/train.log")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the sweep over bits per parameter.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    train(arguments.out, arguments.minutes)


if __name__ == "__main__":
    main()
