"""A loaded variant without torch: tokens are characters, log-likelihoods a rule."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.core.variant import Variant
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import (
    Continuation,
    ModelSource,
    NonFiniteLogitsError,
    Weights,
)
from pytest_quantcheck.measure.tasks.common import Job
from pytest_quantcheck.measure.tasks.dispatch import run_task

BOS = 1
LOADS: list[str] = []
"""Names of variants in the order they were loaded."""
SIZES: dict[str, int] = {}
"""Estimated bytes of variants by name; 100 by default."""


@dataclass
class FakeModel:
    """Scores each token by a table of characters; answers prompts from a table."""

    nats: dict[str, float] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    broken: str = ""
    """Logits of sequences that hold this are not finite."""
    context_tokens: int = 50
    digest: str = "same"
    quantized_fraction: float = 1.0
    device: str = "cpu"
    compute_dtype: str = "float32"
    plan: str = "by rule"
    generation_plan: str = "by rule"
    prefix_token: int = BOS
    tokenizer: object = "characters"
    model: object = "rules"
    merged: str = ""
    """Two characters that become one token."""
    refused: str = ""
    """The chat template raises at messages that hold this."""
    asked: list = field(default_factory=list)
    decodings: list = field(default_factory=list)
    pack_limit: int | None = None
    roomy: int = 10**6
    """Most sequences that fit into memory together."""
    closed: int = 0

    @property
    def weights(self) -> Weights:
        return Weights(
            stored_bytes=1000,
            quantized_fraction=self.quantized_fraction,
            left=(("layers.0.up.weight", 3_000_000), ("layers.1.experts", 2_000_000)),
            digests=(("layers.0.down.weight", self.digest),),
        )

    def read_ahead(self, texts) -> None:
        pass

    def encode(self, text: str, *, special: bool) -> list[int]:
        if self.merged:
            text = text.replace(self.merged, "\x02")
        return [BOS] * special + [ord(character) for character in text]

    def render_chat(self, messages, *, tools=(), options=None) -> str:
        if self.refused and any(self.refused in m["content"] for m in messages):
            raise MeasurementError("the chat template refuses it")
        turns = "".join(f"<{m['role'][0]}>{m['content']}" for m in messages)
        return f"{turns}{len(tools) or ''}{''.join(options or {})}<a>"

    def decode(self, tokens) -> str:
        text = "".join(chr(token) for token in tokens if token != BOS)
        return text.replace("\x02", self.merged)

    def score(self, requests, *, advance=None):
        self.asked.extend(requests)
        scores = []
        for index, request in enumerate(requests):
            text = self.decode(request.tokens)
            if self.broken and self.broken in text:
                raise NonFiniteLogitsError("the logits are not finite", request=index)
            scored = [chr(token) for token in request.tokens[request.first_target :]]
            scores.append(np.array([self.nats.get(c, -1.0) for c in scored], np.float32))
            if advance:
                advance(index + 1, sum(map(len, scores)))
        return scores

    def generate(self, prompts, decoding, *, streams=(), advance=None):
        self.decodings.append((decoding, tuple(streams)))
        found = []
        for index, prompt in enumerate(prompts):
            text = self.decode(prompt)
            if self.broken and self.broken in text:
                raise NonFiniteLogitsError("the logits are not finite", request=index)
            whole = self.answers.get(text, text[::-1])
            answer = whole[: decoding.max_new_tokens]
            tokens = tuple(ord(character) for character in answer)
            found.append(Continuation(tokens=tokens, text=answer, is_truncated=answer != whole))
            if advance:
                advance(index + 1, sum(len(one.tokens) for one in found))
        return found

    def close(self) -> None:
        self.closed += 1


class FakeBackend:
    """Loads a fake whose weights are those of its precision."""

    def load(self, variant, source):
        if variant.precision == "missing":
            LOADS.append(variant.name)
            raise UsageError("no such model")
        LOADS.append(variant.name)
        return FakeModel(
            device=source.device,
            digest="fp16" if variant.precision == "copied" else variant.precision,
            quantized_fraction=0.0 if variant.precision in {"fp16", "hollow"} else 1.0,
        )

    def estimate_bytes(self, variant, _source):
        return SIZES.get(variant.name, 100)


FAKE = {"fake": BackendSpec(name="fake", target="fake_model:FakeBackend")}


def variant(precision, *, backend="fake"):
    return Variant(name=precision, precision=precision, backend=backend)


REFERENCE, INT8, INT4, COPIED, HOLLOW, MISSING = (
    variant(name) for name in ("fp16", "int8", "int4", "copied", "hollow", "missing")
)


def make_pool(free=1000, fraction=0.5):
    """Return a pool on a device whose free memory shrinks with what is resident."""
    source = ModelSource(model="/models/desk", device="cpu")

    def free_bytes(device):
        assert device == "cpu"
        held = sum(SIZES.get(one.name, 100) for one in pool.resident)
        return free - held

    pool = Pool(FAKE, source, fraction, free_bytes=free_bytes)
    return pool


def run(workload, loaded=None, advance=None):
    """Return what a workload's task makes of all its examples."""
    job = Job(
        loaded=loaded or FakeModel(),
        workload=workload,
        examples=workload.examples(),
        advance=advance,
    )
    return run_task(job)
