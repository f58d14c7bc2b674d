"""A serving test in a suite on a GPU: times, memory, cost, both modes, in pairs and in loads."""

from __future__ import annotations

import json

import pytest
from other_process import plugin_options

pytestmark = pytest.mark.gpu
DEVICE = "cuda:0"
SUITE = """
import pytest
from pytest_quantcheck import Latency

def asked(mode):
    return Latency(
        prompt_tokens=32, new_tokens=8, batch_size=(1, 4), repeats=12, mode=mode, name=mode)

eager, compiled = asked("eager"), asked("compiled")

@pytest.mark.parametrize("workload", [eager, compiled], ids=["eager", "compiled"])
@pytest.mark.quant_budget(
    "nf4", slice="batch 4", max_ttft_ratio=10, max_e2e_p50_ms=9999, max_peak_memory_ratio=10,
    max_peak_memory_mib=9999)
def test_serving(quant, workload):
    quant.measure(workload)
"""


@pytest.fixture
def suite(pytester, checkpoint):
    model = checkpoint("llama").model
    pytester.makeini(f"[pytest]\nquant_model = {model}\nquant_device = {DEVICE}\n")
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def run(suite, *args):
    """Run the suite, and return its result and what was timed."""
    options = [*plugin_options(), "-p", "no:randomly", "--quant-json=run.json", *args]
    result = suite.runpytest_inprocess(*options)
    written = json.loads((suite.path / "run.json").read_text(encoding="utf-8"))
    return result, written["latencies"]


def test_both_modes_are_timed_with_memory_and_cost(suite):
    result, latencies = run(suite, "--quant-gpu-hour-cost=2")

    result.assert_outcomes(passed=2)
    found = {(one["workload"], one["slice"]): one for one in latencies}
    assert [*found] == [
        (mode, f"batch {size}") for mode in ("eager", "compiled") for size in (1, 4)
    ]
    for one in latencies:
        assert one["schedule"] == "pairs"
        assert one["device"] == DEVICE
        assert one["contention"]
        for side in (one["reference"], one["variant"]):
            memory = side["memory"]
            assert 0 < memory["kv_cache_bytes"] < memory["peak_decode_bytes"]
            assert memory["peak_prefill_bytes"] > 0
            assert side["cost_per_million_tokens"] > 0
            assert side["mode"] == one["mode_asked"] or side["fallback"]
    reference = found["compiled", "batch 1"]["reference"]
    assert (reference["mode"], reference["fallback"]) == ("compiled", "")


def test_variants_that_do_not_fit_together_are_timed_in_loads(suite):
    result, latencies = run(suite, "--quant-vram-fraction=1e-9", "-k", "eager")

    result.assert_outcomes(passed=1, deselected=1)
    assert [one["schedule"] for one in latencies] == ["loads", "loads"]
    assert all(8 <= one["n"] <= one["n_planned"] == 12 for one in latencies)
