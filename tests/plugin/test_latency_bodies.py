"""Which budget is decided on which workload, and what is refused before anything is timed."""

from timed_suite import SUITE, budget

USAGE = 4
BOTH = "quant.measure(quiz); found = quant.measure(brief); assert len(quant.verdicts) == 2"


def test_each_budget_finds_the_workload_of_the_body_that_measures_it(timed):
    timed.tests(SUITE + budget(BOTH, max_ttft_ratio=1.5, max_accuracy_drop=0.1))

    timed.run("--quant-json=run.json").assert_outcomes(passed=1)

    found = {check["metric"]: check["workload"] for check in timed.record()["checks"]}
    assert found == {"ttft": "brief", "accuracy": "quiz"}


def test_a_body_sees_medians_and_memory(timed):
    timed.tests(
        SUITE
        + budget(
            "found = quant.measure(sizes)\n"
            "    assert round(found.reference['ttft[batch 1]']) == 20\n"
            "    assert round(found.variant['tpot[batch 4]']) == 26\n"
            "    assert found.variant['peak_memory[batch 4]'] == 520\n"
            "    assert found.n == 60\n"
            "    alone = quant.measure(brief)\n"
            "    assert round(alone.variant['throughput']) == 64",
            max_weight_memory_ratio=0.6,
        )
    )

    timed.run("--quant-json=run.json").assert_outcomes(passed=1)

    slices = [one["slice"] for one in timed.record()["latencies"]]
    assert slices == ["batch 1", "batch 4", None]


def test_a_batch_size_has_budgets_of_its_own(timed):
    timed.tests(
        SUITE
        + "@pytest.mark.quant_budget('slower', slice='batch 4', max_ttft_p50_ms=60)\n"
        + budget("quant.measure(sizes)", slice="batch 1", max_ttft_p50_ms=30)
    )

    timed.run("--quant-json=run.json").assert_outcomes(passed=1)

    levels = {c["slice"]: round(c["variant_level"]) for c in timed.record()["checks"]}
    assert levels == {"batch 1": 26, "batch 4": 52}


WRONG_BODIES = {
    "nothing measured": ("pass", {"max_ttft_ratio": 1.5}, "must measure exactly one; *none"),
    "a quiz alone": (
        "quant.measure(quiz)",
        {"max_ttft_ratio": 1.5},
        "max_ttft_ratio needs ttft, but workload quiz measures accuracy",
    ),
    "times alone": (
        "quant.measure(brief)",
        {"max_accuracy_drop": 0.1},
        "max_accuracy_drop needs accuracy, but workload brief measures ttft, tpot",
    ),
    "neither of two": (
        "quant.measure(quiz); quant.measure(brief)",
        {"max_perplexity_ratio": 1.1},
        "none that the test measured reports perplexity: quiz measures *; brief measures ttft",
    ),
    "two that do": (
        "quant.measure(brief); quant.measure(chat)",
        {"max_ttft_ratio": 1.5},
        "must measure exactly one; it measured brief, chat",
    ),
    "no batch size": (
        "quant.measure(quiz); quant.measure(sizes)",
        {"max_ttft_ratio": 1.5},
        "workload sizes has the batch sizes 1, 4; name one, as in slice='batch 1'",
    ),
    "too few runs for a percentile": (
        "quant.measure(brief)",
        {"max_ttft_p99_ms": 30},
        "workload brief: max_ttft_p99_ms with 60 runs: 299 are needed",
    ),
    "prompts of other lengths": (
        "quant.measure(Latency(prompts=['a', 'abc'], batch_size=2, new_tokens=2))",
        {"max_ttft_ratio": 1.5},
        "its prompts are 2 to 4 tokens long",
    ),
}


def test_mistakes_in_bodies_are_usage_errors(timed):
    tests = [
        budget(body, name=f"test_{number}", **limits)
        for number, (body, limits, _) in enumerate(WRONG_BODIES.values())
    ]
    timed.tests(SUITE + "".join(tests))

    result = timed.run()

    assert result.ret == USAGE
    result.assert_outcomes(failed=len(WRONG_BODIES))
    for _, _, message in WRONG_BODIES.values():
        result.stdout.fnmatch_lines([f"not measured: *{message}*"])


def test_a_backend_that_serves_nothing_says_which_can(timed):
    (timed.pytester.path / "mute_backend.py").write_text(
        "import quantcheck_fake\n"
        "class Mute(quantcheck_fake.FakeModel):\n"
        "    server = memory_use = property()\n"
        "class Backend(quantcheck_fake.FakeBackend):\n"
        "    def load(self, variant, source): return Mute(variant.precision)\n"
    )
    with (timed.pytester.path / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(
            "\nfrom pytest_quantcheck.core.protocols import BackendSpec\n"
            "quantcheck_fake.SPECS = [*quantcheck_fake.SPECS,"
            " BackendSpec(name='mute', target='mute_backend:Backend')]\n"
        )
    timed.settings(tables='[tool.quantcheck.variants.mute]\nbackend = "mute"\nprecision = "same"')
    timed.tests(SUITE + budget(variant="mute", workload="brief", max_ttft_ratio=1.5))

    result = timed.run()

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(
        [
            "not measured: variant mute*: its backend 'mute' offers no server(shape) *"
            " transformers, bitsandbytes and checkpoint can"
        ]
    )


def test_workers_that_share_a_device_are_refused_before_anything_is_loaded(timed, monkeypatch):
    log = timed.pytester.path / "loads.txt"
    monkeypatch.setenv("QUANTCHECK_FAKE_LOG", str(log))
    timed.tests(
        SUITE
        + budget(name="test_marked", workload="brief", max_ttft_ratio=1.1)
        + budget("quant.measure(brief)", name="test_in_body", max_ttft_ratio=1.1)
    )

    result = timed.run("-n2")

    assert result.ret == USAGE
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["not measured: a latency test needs cpu to itself, and 2 workers*"]
    )
    result.stdout.no_fnmatch_line("FAIL: *")
    assert not log.exists()
