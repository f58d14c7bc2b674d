"""What a clock says of one request batch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimes:
    """One batch of requests, from the prompts to the last token of each."""

    ttft_seconds: float
    """From the start to the first new token (prefill)."""
    e2e_seconds: float
    """From the start to the last new token."""
    device_seconds: float | None
    """What CUDA events measured over the same span as `e2e_seconds`; None without CUDA."""
    new_tokens: int
    """Tokens that each request got, at least 1."""
    batch_size: int
    """Requests."""

    @property
    def tpot_seconds(self) -> float | None:
        """Time per output token after the first; None where there is no other.

        Examples
        --------
        >>> run = RunTimes(
        ...     ttft_seconds=0.2, e2e_seconds=1.0, device_seconds=None, new_tokens=5, batch_size=1
        ... )
        >>> run.tpot_seconds, run.tokens_per_second
        (0.2, 5.0)
        """
        if self.new_tokens == 1:
            return None
        return (self.e2e_seconds - self.ttft_seconds) / (self.new_tokens - 1)

    @property
    def tokens_per_second(self) -> float:
        """New tokens of all requests, over the whole time."""
        return self.batch_size * self.new_tokens / self.e2e_seconds
