"""`quantcheck compare` on two runs that stopped early, read quantiles and took times."""

from pytest_quantcheck.cli.main import main

SUITE = """
from pytest_quantcheck import Latency

chat = Latency(prompt_tokens=32, new_tokens=5, repeats=180, name="chat")

@pytest.mark.quant_budget("other", workload=invoice, max_accuracy_drop=0.05)
@pytest.mark.quant_budget("other", workload=manual, max_mean_kl=9, max_p99_kl=9)
@pytest.mark.quant_budget("timed", workload=chat, max_ttft_ratio=1.5, max_tpot_p50_ms=60)
@pytest.mark.quant_budget("timed", workload=chat, max_peak_memory_ratio=2)
def test_whole(quant): ...
"""
TABLES = """
[tool.quantcheck.variants.other]
backend = "fake"
precision = "lossy-{}"

[tool.quantcheck.variants.timed]
backend = "fake"
precision = "tempo-{}"
"""


def test_what_has_no_test_is_shown_as_it_was_and_is(project, capsys):
    project.tests(SUITE)
    paths = []
    for lossy, tempo in ((30, 100), (130, 130)):
        project.settings(tables=TABLES.format(lossy, tempo))
        project.run(f"--quant-json={tempo}.json", "-q", "--tb=no")
        paths.append(str(project.pytester.path / f"{tempo}.json"))
    capsys.readouterr()

    status = main(["compare", *paths])

    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert status == 0, rows
    assert rows[1:] == [
        "invoice other (lossy-130) accuracy 96.5 % 80.7 % - 300 no test: stopped early; run with "
        "--quant-sequential=off",
        "chat timed (tempo-130) peak_memory 100.0 MiB 130.0 MiB - - no test of a change of "
        "peak_memory",
        "chat timed (tempo-130) TTFT 20.04 ms 25.91 ms - 36 no test of a change of TTFT",
        "chat timed (tempo-130) TPOT p50 10.02 ms 13.02 ms - 36 no test of a change of TPOT p50",
        "identical: 2 metrics",
        "test_suite.py::test_whole[other]: max_accuracy_drop on invoice: PASS before, FAIL after",
        "quantcheck compare: no regressions",
    ]
