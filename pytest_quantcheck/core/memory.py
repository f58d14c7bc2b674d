"""What a variant takes while it serves requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """What a variant takes while it serves a shape."""

    weight_bytes: int
    """Of the weights as stored at the declared precision, quantization states included."""
    kv_cache_bytes: int
    """Of keys and values, or whatever else is kept of the sequences, at the last token."""
    peak_prefill_bytes: int | None = None
    """Most bytes of this variant's tensors until the first token; None without CUDA."""
    peak_decode_bytes: int | None = None
    """Most bytes from there to the last token; None without CUDA."""
    disk_bytes: int | None = None
    """Of the files of weights it was loaded from; None where they are not known."""
    load_seconds: float | None = None
    """From the files to a model that is ready, quantization included where it was done then."""

    @property
    def peak_bytes(self) -> int | None:
        """Most bytes at any time, of the phases that are known; None without CUDA.

        Examples
        --------
        >>> use = MemoryUse(
        ...     weight_bytes=60, kv_cache_bytes=20, peak_prefill_bytes=90, peak_decode_bytes=100
        ... )
        >>> use.peak_bytes
        100
        """
        phases = self.peak_prefill_bytes, self.peak_decode_bytes
        return max((one for one in phases if one is not None), default=None)
