"""A tiny model timed for real, on the CPU: figures of this machine, labelled so."""

import json

import pytest
import tiny_models

SUITE = """
import pytest
from pytest_quantcheck import Latency

@pytest.mark.quant_budget("nf4", max_ttft_ratio=10, max_e2e_ratio=10, max_weight_memory_ratio=1)
def test_serving(quant):
    found = quant.measure(
        Latency(prompt_tokens=16, new_tokens=4, batch_size=2, repeats=12, mode="compiled")
    )
    assert 0 < found.variant["ttft"] < found.variant["e2e"]
"""


@pytest.fixture
def suite(pytester):
    tiny_models.save(pytester.path / "model", tiny_models.make_model("llama"))
    pytester.makeini("[pytest]\nquant_model = model\nquant_device = cpu\n")
    pytester.makepyfile(test_suite=SUITE)
    return pytester


def test_on_a_cpu_times_are_taken_and_labelled(suite):
    result = suite.runpytest_inprocess("-p", "no:randomly", "--quant-json=run.json")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*transformers eager, not your server, on * (CPU)*"])
    run = json.loads((suite.path / "run.json").read_text(encoding="utf-8"))
    (latency,) = run["latencies"]
    assert (latency["device"], latency["runtime"]) == ("cpu", "transformers eager, not your server")
    assert latency["contention"] == "unknown"
    assert (latency["n"], latency["batch_size"], latency["prompt_tokens"]) == (12, 2, 16)
    assert latency["mode_asked"] == "compiled"
    for side in (latency["reference"], latency["variant"]):
        assert side["mode"] == "eager"
        assert side["fallback"]
        memory = side["memory"]
        assert memory["kv_cache_bytes"] > 0
        assert memory["weight_bytes"] > 0
        assert memory["disk_bytes"] > 0
        assert memory["peak_decode_bytes"] is None
        assert side["memory"]["load_seconds"] > 0
        assert side["tpot"]["median_ms"] > 0
