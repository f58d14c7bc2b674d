"""A backend without torch: tokens are characters, and each precision is wrong by a known rule.

Precision `fp16` is always right; `lossy-30` is wrong on the examples whose number is below 30 in a
thousand; `jittery-30` is so only in packs of limited size; `late-1200` is right only from number
1,200 on; `slow-5` takes 5 milliseconds each; `foreign` has another tokenizer. The number is the
first one in the prompt. `tempo-130` is always right, says that it takes 130 % of the time and of
the memory of all others, and `unmetered` does not know its memory.
"""

from __future__ import annotations

import os
import random
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pytest_quantcheck.core.latency import RunTimes
from pytest_quantcheck.core.memory import MemoryUse
from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.errors import BackendUnavailable
from pytest_quantcheck.measure.divergence import TokenDivergences
from pytest_quantcheck.measure.protocols import Continuation, Weights

SPECS = [BackendSpec(name="fake", target="quantcheck_fake:FakeBackend")]
VERSIONED = [replace(spec, version="1") for spec in SPECS]
"""The same with a version, so that scores are kept between runs."""
LOADS: list[str] = []
"""Names of variants in the order they were loaded, for tests in one process."""
LOG = "QUANTCHECK_FAKE_LOG"
RIGHT, WRONG = "right", "wrong"
FAULTS = {"say nothing": " \n", "go on": "on and on and on and on"}
PARAMETERS = 1000
TTFT_SECONDS, TPOT_SECONDS, SCATTER = 0.02, 0.01, 0.01
PEAK_BYTES = 100 * 2**20
SERVED: list[tuple[str, object]] = []
"""Variants and the shapes they were made ready to serve, for tests in one process."""


def log(line: str) -> None:
    """Append a line to the file that LOG names, if it names one: for tests over processes."""
    if LOG in os.environ:
        with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def number_in(prompt: str) -> int:
    """Return the first whole number in a prompt."""
    return int(re.search(r"\d+", prompt)[0])


@dataclass
class FakePredictions:
    """Every token of a document is 0.01 to 0.07 nats away, and one of them far more."""

    of: FakeModel
    requests: list
    vocabulary: int
    needs_model: bool = False

    def kept(self):
        return None

    def divergences(self, variant: FakePredictions, advance: object = None) -> list:
        if advance is not None:
            advance(len(self.requests), len(self.requests))
        is_same = self.of.precision == variant.of.precision
        return [self._divergence(request, is_same=is_same) for request in self.requests]

    def _divergence(self, request: object, *, is_same: bool) -> TokenDivergences:
        tokens = np.array(request.tokens[request.first_target :])
        number = number_in(self.of.decode(request.tokens))
        kl = np.full(tokens.size, 0.01 * (1 + number % 7))
        kl[number % tokens.size] = 1 + number % 1000 / 100
        is_other = (np.arange(tokens.size) + number) % 10 == 0
        certain = np.full(tokens.size, 0.5)
        return TokenDivergences(
            kl=kl * (not is_same),
            delta_p=certain * 0 - 0.1 * (not is_same),
            reference_top=tokens,
            variant_top=tokens + (is_other & (not is_same)),
            reference_p=certain,
            variant_p=certain - 0.1 * (not is_same),
        )


@dataclass
class FakeServer:
    """Says how long each run took, one percent more or less, and takes no time."""

    precision: str
    shape: object
    n_runs: int = 0
    is_closed: bool = False

    @property
    def mode(self) -> str:
        return "eager"

    @property
    def fallback(self) -> str:
        return "" if self.shape.mode == "eager" else "rules cannot be compiled"

    def run(self) -> RunTimes:
        assert not self.is_closed
        self.n_runs += 1
        rng = random.Random(f"{self.precision}/{self.n_runs}")
        slow = slowness(self.precision) * len(self.shape.prompts) ** 0.5
        ttft = TTFT_SECONDS * slow * rng.gauss(1, SCATTER)
        rest = (self.shape.new_tokens - 1) * TPOT_SECONDS * slow * rng.gauss(1, SCATTER)
        return RunTimes(
            ttft_seconds=ttft,
            e2e_seconds=ttft + rest,
            device_seconds=None,
            new_tokens=self.shape.new_tokens,
            batch_size=len(self.shape.prompts),
        )

    def close(self) -> None:
        self.is_closed = True


def slowness(precision: str) -> float:
    """Return time and memory of a precision, in those of most others."""
    rule, _, value = precision.partition("-")
    return int(value) / 100 if rule == "tempo" else 1.0


