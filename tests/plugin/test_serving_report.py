"""What a run with timed variants prints: table, cheapest variant, and the text of a failure."""

from timed_suite import SUITE, budget


def test_a_run_shows_what_serving_took_and_why_it_failed(timed):
    timed.tests(
        SUITE
        + budget(workload="brief", max_tpot_ratio=1.1, max_peak_memory_ratio=1.2)
        + budget(workload="brief", variant="faster", name="test_fast", max_tpot_ratio=1.0)
    )

    result = timed.run("--color=no")

    result.assert_outcomes(passed=1, failed=1)
    shown = " ".join(result.stdout.str().split())
    for said in (
        "FAIL: slower (tempo-130) on brief: TPOT ratio 1.3",
        "fake eager, not your server, on ",
        "(CPU): 32 prompt tokens, 5 new, batch 1 medians: TTFT ",
        "timed in turn, each pair in random order; contention: unknown n = 18 pairs; stopped early",
        "FAIL: slower (tempo-130) on brief: peak memory ratio 1.300, budget <= 1.2 compared",
        "slower (tempo-130): weights 1000 B; peak in prefill 130.0 MiB;",
        "variant weights ratio TTFT TPOT tokens/s tokens/s ratio peak memory fp16",
        "was timed beside each variant; its row is of the runs beside slower (tempo-130), and",
        "cheapest variant with every budget shown: faster (1 budget; slower has 2)",
    ):
        assert said in shown, said
    assert "worst" not in shown
