"""Count the answers of the example project that differ between CPU and GPU, variant by variant.

usage: devices.py [--devices cpu,cuda] [--variants fp16,int8,nf4] [--limit N] [--out FILE.json]

Each variant answers the same workloads on both devices. Budgets compare a variant with a
reference on one device: what differs between devices is rounding, and this says how much it is.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.plain import releases

from pytest_quantcheck import Documents, Generation, MultipleChoice, contains
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.scores import metric_level

if TYPE_CHECKING:
    from pytest_quantcheck.measure.measurement import Measurement

EXAMPLE = Path(__file__).resolve().parent.parent / "example_project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant on one workload, on two devices."""

    variant: str
    workload: str
    metric: str
    n: int
    levels: list[float]
    """By device, in the order of `--devices`."""
    flips: int | None
    """Examples right on one device and wrong on the other; None where nothing is right or wrong."""
    other_outputs: int
    """Examples whose answers are not the same text."""
    weight_bytes: list[int]
    seconds: list[float]


def make_workloads() -> list[Any]:
    """Return the example's workloads, as its tests state them."""
    data = EXAMPLE / "data"
    return [
        MultipleChoice.from_jsonl(data / "triage.jsonl"),
        MultipleChoice.from_jsonl(data / "shelf.jsonl"),
        Generation.from_jsonl(data / "prices.jsonl", max_new_tokens=8),
        Generation.from_jsonl(data / "orders.jsonl", max_new_tokens=24, extract=r"=(.+)"),
        Generation.from_jsonl(data / "quotes.jsonl", max_new_tokens=32, score=contains()),
        Documents.from_jsonl(data / "manual.jsonl"),
    ]


def make_runner(device: str, limit: int | None) -> Runner:
    """Return a runner of the example's model on one device."""
    source = ModelSource(model=str(EXAMPLE / "model"), device=choose_device(device).device)
    pool = Pool(BUILTIN_BACKENDS, source, 0.85)
    return Runner(pool, reference=builtin_variant("fp16"), portion=Portion(max_examples=limit))


def compare(name: str, sides: list[Measurement], weight_bytes: list[int]) -> Row:
    """Return how two measurements of one variant differ."""
    metric = next(iter(sides[0].scores))
    values = [side.scores[metric].values for side in sides]
    return Row(
        variant=name,
        workload=sides[0].workload_name,
        metric=metric,
        n=len(sides[0].examples),
        levels=[metric_level(side.scores[metric]) for side in sides],
        flips=int((values[0] != values[1]).sum()) if METRICS[metric].is_correctness else None,
        other_outputs=sum(
            one.text != other.text
            for one, other in zip(sides[0].outputs, sides[1].outputs, strict=True)
        ),
        weight_bytes=weight_bytes,
        seconds=[round(side.seconds, 1) for side in sides],
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure everything, and write each row as it comes."""
    runners = [make_runner(device, arguments.limit) for device in arguments.devices.split(",")]
    rows: list[dict[str, Any]] = []
    started = time.perf_counter()
    for name in arguments.variants.split(","):
        variant = builtin_variant(name)
        for workload in make_workloads():
            sides = [runner.measure(variant, workload) for runner in runners]
            weights = [runner.weights(variant).stored_bytes for runner in runners]
            rows.append(asdict(compare(name, sides, weights)))
            print(json.dumps(rows[-1]), flush=True)
            if arguments.out:
                about = {
                    "devices": [choose_device(one).name for one in arguments.devices.split(",")],
                    **releases(),
                    "seconds": round(time.perf_counter() - started, 1),
                    "rows": rows,
                }
                arguments.out.write_text(json.dumps(about, indent=1), encoding="utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", default="cpu,cuda")
    parser.add_argument("--variants", default="fp16,int8,nf4")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
