"""Per-example records, as a run would make them."""

from __future__ import annotations

from pytest_quantcheck.core.examples import ExamplesRecord, ScoresRecord


def rows(metric, values, **fields):
    given = dict.fromkeys(("weights", "ids", "clusters", "bounds", "observations"))
    given |= {"is_identical": False} | fields
    return ScoresRecord(metric=metric, values=[*map(float, values)], **given)


def measured_record(*measured, variant="int4", **fields):
    n = len(measured[0].values) if measured else 0
    given = {
        "model": "models/helpdesk",
        "workload": "triage",
        "variant_label": f"{variant} (nf4)" if variant == "int4" else variant,
        "kind": "MultipleChoice",
        "fingerprint": "f" * 64,
        "reference": None,
        "n_planned": n,
        "ids": [f"e{i}" for i in range(n)],
        "clusters": None,
        "slices": None,
        "course": None,
        "outputs": [" yes"] * n,
        "prompts": None,
        "expected": None,
        "margins": None,
        "n_tokens": None,
        "first_divergence": None,
    }
    return ExamplesRecord(variant=variant, scores=[*measured], **given | fields)
