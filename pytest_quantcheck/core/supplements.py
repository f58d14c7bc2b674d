"""What a run knows beside its checks, as records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """What a model, an adapter or a variant's own checkpoint was loaded from."""

    name: str
    """`model`, `adapter`, or `variant awq`."""
    commit: str | None
    """Of a hub id; None of a folder."""
    files: dict[str, str]
    """Sha256 of each file of a folder that decides how it answers, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HolmRecord:
    """A budget that is no FAIL by itself, and over its limit by Holm's test of the whole run."""

    nodeid: str
    model: str
    """As in its `EnvironmentRecord`."""
    variant_label: str
    workload: str
    slice: str | None
    keyword: str
    p_fail: float
    p_adjusted: float
    """Holm's adjusted p-value, at most the run's alpha."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRecord:
    """How far a reference differs from itself on one workload."""

    model: str
    """As in its `EnvironmentRecord`."""
    reference_label: str
    workload: str
    fingerprint: str
    """Of the workload."""
    metric: str
    level_unit: str
    n: int
    """Examples measured twice."""
    n_different: int
    """Those whose value differs; of right and wrong answers, flips."""
    difference: float
    """Mean of second minus first: a share, a score, or nats per token (word, byte)."""
    most: float
    """Upper confidence limit of the mean absolute difference; 0 where all is identical."""
    margin_nats: float | None
    """Mean absolute change of the margins of choices, or of a document's nats per token; None
    where there are none."""
    is_identical: bool
    """Whether outputs, margins and scores agree bit for bit."""
    pack_limit: int
    """Most sequences forwarded together the second time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A file that belongs to a run."""

    path: str
    """From the folder of the run's own file."""
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotRecord:
    """What pytest's cache keeps of a check, for planning: fields of its `CheckRecord`."""

    nodeid: str
    workload: str
    slice: str | None
    keyword: str
    reference_level: float
    value: float
    low: float | None
    high: float | None
    confidence_level: float
    n: int
    n_planned: int | None
    stopped_early: bool
    n_clusters: int | None
    counts: dict[str, int]
