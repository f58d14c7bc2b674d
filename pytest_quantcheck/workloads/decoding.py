"""How outputs are made: how long, where they stop, greedily or sampled."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.fingerprint import Plain


class DecodingOptions(TypedDict, total=False):
    """Keyword options of every workload that generates."""

    max_new_tokens: int
    """Longest output; it ends earlier at the end-of-sequence token or a stop string."""
    stop: str | Sequence[str]
    """Strings that end an output, which is cut before them."""
    temperature: float | None
    """Of sampling; greedy where it is 0 or None."""
    top_p: float | None
    """Sample from the likeliest tokens that hold this probability."""
    top_k: int | None
    """Sample from so many of the likeliest tokens."""
    samples: int
    """Outputs of each prompt."""
    seed: int
    """Of sampling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """A checked recipe for outputs."""

    max_new_tokens: int = 64
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    """Above 0; None is greedy."""
    top_p: float | None = None
    top_k: int | None = None
    samples: int = 1
    seed: int = 0

    def plain(self) -> dict[str, Plain]:
        """Return what decides the outputs of a prompt."""
        return {
            "max_new_tokens": self.max_new_tokens,
            "stop": [*self.stop],
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "samples": self.samples,
            "seed": self.seed,
        }

    def stream(self, example_id: str) -> int:
        """Return which random numbers an output is sampled with: 64 bits of seed and id.

        Every variant samples an example with the same ones, in whatever batch it stands.
        """
        if self.temperature is None:
            return 0
        found = hashlib.sha256(f"{self.seed}\0{example_id}".encode()).digest()
        return int.from_bytes(found[:8], "little")


def checked_decoding(options: DecodingOptions, shown: str) -> Decoding:
    """Return how `shown`, such as `workload invoice`, generates.

    Raises
    ------
    UsageError
        An option is wrong, or does not go with another.
    """
    try:
        return _checked(options)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from None


def _checked(options: DecodingOptions) -> Decoding:
    temperature = _number(options.get("temperature"), "temperature", high=math.inf)
    decoding = Decoding(
        max_new_tokens=_whole(options.get("max_new_tokens", 64), "max_new_tokens", low=1),
        stop=_checked_stop(options.get("stop", ())),
        temperature=temperature or None,
        top_p=_number(options.get("top_p"), "top_p", high=1.0),
        top_k=None if (k := options.get("top_k")) is None else _whole(k, "top_k", low=1),
        samples=_whole(options.get("samples", 1), "samples", low=1),
        seed=_whole(options.get("seed", 0), "seed"),
    )
    if decoding.top_p == 0:
        raise UsageError("top_p=0: expected a number above 0, at most 1")
    if decoding.temperature is None:
        _refuse_sampling(options)
    return decoding


def _refuse_sampling(options: DecodingOptions) -> None:
    is_asked = {
        "top_p": options.get("top_p") is not None,
        "top_k": options.get("top_k") is not None,
        "samples": options.get("samples", 1) > 1,
        "seed": "seed" in options,
    }
    for name, asked in is_asked.items():
        if asked:
            raise UsageError(
                f"{name}={options.get(name)!r} needs sampling: give a temperature above 0, such "
                "as temperature=1.0; outputs are greedy without one"
            )


def _checked_stop(stop: object) -> tuple[str, ...]:
    strings = (stop,) if isinstance(stop, str) else stop
    if not isinstance(strings, list | tuple) or not all(
        isinstance(one, str) and one for one in strings
    ):
        raise UsageError(f"stop={stop!r}: expected a non-empty string, or a list of them")
    return tuple(str(one) for one in strings)


def _whole(value: object, name: str, *, low: int | None = None) -> int:
    if type(value) is int and (low is None or value >= low):
        return value
    least = "" if low is None else f", at least {low}"
    raise UsageError(f"{name}={value!r}: expected a whole number{least}")


def _number(value: object, name: str, *, high: float) -> float | None:
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and 0 <= value <= high:  # type: ignore[arg-type, operator]  # just checked
        return float(value)  # type: ignore[arg-type]  # just checked
    most = "" if high == math.inf else f" and at most {high:g}"
    raise UsageError(f"{name}={value!r}: expected a number of at least 0{most}")
