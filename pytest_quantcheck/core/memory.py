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
        """Most bytes at all; None without CUDA.

        Examples
        --------
        >>> use = MemoryUse(
        ...     weight_bytes=60, kv_cache_bytes=20, peak_prefill_bytes=90, peak_decode_bytes=100
        ... )
        >>> use.peak_bytes, use.kv_cache_share
        (100, 0.2)
        """
        if self.peak_prefill_bytes is None or self.peak_decode_bytes is None:
            return None
        return max(self.peak_prefill_bytes, self.peak_decode_bytes)

    @property
    def kv_cache_share(self) -> float | None:
        """Share of the peak that keys and values are; None without CUDA."""
        return self.kv_cache_bytes / self.peak_bytes if self.peak_bytes else None
