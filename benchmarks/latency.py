"""Time requests on random models of Llama's shapes, beside what the device could do at most.

usage: latency.py [--shape 1b] [--variants fp16,int8,nf4] [--batch 1,8,32] [--modes eager,compiled]
                  [--prompt-tokens 512] [--new-tokens 16] [--repeats 20] [--seconds 50]
                  [--device auto] [--dtype float16] [--json FILE]

Each cell is one variant at one batch size in one mode: after a warm-up the same batch is served
again and again, at least three times, until the cell's share of --seconds is spent. Medians stand
with intervals of order statistics (six runs make 95 %). Limits are the bytes and the operations
that cannot be avoided, at the bandwidth of a copy and the rate of a large matrix product here.
Where graphs are not possible, the reason stands in place of a row.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from common.intervals import median
from common.latency_table import table
from common.limits import Machine, copy_bandwidth, limits_of
from common.plain import releases
from common.roofline import measure_peaks
from common.shapes import BOS, SHAPES, in_engine, make_model, make_tokenizer, quantize

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.latency.nvml import nvml_conditions
from pytest_quantcheck.measure.latency.protocols import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_quantcheck.core.latency import RunTimes
    from pytest_quantcheck.measure.engine.causal import CausalModel
    from pytest_quantcheck.measure.latency.serving import ModelServer

_FEWEST_RUNS = 3
_MEMORY_TOKENS = 2
"""New tokens where memory is measured: what a prefill takes is the most."""


class Benchmark:
    """All cells of one shape.

    Parameters
    ----------
    arguments : Namespace
        As on the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._started = time.perf_counter()
        self._device = choose_device(arguments.device)
        self._dtype = getattr(torch, arguments.dtype)
        self._is_on_cuda = self._device.device.startswith("cuda")
        self._nvml = nvml_conditions(self._device.device) if self._is_on_cuda else None
        self.rows: list[dict[str, Any]] = []

    def run(self) -> None:
        """Measure, and keep what is known after each cell."""
        asked = self._arguments
        device = self._device.device
        machine = Machine(
            peaks=measure_peaks(device, self._dtype, with_int8="int8" in asked.variants),
            bandwidth=copy_bandwidth(device),
        )
        self._free()
        n_left = len(asked.variants) * len(asked.batch) * len(asked.modes)
        for variant in asked.variants:
            loaded = self._loaded(variant)
            for shape in self._shapes():
                row = {"variant": variant, "batch": shape.batch_size, "mode": shape.mode}
                spent = time.perf_counter() - self._started
                try:
                    row |= self._cell(loaded, shape, (asked.seconds - spent) / n_left)
                except QuantcheckError as error:
                    row["error"] = str(error)
                limits = limits_of(loaded.model, shape, machine, variant)
                row["limits"] = asdict(limits) if limits else None
                n_left -= 1
                self.rows.append(row)
                print(json.dumps({k: v for k, v in row.items() if k != "runs"}), flush=True)
                self._write(machine)
            loaded.close()
            del loaded
            self._free()
        print(table(self.rows))
        print(f"{time.perf_counter() - self._started:.0f} s in all")

    def _loaded(self, variant: str) -> CausalModel:
        device = self._device.device
        model = make_model(self._arguments.shape, self._dtype, device)
        quantize(model, variant, self._dtype)
        tokenizer = make_tokenizer(model.config.vocab_size)
        self._free()
        return in_engine(model, variant, tokenizer, device)

    def _shapes(self) -> Iterator[Shape]:
        asked = self._arguments
        for batch in asked.batch:
            generator = torch.Generator().manual_seed(batch)
            ids = torch.randint(
                16, 4096, (batch, asked.prompt_tokens - 1), generator=generator
            ).tolist()
            prompts = tuple((BOS, *row) for row in ids)
            for mode in asked.modes:
                yield Shape(prompts=prompts, new_tokens=asked.new_tokens, mode=mode)

    def _cell(self, loaded: CausalModel, shape: Shape, seconds: float) -> dict[str, Any]:
        started = time.perf_counter()
        server = loaded.server(shape)
        try:
            if server.fallback:
                return {"fallback": server.fallback}
            before = self._state()
            self._reset_peak()
            runs = self._runs(server, started + seconds)
            found = self._summary(runs) | self._held()
            found["device_state"] = [before, self._state()]
        finally:
            server.close()
        short = replace(shape, new_tokens=min(shape.new_tokens, _MEMORY_TOKENS))
        found["memory"] = asdict(loaded.memory_use(short))
        return found

    def _runs(self, server: ModelServer, until: float) -> list[RunTimes]:
        server.run()
        runs = []
        while len(runs) < _FEWEST_RUNS or (
            len(runs) < self._arguments.repeats and time.perf_counter() < until
        ):
            runs.append(server.run())
        return runs

    def _summary(self, runs: list[RunTimes]) -> dict[str, Any]:
        steps = [run.tpot_seconds for run in runs if run.tpot_seconds is not None]
        return {
            "ttft_seconds": asdict(median([run.ttft_seconds for run in runs])),
            "tpot_seconds": asdict(median(steps)) if steps else None,
            "e2e_seconds": asdict(median([run.e2e_seconds for run in runs])),
            "tokens_per_second": asdict(median([run.tokens_per_second for run in runs])),
            "device_seconds": runs[0].device_seconds,
            "runs": [asdict(run) for run in runs],
        }

    def _held(self) -> dict[str, Any]:
        """Return what torch counted at most, and what is taken of the device by whomever."""
        if not self._is_on_cuda:
            return {}
        free, total = torch.cuda.mem_get_info()
        return {
            "max_memory_allocated": torch.cuda.max_memory_allocated(),
            "max_memory_reserved": torch.cuda.max_memory_reserved(),
            "nvml_used": self._nvml.used_bytes() if self._nvml else None,
            "driver_used": total - free,
        }

    def _state(self) -> dict[str, Any] | None:
        return asdict(self._nvml.read()) if self._nvml else None

    def _reset_peak(self) -> None:
        if self._is_on_cuda:
            torch.cuda.reset_peak_memory_stats()

    def _free(self) -> None:
        gc.collect()
        if self._is_on_cuda:
            torch.cuda.empty_cache()

    def _write(self, machine: Machine) -> None:
        if self._arguments.json is None:
            return
        about = {
            "device": self._device.name,
            **releases(),
            "shape": self._arguments.shape,
            "dtype": self._arguments.dtype,
            "prompt_tokens": self._arguments.prompt_tokens,
            "new_tokens": self._arguments.new_tokens,
            "bandwidth_bytes_per_second": machine.bandwidth,
            "operations_per_second": asdict(machine.peaks),
            "contention": self._nvml.contention() if self._nvml else "unknown",
            "seconds": round(time.perf_counter() - self._started, 1),
            "rows": self.rows,
        }
        self._arguments.json.write_text(json.dumps(about, indent=1), encoding="utf-8")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--variants", type=lambda text: text.split(","), default="fp16,int8,nf4")
    parser.add_argument(
        "--batch", type=lambda text: [int(one) for one in text.split(",")], default="1,8,32"
    )
    parser.add_argument("--modes", type=lambda text: text.split(","), default="eager,compiled")
    parser.add_argument("--prompt-tokens", type=int, default=512)
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=50.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--json", type=Path)
    Benchmark(parser.parse_args()).run()


if __name__ == "__main__":
    main()
