"""Request batches of fixed lengths that reference and variant are timed on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_quantcheck.core.fingerprint import digest
from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.core.latency import MIN_PAIRS
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workloads.base import checked_name

if TYPE_CHECKING:
    from collections.abc import Sequence

MODES = ("eager", "compiled")
"""Pairs without which no latency ratio is tested."""


class Latency:
    """Request batches of fixed lengths: what they take in time and memory.

    Parameters
    ----------
    prompt_tokens : int, optional
        Tokens of each prompt, a BOS counted with them where the tokenizer adds one. Without
        `prompts` they are ordinary tokens drawn by the run's seed; with them the prompts are cut
        to so many.
    prompts : sequence of str, optional
        Texts, as they stand. Row i of a batch is prompt i, from the first again where there are
        fewer prompts than rows. Without `prompt_tokens` they must all be equally many tokens.
    new_tokens : int
        Tokens that each request gets, no more and no fewer.
    batch_size : int or sequence of int
        Requests served together. Each of several sizes is a slice of its own: `batch 8`.
    repeats : int
        Most pairs of runs, one of the reference and one of the variant; 12 or more.
    mode : str
        `eager` (plain generation) or `compiled` (static cache, CUDA graphs).
    seconds : float, optional
        Most time that one test spends on timing, without loading.
    name : str
        Shown in tables.

    Raises
    ------
    UsageError
        An argument is wrong.
    """

    def __init__(  # noqa: PLR0913 - what users write
        self,
        *,
        prompt_tokens: int | None = None,
        prompts: Sequence[str] | None = None,
        new_tokens: int,
        batch_size: int | Sequence[int] = 1,
        repeats: int = 60,
        mode: str = "eager",
        seconds: float | None = None,
        name: str = "latency",
    ) -> None:
        self.name = checked_name(name)
        self.prompt_tokens = (
            None if prompt_tokens is None else _count("prompt_tokens", prompt_tokens)
        )
        self.prompts = _checked_prompts(prompts)
        if self.prompt_tokens is None and not self.prompts:
            raise UsageError(
                "Latency: expected prompt_tokens=512 (so many synthetic tokens), prompts=[…], or "
                "both (prompts cut to so many tokens)"
            )
        self.new_tokens = _count("new_tokens", new_tokens)
        self._has_slices = not isinstance(batch_size, int)
        self.batch_sizes = _checked_sizes(batch_size)
        if len(self.prompts) > (largest := max(self.batch_sizes)):
            raise UsageError(
                f"Latency: {len(self.prompts)} prompts, and the largest batch has {largest} rows, "
                "so the rest would never be served; leave them out, or add a batch size"
            )
        self.repeats = _count("repeats", repeats, least=MIN_PAIRS)
        if mode not in MODES:
            raise UsageError(f"Latency: mode={mode!r}: {suggestion(str(mode), MODES)}")
        self.mode = str.__str__(mode)  # an enum that is a str must not get into a record
        self.seconds = _checked_seconds(seconds)

    def __repr__(self) -> str:
        """Return a name short enough for a test id or a traceback."""
        return f"Latency({self.name!r})"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics it reports; one token has no time per token after the first."""
        tpot = ("tpot",) if self.new_tokens > 1 else ()
        return ("ttft", *tpot, "e2e", "throughput", "peak_memory")

    @property
    def slices(self) -> tuple[str, ...]:
        """Names of its batch sizes where it was given several; else none."""
        return tuple(map(slice_name, self.batch_sizes)) if self._has_slices else ()

    def batch_size_of(self, name: str | None, *, shown: str) -> int:
        """Return the batch size that a budget is about.

        Parameters
        ----------
        name : str, optional
            The budget's slice.
        shown : str
            The marker as messages name it.

        Raises
        ------
        UsageError
            There is no such slice, or there are several sizes and the budget names none.
        """
        if name is None and len(self.batch_sizes) == 1:
            return self.batch_sizes[0]
        if name is None:
            raise UsageError(
                f"{shown}: workload {self.name} has the batch sizes "
                f"{', '.join(map(str, self.batch_sizes))}; name one, as in "
                f"slice={self.slices[0]!r}"
            )
        if name not in self.slices:
            advice = suggestion(name, self.slices) if self.slices else "it has one batch size"
            raise UsageError(
                f"{shown}: slice={name!r}: workload {self.name} has no such slice; {advice}"
            )
        return self.batch_sizes[self.slices.index(name)]

    @property
    def fingerprint(self) -> str:
        """Digest of what is served, however long it is timed."""
        return digest(
            {
                "kind": "Latency",
                "prompt_tokens": self.prompt_tokens,
                "prompts": list(self.prompts),
                "new_tokens": self.new_tokens,
                "batch_sizes": list(self.batch_sizes),
                "mode": self.mode,
            }
        )


def slice_name(batch_size: int) -> str:
    """Return the slice of one batch size among several."""
    return f"batch {batch_size}"


def _count(name: str, value: object, *, least: int = 1) -> int:
    if type(value) is not int or value < least:
        raise UsageError(f"Latency: {name}={value!r}: expected a whole number, at least {least}")
    return value


def _checked_prompts(prompts: object) -> tuple[str, ...]:
    if prompts is None:
        return ()
    if isinstance(prompts, str) or not isinstance(prompts, (list, tuple)) or not prompts:
        raise UsageError(f"Latency: prompts={prompts!r}: expected a list of texts")
    for prompt in prompts:
        if not isinstance(prompt, str) or not prompt:
            raise UsageError(f"Latency: found {prompt!r} among the prompts, expected a text")
    return tuple(map(str.__str__, prompts))


def _checked_sizes(batch_size: object) -> tuple[int, ...]:
    if not isinstance(batch_size, (list, tuple)):
        return (_count("batch_size", batch_size),)
    sizes = tuple(_count("batch_size", size) for size in batch_size)
    if not sizes or len(set(sizes)) < len(sizes):
        raise UsageError(
            f"Latency: batch_size={batch_size!r}: expected a whole number, or several different "
            "ones"
        )
    return sizes


def _checked_seconds(seconds: object) -> float | None:
    if seconds is None:
        return None
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds <= 0:  # type: ignore[arg-type,operator]  # just looked
        raise UsageError(f"Latency: seconds={seconds!r}: expected a number above 0")
    return float(seconds)  # type: ignore[arg-type]  # just looked
