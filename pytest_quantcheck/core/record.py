"""Records: everything a report shows, in exact built-in types that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_quantcheck.core.serving import LatencyRecord  # noqa: TC001 - revived
from pytest_quantcheck.core.supplements import (  # noqa: TC001 - revived
    FileRecord,
    HolmRecord,
    NoiseRecord,
    SourceRecord,
)
from pytest_quantcheck.core.tokens import DivergenceRecord, TextLossRecord  # noqa: TC001 - same

SCHEMA_VERSION = 1
_TEETH = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleRecord:
    """One example on which reference and variant differ."""

    example: str
    slice: str | None
    prompt: str
    """At most 20,000 characters, as all texts here; of a longer one the middle is left out."""
    expected: str
    fields: dict[str, str]
    """Of the data, those that neither workload nor prompt read; at most 200 characters each."""
    reference_output: str
    variant_output: str
    reference_value: float
    """1 or 0 for right or wrong, the score, or nats per token (word, byte)."""
    variant_value: float
    is_worse: bool
    """The variant lost here; a harmful flip where the values are right and wrong."""
    reference_margin: float | None
    """Nats by which the right choice leads; negative where it trails; None without choices."""
    variant_margin: float | None
    first_divergence: int | None
    """Index of the first token in which generated outputs differ; None where none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRecord:
    """How one slice of a workload fared."""

    slice: str
    n: int
    n_worse: int
    n_better: int
    p_concentrated: float
    """Chance of so many worse ones here if they fell on all examples alike; a description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """One budget, what was measured and what was decided."""

    nodeid: str
    path: str
    line: int
    model: str
    """As in its `EnvironmentRecord`."""
    variant: str
    variant_label: str
    reference_label: str
    workload: str
    slice: str | None
    """None: the whole workload."""
    metric: str
    keyword: str
    statistic: str
    bound: str
    """`upper` or `lower`."""
    limit: float
    """In `unit`."""
    unit: str
    level_unit: str
    reference_level: float
    """The metric of the reference, in `level_unit`."""
    variant_level: float
    value: float
    """The statistic that is compared with the limit, in `unit`."""
    low: float | None
    """None where no interval exists: a claim about these examples only."""
    high: float | None
    confidence_level: float
    p_pass: float | None
    """One-sided p of "at or over the limit"; small shows PASS."""
    p_fail: float | None
    """One-sided p of "within the limit"; small shows FAIL."""
    alpha_pass: float
    alpha_fail: float
    """The run's alpha over the size of its family."""
    n: int
    """Examples the verdict is about; everything here is of these."""
    n_planned: int | None
    """Examples there are, where measuring could stop as soon as all is decided; else None."""
    stopped_early: bool
    are_blocks: bool
    """Whether n counts blocks of documents, which fewer than five are cut into."""
    n_clusters: int | None
    design_effect: float | None
    """How many clustered examples tell as much as one that stands alone, as the test has it; None
    without clusters, or where none is needed."""
    counts: dict[str, int]
    """Of right and wrong answers `losses`, `gains`, `both`, `neither`; of one model `hits`."""
    mcnemar_p: float | None
    """Exact two-sided p of "losses and gains are equally likely", as description; None where the
    examples are not right or wrong, come in clusters, or the verdict came early."""
    method: str
    """The test, as statisticians call it."""
    outcome: str
    """`pass`, `fail` or `inconclusive`."""
    reason: str
    """The value of a `Reason`: `shown_over`."""
    note: str
    needed_n: int | None
    """Examples in all for 80 % power at the estimate, with looks where so many would be looked at;
    None where no number would do."""
    power: float | None
    """Chance of FAIL with all examples where the truth is `power_at`; None where unknown."""
    power_at: float | None
    """A gross excess of the limit, in `unit`."""
    gate: str
    target: str
    """`population`, or `dataset` for a claim about these examples only."""
    is_statistical: bool
    """Whether sampling error enters."""
    is_in_family: bool
    """Whether it shares the run's alpha: statistical, and not waived."""
    waive_until: str | None
    """The last day, in UTC, on which a red verdict blocks nobody: `2027-03-31`."""
    is_waived: bool
    """Whether the run began on that day or before, without `--runxfail`."""
    budget_reason: str
    """Why the team chose the limit, or waives it."""
    fingerprint: str
    """Digest of the examples and of how they are scored."""
    prompt_fingerprint: str
    """Digest of the token ids the model was given; empty where it was given none."""
    worst: list[ExampleRecord]
    """The examples that changed most, those that got worse first."""
    n_worse: int
    """Examples on which the variant did worse than the reference; of flips, those lost."""
    n_better: int
    slices: list[SliceRecord]
    """Where the examples that got worse are; empty where the data names no slices."""
    reference_text_loss: TextLossRecord | None
    """Of budgets on perplexity, whatever it is per; None of others."""
    variant_text_loss: TextLossRecord | None
    divergence: DivergenceRecord | None
    """Of the predictions; None where the budget asks nothing of them."""
    n_diverged: int | None
    """Generated outputs that differ from the reference's; None where none are generated."""
    mean_first_divergence: float | None
    """Tokens that these share with the reference's before they part, on average."""
    noise_floor: float | None
    """Largest degradation that may be noise, in `unit`; None where it was not measured."""
    examples: str | None
    """Key of the variant's `ExamplesRecord`; None if none is written, or only weights count."""

    @property
    def is_red(self) -> bool:
        """Whether the verdict turns its test red, were it not waived."""
        is_open = self.outcome == "inconclusive"
        return self.outcome == "fail" or (is_open and self.gate == "strict")

    @property
    def is_toothless(self) -> bool:
        """Whether it would more likely than not stay green though its limit is grossly exceeded."""
        is_weak = self.power is not None and self.power < _TEETH
        return is_weak and self.is_in_family and self.outcome != "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementRecord:
    """What one variant scored on one workload."""

    model: str
    """As in its `EnvironmentRecord`."""
    revision: str | None
    """Commit of a hub's checkpoint, or digest of a folder's."""
    variant: str
    variant_label: str
    workload: str
    metric: str
    level: float
    level_unit: str
    n: int
    """Examples the test's verdicts took."""
    n_planned: int
    """Examples there are."""
    tokens: int
    """Scored or generated; `seconds` took as long. Examples past a stop are counted in."""
    seconds: float
    measured_at: str
    """UTC, ISO 8601; of several parts the first."""
    n_from_store: int
    """Of the n examples those that an earlier run measured; `seconds` counts its time."""
    compute_dtype: str
    """What the arithmetic was done in: `float16`."""
    plan: str
    """How sequences were scored or outputs generated; empty where a callable did it."""
    weight_bytes: int
    is_reference: bool
    fingerprint: str
    prompt_fingerprint: str
    """Digest of the token ids the model was given for every example."""
    first_token_ids: list[int]
    """Of the first example, as the model saw them."""
    text_loss: TextLossRecord | None
    """Of documents; None of other workloads."""
    divergence: DivergenceRecord | None
    """From the reference's predictions; None where no budget asks, and of the reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRecord:
    """Where and how a worker measured one model."""

    model: str
    """As the user wrote it, with revision and adapter."""
    revision: str | None
    """Commit of a hub's model, or digest of a folder's; of what the reference was loaded from."""
    reference_label: str
    device: str
    device_name: str
    alpha: float
    family_size: int
    checks_collected: int
    """Statistical budgets of all models that share alpha, deselected ones too."""
    budgets_collected: dict[str, int]
    """Budgets of each variant of this model, of whatever kind, deselected ones too."""
    redact: str
    """What is left out of all records: `off`, `text` or `ids`."""
    versions: dict[str, str]
    options: list[str]
    """Of the command line, those that decide budgets and examples: `--quant-limit=100`."""
    sources: list[SourceRecord]
    """What was loaded; empty where no file of the run was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """What one test sends to the reports."""

    outcome: str
    checks: list[CheckRecord]
    measurements: list[MeasurementRecord]
    environment: EnvironmentRecord
    noise: list[NoiseRecord]
    latencies: list[LatencyRecord]
    """Of each `Latency` workload it measured, one for each batch size."""
    warnings: list[str]
    """What the reader should know though no budget asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A whole run."""

    schema_version: int
    started: str
    """UTC, ISO 8601."""
    environment: EnvironmentRecord | None
    """Of the first model; None where no budget was reached."""
    environments: list[EnvironmentRecord]
    """One for each model."""
    checks: list[CheckRecord]
    also_failing: list[HolmRecord]
    """Of the budgets that are not FAIL; the exit status does not depend on them."""
    noise: list[NoiseRecord]
    """Of each model's reference, where `--quant-noise-floor` asked."""
    measurements: list[MeasurementRecord]
    latencies: list[LatencyRecord]
    """One for each variant, `Latency` workload and batch size."""
    warnings: list[str]
    examples: FileRecord | None
    """The per-example records; None where nothing was measured, or no file asked for."""
