"""A budget on memory is compared exactly, without a workload and outside the family."""

import json


def test_weights_are_weighed_and_not_counted_in_the_family(project, how):
    project.tests(
        "@pytest.mark.quant_budget('int8', max_weight_memory_ratio=0.5)\n"
        "def test_small(quant): ...\n"
        "@pytest.mark.quant_budget('int4', max_weight_memory_ratio=0.4)\n"
        "def test_smaller(quant): ...\n"
    )

    result = project.run(*how, "--quant-json=run.json")

    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "FAIL: int4 (lossy-200): weight memory ratio 0.500, budget <= 0.4",
            "  compared exactly, no sampling error is involved",
            "  reference fp16 (float32 compute) 2.0 KiB, variant 1000 B, on *",
        ]
    )
    run = json.loads((project.pytester.path / "run.json").read_text(encoding="utf-8"))
    assert run["environment"]["checks_collected"] == 0
    assert sorted(check["outcome"] for check in run["checks"]) == ["fail", "pass"]
    assert {check["reason"] for check in run["checks"]} == {"exact"}


def test_a_test_may_weigh_and_measure(project):
    project.tests(
        "@pytest.mark.quant_budget('int8', workload=quiz, max_accuracy_drop=0.02,"
        " max_weight_memory_ratio=0.6)\ndef test_quiz(quant): ..."
    )

    result = project.run()

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*quiz*int8*accuracy*PASS", "*(weights)*int8*0.500*<= 0.6*PASS"])


def test_rows_stand_in_the_order_of_the_tests(project, how):
    project.tests("""
import time

@pytest.mark.quant_budget("int8", max_weight_memory_ratio=0.9)
@pytest.mark.parametrize("name", ["slow", "second", "third", "last"])
def test_weights(quant, name):
    time.sleep(name == "slow")
""")

    project.run(*how, "--quant-json=run.json")

    found = [check["nodeid"] for check in project.record()["checks"]]
    names = ("slow", "second", "third", "last")
    assert [next(name for name in names if name in nodeid) for nodeid in found] == [*names]
