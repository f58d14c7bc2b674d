"""Score the same requests with quantcheck and with lm-evaluation-harness, on the same model.

usage: scoring.py [--shape 1b] [--variants fp16,int8,nf4] [--workloads hellaswag,mmlu,documents]
                  [--items 400] [--documents 60] [--repeats 2] [--seconds 150] [--device auto]
                  [--dtype float16] [--extras early,batch_1,float32,profile,auto] [--json FILE]

The model has the shape of a Llama and random weights with outlier channels. Each cell times
both sides in turns: quantcheck, lm-evaluation-harness, quantcheck, …, after a warm-up of both,
and takes medians. Its `HFLM` runs with batches of 64 (where they do not fit, of the half that does)
and its default softmax. Extras, while there is time: a verdict on MMLU-like questions with early
stopping, its default batch size on eight items, a float32 softmax, what the GPU does while ours
runs, and `auto`. What --seconds has no room for is listed. PYTHONPATH needs lm_eval, else its
columns stay empty.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from common.cells import Cell
from common.early import stop_early
from common.meter import Meter
from common.peer import Peer, peer_version
from common.plain import releases
from common.requests import WINDOW, WORKLOADS, Work, make_work
from common.roofline import Peaks, measure_peaks
from common.shapes import SHAPES, in_engine, make_model, make_tokenizer, quantize
from common.table import geometric_mean, table

from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.engine.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantcheck.measure.engine.causal import CausalModel

VARIANTS = ("fp16", "int8", "nf4")
EXTRAS = ("early", "batch_1", "float32", "profile", "auto")
QUESTIONS_EARLY = 5
"""Times as many questions for a verdict with early stopping."""
_NEEDS_PEER = ("batch_1", "float32", "auto")


class Benchmark:
    """All cells of one shape, and what there was no time for."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._started = time.perf_counter()
        self._device = choose_device(arguments.device)
        self._dtype = getattr(torch, arguments.dtype)
        self._reference: CausalModel | None = None
        self.rows: list[dict[str, Any]] = []
        self.early: list[dict[str, Any]] = []
        self.skipped: list[str] = []
        self._about: dict[str, Any] = {
            "device": self._device.name,
            "shape": arguments.shape,
            "dtype": arguments.dtype,
            **releases(),
            "lm_eval": peer_version(),
        }

    def run(self) -> None:
        """Measure one variant after the other."""
        variants = self._arguments.variants.split(",")
        peaks = measure_peaks(
            self._device.device, self._dtype, with_int8="int8" in self._arguments.variants
        )
        self._about["peak_tflops"] = {
            name: value and round(value / 1e12, 1)
            for name, value in (("compute", peaks.compute), ("int8", peaks.int8))
        }
        print(json.dumps(self._about), flush=True)
        vocabulary = SHAPES[self._arguments.shape]["vocab_size"]
        tokenizer = make_tokenizer(vocabulary)
        works = [self._work(name, vocabulary) for name in self._arguments.workloads.split(",")]
        for place, variant in enumerate(variants):
            left = self._arguments.seconds - self._elapsed()
            deadline = self._elapsed() + left / (len(variants) - place)
            with undisturbed():
                self._variant(variant, tokenizer, works, (peaks, deadline))
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _work(self, name: str, vocabulary: int) -> Work:
        count = self._arguments.documents if name == "documents" else self._arguments.items
        return make_work(name, count, vocabulary, self._arguments.window)

    def _variant(
        self, variant: str, tokenizer: object, works: list[Work], limits: tuple[Peaks, float]
    ) -> None:
        """Measure every workload of one variant, then the extras while there is time."""
        peaks, deadline = limits
        model = make_model(self._arguments.shape, self._dtype, self._device.device)
        quantize(model, variant, self._dtype)
        engine = in_engine(model, variant, tokenizer, self._device.device)
        peer = Peer(model, tokenizer, self._arguments.window) if peer_version() else None
        meter = Meter(model)
        cells = []
        for work in works:
            if self._elapsed() > self._arguments.seconds:
                self._skip(variant, work.name, "all of it")
                continue
            cell = Cell(engine, peer, meter, work=work, variant=variant)
            with self._guarded(variant, work.name, "main"):
                cell.main(self._arguments.repeats, peaks)
                cells.append(cell)
                self._keep(cell.row)
        extras = [one for one in self._arguments.extras.split(",") if one]
        if "early" in extras:
            with self._guarded(variant, "mmlu", "early"):
                self._early(variant, engine, deadline)
        for extra in (one for one in extras if one != "early"):
            for cell in cells:
                self._extra(cell, extra, deadline, has_peer=peer is not None)
        meter.close()

    def _early(self, variant: str, engine: CausalModel, deadline: float) -> None:
        """Decide one budget on many questions; the reference stays in memory for it."""
        if variant == "fp16":
            self._reference = engine
            return
        pair = [self._row(name, "mmlu") for name in ("fp16", variant)]
        if self._reference is None or None in pair:
            self._skip(variant, "mmlu", "early stopping, which needs fp16 and mmlu before it")
            return
        questions = self._arguments.items * QUESTIONS_EARLY
        ours = sum(row["ours"]["seconds"] for row in pair)
        if self._elapsed() + ours * 2 * QUESTIONS_EARLY > deadline:
            self._skip(variant, "mmlu", "early stopping")
            return
        theirs = [row["harness"]["seconds"] for row in pair if "harness" in row]
        vocabulary = SHAPES[self._arguments.shape]["vocab_size"]
        found = stop_early(
            self._reference,
            engine,
            make_work("mmlu", questions, vocabulary),
            sum(theirs) * QUESTIONS_EARLY if theirs else None,
        )
        self.early.append({"variant": variant} | found)
        print(f"{self._elapsed():6.1f} s early: {json.dumps(self.early[-1])}", flush=True)
        self._write()

    def _row(self, variant: str, workload: str) -> dict[str, Any] | None:
        wanted = (variant, workload)
        return next((row for row in self.rows if (row["variant"], row["workload"]) == wanted), None)

    def _extra(self, cell: Cell, extra: str, deadline: float, *, has_peer: bool) -> None:
        if not has_peer and extra in _NEEDS_PEER:
            return
        expected = cell.expected_seconds(extra)
        if self._elapsed() + expected > deadline:
            self._skip(cell.row["variant"], cell.row["workload"], extra)
            return
        row = cell.row
        with self._guarded(row["variant"], row["workload"], extra):
            getattr(cell, f"extra_{extra}")()
        where = f"{row['variant']} {row['workload']} {extra}"
        print(f"{self._elapsed():6.1f} s {where}: {json.dumps(row.get(extra))}", flush=True)
        self._write()

    def _keep(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        print(f"{self._elapsed():6.1f} s {json.dumps(row)}", flush=True)
        self._write()

    @contextmanager
    def _guarded(self, variant: str, workload: str, what: str) -> Iterator[None]:
        """Let a part that breaks be said, and the others go on: a machine is lent once."""
        is_broken = False
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is shown
            is_broken = True
            traceback.print_exc()
            self._skip(variant, workload, f"{what}, which failed: {type(error).__name__}: {error}")
        if is_broken and torch.cuda.is_available():
            gc.collect()
            torch.cuda.empty_cache()

    def _skip(self, variant: str, workload: str, what: str) -> None:
        self.skipped.append(f"{variant} {workload}: {what}")

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _write(self) -> None:
        """Keep what is known so far: a run that is cut short loses nothing."""
        if self._arguments.json:
            found = self._about | {
                "seconds": round(self._elapsed(), 1),
                "geometric_mean": geometric_mean(self.rows),
                "skipped": self.skipped,
                "rows": self.rows,
                "early": self.early,
            }
            self._arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")

    def show(self) -> None:
        """Print the table, and what was left out."""
        self._write()
        print(f"\n{table(self.rows)}\n")
        mean = geometric_mean(self.rows)
        if mean is not None:
            print(f"geometric mean of the ratios: {mean:.2f}")
        for found in self.early:
            print(f"early stopping, {json.dumps(found)}")
        for line in self.skipped:
            print(f"left out: {line}")
        if peer_version() is None:
            print("lm_eval is not on PYTHONPATH: nothing was compared with it")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--items", type=int, default=400)
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("float16", "bfloat16", "float32"), default="float16")
    parser.add_argument("--extras", default=",".join(EXTRAS))
    parser.add_argument("--json", type=Path)
    benchmark = Benchmark(parser.parse_args())
    benchmark.run()
    benchmark.show()


if __name__ == "__main__":
    main()
