"""Repeat latency tests of a model against itself, and against itself slowed down by 5 %.

usage: latency_aa.py (--shape 135m | --model FOLDER) [--tests 50] [--seconds 140] [--json FILE]
                     [--mode compiled] [--prompt-tokens 64] [--new-tokens 16] [--repeats 60]
                     [--aa-limit 1.03] [--slow-limit 1.02] [--slowdown 0.05]
                     [--device auto] [--dtype float16]

The model is in memory twice. Each test is one decision on `max_e2e_ratio` by the sampler and the
verdict that ship, with a seed of its own: half of them as it is, half with matrix products added
to the variant's requests, as many as take 5 % of the time, found in the same run. The status is 1
where more than 1 in 25 tests of the model against itself FAIL, or as many miss the slowdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from common.plain import releases
from common.shapes import BOS, SHAPES, in_engine, make_model, make_tokenizer
from common.slowed import ExtraWork, calibrate, slow_down

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.latency import Schedule
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.latency.conditions import conditions_of
from pytest_quantcheck.measure.latency.course import Surroundings
from pytest_quantcheck.measure.latency.protocols import Shape
from pytest_quantcheck.measure.latency.sampler import sample_pairs
from pytest_quantcheck.measure.latency.schedule import Sides, TimingPlan
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.serving import LatencyWatch

if TYPE_CHECKING:
    from pytest_quantcheck.measure.engine.causal import CausalModel
    from pytest_quantcheck.measure.latency.serving import ModelServer

LEVELS = levels(0.05, 1)
_MOST_WRONG = 0.04
_CALIBRATING_RUNS = 30


class Benchmark:
    """Tests of one model against itself.

    Parameters
    ----------
    arguments : Namespace
        As on the command line.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._started = time.perf_counter()
        self._device = choose_device(arguments.device)
        self._conditions = conditions_of(self._device.device)
        self.found: dict[str, Any] = {
            "arguments": {name: str(value) for name, value in vars(arguments).items()},
            "device": self._device.name,
            **releases(),
        }

    def run(self) -> bool:
        """Measure, print and keep what was found; return whether it is as it should be."""
        asked = self._arguments
        servers = Sides(reference=self._server(), variant=self._server())
        work = ExtraWork(self._device.device, getattr(torch, asked.dtype))
        slow_down(servers.variant, work)
        self.found |= {"mode": servers.variant.mode, "fallback": servers.variant.fallback}
        for _ in range(3):
            servers.reference.run()
        share = calibrate(servers.variant, work, excess=asked.slowdown, runs=_CALIBRATING_RUNS)
        self.found |= {"slowdown": share, "products": work.products}
        products, left = work.products, self._left()
        for name, count, limit, seconds in (
            ("aa", 0, asked.aa_limit, left / 2),
            ("slow", products, asked.slow_limit, left),
        ):
            work.products = count
            until = time.perf_counter() + min(seconds, self._left())
            self.found[name] = self._tests(servers, limit, until)
            print(json.dumps({name: self.found[name]["summary"]}), flush=True)
            self._write()
        aa, slow = (self.found[name]["summary"] for name in ("aa", "slow"))
        most = _MOST_WRONG * asked.tests
        self.found["seconds"] = time.perf_counter() - self._started
        self._write()
        print(self._told(aa, slow))
        enough = aa["tests"] == slow["tests"] == asked.tests
        return enough and aa["FAIL"] <= most and asked.tests - slow["FAIL"] <= most

    def _left(self) -> float:
        return float(self._arguments.seconds - (time.perf_counter() - self._started))

    def _tests(self, servers: Sides[ModelServer], limit: float, until: float) -> dict[str, Any]:
        tests: list[dict[str, Any]] = []
        while len(tests) < self._arguments.tests and time.perf_counter() < until:
            tests.append(self._test(servers, limit, seed=len(tests)))
        return {"limit": limit, "summary": _summary(tests), "tests": tests}

    def _test(self, servers: Sides[ModelServer], value: float, *, seed: int) -> dict[str, Any]:
        """Return one decision."""
        limit = parse_limit("max_e2e_ratio", value)
        plan = TimingPlan(
            schedule=Schedule.PAIRS, n_planned=self._arguments.repeats, seed=seed, seconds=6.0
        )
        watch = LatencyWatch([limit], LEVELS)
        surroundings = Surroundings(conditions=self._conditions, watcher=watch)
        samples = sample_pairs(
            Sides(reference=servers.reference, variant=servers.variant),
            plan,
            surroundings=surroundings,
        )
        verdict = watch.verdict(limit, samples)
        estimate = verdict.estimate
        return {
            "outcome": verdict.outcome.name,
            "reason": verdict.reason.value,
            "ratio": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "pairs": samples.n,
            "seconds": samples.seconds,
            "discarded": samples.n_discarded,
            "reasons": list(samples.reasons),
            "contention": samples.contention,
            "e2e_ms": [
                1000 * statistics.median(run.e2e_seconds for run in samples.of(variant=side))
                for side in (False, True)
            ],
        }

    def _server(self) -> ModelServer:
        asked, loaded = self._arguments, self._loaded()
        generator = torch.Generator().manual_seed(0)
        words = loaded.model.get_input_embeddings().num_embeddings
        ids = torch.randint(16, words, (asked.prompt_tokens - 1,), generator=generator)
        prompts = ((BOS, *ids.tolist()),)
        return loaded.server(Shape(prompts=prompts, new_tokens=asked.new_tokens, mode=asked.mode))

    def _loaded(self) -> CausalModel:
        """Return one more copy of the model."""
        asked, device = self._arguments, self._device.device
        dtype = getattr(torch, asked.dtype)
        if asked.model is None:
            model = make_model(asked.shape, dtype, device)
            tokenizer = make_tokenizer(model.config.vocab_size)
        else:
            model = transformers.AutoModelForCausalLM.from_pretrained(asked.model, dtype=dtype)
            model = model.to(device).eval()
            tokenizer = transformers.AutoTokenizer.from_pretrained(asked.model)
        return in_engine(model, "fp16", tokenizer, device)

    def _told(self, aa: dict[str, Any], slow: dict[str, Any]) -> str:
        """Return what was found, in words."""
        tests = [test for name in ("aa", "slow") for test in self.found[name]["tests"]]
        spent = [test["seconds"] for test in tests] or [0.0]
        return (
            f"against itself, limit {self._arguments.aa_limit}: {aa['FAIL']} FAIL of "
            f"{aa['tests']}; slowed by {100 * self.found['slowdown']:.1f} %, limit "
            f"{self._arguments.slow_limit}: {slow['FAIL']} FAIL of {slow['tests']}; "
            f"{statistics.mean(spent):.2f} s a decision, at most {max(spent):.2f}; "
            f"{self.found['seconds']:.0f} s in all, {self.found['mode']} on {self.found['device']}"
        )

    def _write(self) -> None:
        if self._arguments.json:
            text = json.dumps(self.found, indent=1)
            self._arguments.json.write_text(text, encoding="utf-8")


def _summary(tests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts and means of some tests."""
    outcomes = Counter(test["outcome"] for test in tests)
    found = {name: outcomes[name] for name in ("PASS", "FAIL", "INCONCLUSIVE")}
    if not tests:
        return {"tests": 0, **found}
    return {
        "tests": len(tests),
        **found,
        "ratios": [min(test["ratio"] for test in tests), max(test["ratio"] for test in tests)],
        "pairs": statistics.mean(test["pairs"] for test in tests),
        "seconds": statistics.mean(test["seconds"] for test in tests),
        "most_seconds": max(test["seconds"] for test in tests),
        "discarded": sum(test["discarded"] for test in tests),
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--shape", choices=SHAPES, default="135m")
    model.add_argument("--model", type=Path)
    parser.add_argument("--tests", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=140.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--mode", choices=("eager", "compiled"), default="compiled")
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--aa-limit", type=float, default=1.03)
    parser.add_argument("--slow-limit", type=float, default=1.02)
    parser.add_argument("--slowdown", type=float, default=0.05)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float16")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(0 if Benchmark(parse()).run() else 1)
