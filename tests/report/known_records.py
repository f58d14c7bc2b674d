"""Records with known numbers."""

from __future__ import annotations

from pytest_quantcheck.core.record import (
    SCHEMA_VERSION,
    CheckRecord,
    EnvironmentRecord,
    ExampleRecord,
    MeasurementRecord,
    RunRecord,
)

FLIP = ExampleRecord(
    example="e17",
    slice="billing",
    prompt="Which queue?\nMy card was charged twice.",
    expected=" billing",
    reference_output=" billing",
    variant_output=" returns",
    reference_value=1.0,
    variant_value=0.0,
    is_worse=True,
    reference_margin=1.25,
    variant_margin=-0.5,
)
CHECK = CheckRecord(
    nodeid="test_a.py::test_triage[int4]",
    path="test_a.py",
    line=12,
    variant="int4",
    variant_label="int4 (nf4)",
    reference_label="fp16",
    workload="triage",
    metric="accuracy",
    keyword="max_accuracy_drop",
    statistic="drop",
    bound="upper",
    limit=0.03,
    unit="points",
    level_unit="fraction",
    reference_level=0.912,
    variant_level=0.889,
    value=0.023,
    low=0.015,
    high=0.032,
    confidence_level=0.9,
    p_pass=0.08,
    p_fail=0.9,
    alpha_pass=0.05,
    alpha_fail=0.0025,
    n=1200,
    n_clusters=None,
    counts={"losses": 40, "gains": 12, "both": 1054, "neither": 94},
    method="exact unconditional test",
    outcome="inconclusive",
    reason="not_enough_evidence",
    note="",
    needed_n=4013,
    gate="regression",
    is_statistical=True,
    fingerprint="f" * 64,
    prompt_fingerprint="a" * 64,
    worst=[FLIP],
)
MEASURED = MeasurementRecord(
    variant="fp16",
    variant_label="fp16",
    workload="triage",
    metric="accuracy",
    level=0.912,
    level_unit="fraction",
    n=1200,
    tokens=50_000,
    seconds=2.5,
    compute_dtype="float16",
    weight_bytes=16_000_000_000,
    is_reference=True,
    fingerprint="f" * 64,
    prompt_fingerprint="a" * 64,
    first_token_ids=[1, 2, 3],
)
ENVIRONMENT = EnvironmentRecord(
    model="models/helpdesk",
    reference_label="fp16",
    device="cuda:0",
    device_name="NVIDIA H100",
    alpha=0.05,
    family_size=20,
    checks_collected=12,
    versions={"torch": "2.13.0"},
)


def run(*checks, measurements=(MEASURED,), warnings=()):
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        started="2026-11-21T10:00:00+00:00",
        environment=ENVIRONMENT,
        checks=list(checks),
        measurements=list(measurements),
        warnings=list(warnings),
    )
