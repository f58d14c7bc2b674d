"""A run whose every text tries to do harm, or is awkward to show."""

from __future__ import annotations

from dataclasses import replace

import known_latencies
import known_records as known
from example_records import measured_record, rows

from pytest_quantcheck.core.examples import key_of, to_line

SCRIPT = "<script>window.harmed = 1</script><img src=x onerror='window.harmed = 1'>"
ENDING = "</script><script>window.harmed = 2</script><!--"
TURNED = "ab\u202ecd\u2066ef"
BROKEN = "nul \x00 bell \x07 escape \x1b[31m half \ud800 end"
LONG = "word " * 20_000
TEXTS = (SCRIPT, ENDING, TURNED, BROKEN, LONG, "\u0633\u0644\u0627\u0645 42", "", "{{ 7 * 7 }}")


def hostile_run():
    """Return the run, and its per-example records by key."""
    n = len(TEXTS)
    place = {"model": SCRIPT, "workload": SCRIPT}
    common = {**place, "ids": [f"{ENDING}{i}" for i in range(n)], "slices": [SCRIPT] * n}
    reference = measured_record(
        rows("accuracy", [1] * n), variant="fp16", outputs=["right"] * n, **common
    )
    key = key_of(to_line(reference))
    variant = measured_record(
        rows("accuracy", [0] * n),
        variant_label=ENDING,
        reference=key,
        outputs=[*TEXTS],
        prompts=[*TEXTS],
        expected=[*TEXTS],
        **common,
    )
    found = key_of(to_line(variant))
    check = replace(
        known.CHECK,
        **place,
        variant_label=ENDING,
        note=SCRIPT,
        budget_reason=TURNED,
        nodeid=f"test_a.py::test[{SCRIPT}]",
        worst=[replace(known.FLIP, prompt=LONG, variant_output=SCRIPT, example=SCRIPT)],
        examples=found,
    )
    measured = replace(known.MEASURED, **place, plan=SCRIPT)
    other = replace(
        measured, variant="int4", variant_label=ENDING, is_reference=False, weight_bytes=4 * 10**9
    )
    token = replace(
        known.TOKEN,
        context=LONG,
        text=SCRIPT,
        reference_top=ENDING,
        variant_top=TURNED,
        example=SCRIPT,
    )
    words = replace(
        other,
        metric="perplexity",
        level=8.4,
        level_unit="perplexity",
        divergence=replace(known.DIVERGENCE, worst=[token]),
    )
    run = known.run(
        check,
        replace(check, outcome="fail", examples=None, metric=check.metric, worst=[]),
        measurements=[measured, other, replace(words, workload=TURNED, fingerprint="d" * 64)],
        latencies=[replace(known_latencies.LATENCY, **place, runtime=ENDING)],
        warnings=[SCRIPT, TURNED],
    )
    environment = replace(known.ENVIRONMENT, model=SCRIPT, device_name=ENDING)
    return replace(run, environments=[environment]), {key: reference, found: variant}