@dataclass
class FakeModel:
    """Answers by rule."""

    precision: str
    device: str = "cpu"
    compute_dtype: str = "float32"
    plan: str = "by rule"
    generation_plan: str = "by rule"
    context_tokens: int = 4096
    prefix_token: int = 0
    tokenizer: object = "characters"
    model: object = "rules"
    pack_limit: int | None = None

    @property
    def is_quantized(self) -> bool:
        return self.precision != "fp16"

    @property
    def weights(self) -> Weights:
        left = (("model.layers.0.mlp", PARAMETERS),) if self.precision == "untouched" else ()
        name = "fp16" if self.precision == "same" else self.precision
        return Weights(
            stored_bytes=PARAMETERS * (1 if self.is_quantized else 2),
            quantized_fraction=1.0 if self.is_quantized and not left else 0.0,
            left=left,
            digests=(("model.layers.0.mlp", name),),
        )

    def is_right(self, prompt: str) -> bool:
        rule, _, value = self.precision.partition("-")
        number = number_in(prompt)
        if rule == "lossy":
            return number % 1000 >= int(value)
        if rule == "jittery":
            return self.pack_limit is None or number % 1000 >= int(value)
        if rule == "slow":
            time.sleep(int(value or 50) / 1000)
        return True

    def read_ahead(self, texts) -> None:
        pass

    def encode(self, text: str, *, special: bool) -> list[int]:
        if self.precision.startswith("foreign"):
            text = f" {text}"
        return [self.prefix_token] * special + [ord(char) for char in text]

    def render_chat(self, messages: list, *, tools: tuple = (), options: object = None) -> str:  # noqa: ARG002
        return "".join(f"<{m['role']}>{m['content']}" for m in messages) + "<assistant>"

    def decode(self, tokens: list[int]) -> str:
        return "".join(chr(token) for token in tokens)

    def score(self, requests: list, advance: object = None) -> list:  # noqa: ARG002
        log(f"score {self.precision} {self.decode(requests[0].tokens)}")
        return [self._score(request) for request in requests]

    def _score(self, request: object) -> np.ndarray:
        text = self.decode(request.tokens)
        n = len(request.tokens) - request.first_target
        if text.rstrip().endswith((RIGHT, WRONG)):
            good = text.rstrip().endswith(RIGHT) == self.is_right(text)
            return np.full(n, -0.1 if good else -2.0, dtype=np.float32)
        loss = 1.0 if self.is_right(text) else 2.0
        is_spread = self.is_quantized and not self.precision.startswith("jittery")
        spread = 0.01 * (number_in(text) % 7) if is_spread else 0.0
        return np.full(n, -(loss + spread), dtype=np.float32)

    def predictions(self, requests: list, advance: object = None) -> FakePredictions:
        if advance is not None:
            advance(len(requests), len(requests))
        return FakePredictions(self, requests, ord("z") + 1 + self.precision.startswith("wide"))

    def generate(
        self,
        prompts: list,
        decoding: object,
        streams: object = (),  # noqa: ARG002
        advance: object = None,  # noqa: ARG002
    ) -> list:
        return [self._continue(self.decode(prompt), decoding.max_new_tokens) for prompt in prompts]

    def _continue(self, prompt: str, most: int) -> Continuation:
        whole = RIGHT if self.is_right(prompt) else self.wrong(prompt)
        tokens = tuple(map(ord, whole[:most]))
        return Continuation(tokens=tokens, text=whole[:most], is_truncated=len(whole) > most)

    def wrong(self, prompt: str) -> str:
        """Return a wrong answer: empty or looping where the prompt asks."""
        return next((text for word, text in FAULTS.items() if word in prompt), WRONG)

    def server(self, shape: object) -> FakeServer:
        SERVED.append((self.precision, shape))
        log(f"serve {self.precision} {len(shape.prompts)}")
        return FakeServer(self.precision, shape)

    def memory_use(self, shape: object) -> MemoryUse:
        peak = int(PEAK_BYTES * slowness(self.precision)) * len(shape.prompts)
        is_metered = self.precision != "unmetered"
        return MemoryUse(
            weight_bytes=self.weights.stored_bytes,
            kv_cache_bytes=2**20,
            peak_prefill_bytes=peak if is_metered else None,
            peak_decode_bytes=peak // 2 if is_metered else None,
            disk_bytes=PARAMETERS * 2,
        )

    def close(self) -> None:
        self.model = None


class FakeBackend:
    """Loads rules."""

    def load(self, variant: object, source: object) -> FakeModel:
        if variant.precision == "absent":
            raise BackendUnavailable("the package imaginary is missing: pip install imaginary")
        LOADS.append(variant.name)
        log(f"load {variant.name}")
        model = Path(source.model).name
        # A model may be bad at every quantized precision: its folder is called `lossy-300`.
        is_bad = model.startswith("lossy-") and variant.precision != "fp16"
        return FakeModel(model if is_bad else variant.precision, device=source.device)

    def estimate_bytes(self, variant: object, source: object) -> int:  # noqa: ARG002
        return PARAMETERS * 2
