"""JUnit files carry the verdict of each test and the figures of its budgets."""

import xml.etree.ElementTree as ET
from collections import Counter

SUITE = """
few = MultipleChoice.from_examples(
    rows(40, context=lambda i: f"q {i}:", choices=[" right", " wrong"], answer=0,
         slice=lambda i: "<a&b>\\n" if i % 2 else "odd"), name="few")

@pytest.mark.quant_budget(workload=quiz, max_accuracy_drop=0.02)
@pytest.mark.quant_budget(max_weight_memory_ratio=0.5)
def test_quiz(quant): ...

@pytest.mark.quant_budget("int8", workload=few, slice="<a&b>\\n", max_flip_rate=0.5)
def test_slice(quant): ...
"""


def properties(project):
    root = ET.parse(project.pytester.path / "junit.xml").getroot()
    return {
        case.get("name"): {one.get("name"): one.get("value") for one in case.iter("property")}
        for case in root.iter("testcase")
    }


def test_the_figures_of_every_budget_are_there(project, how):
    project.tests(SUITE)

    project.run(*how, "--junitxml=junit.xml")

    found = properties(project)
    assert found["test_quiz[int4]"] == {
        "quantcheck.verdict": "fail",
        "quantcheck.quiz.max_accuracy_drop.value": "0.2",
        "quantcheck.quiz.max_accuracy_drop.limit": "0.02",
        "quantcheck.quiz.max_accuracy_drop.n": "1000",
        "quantcheck.max_weight_memory_ratio.value": "0.5",
        "quantcheck.max_weight_memory_ratio.limit": "0.5",
        "quantcheck.max_weight_memory_ratio.n": "0",
    }
    assert found["test_slice[int8]"] == {
        "quantcheck.verdict": "pass",
        "quantcheck.few[<a&b>\\n].max_flip_rate.value": "0",
        "quantcheck.few[<a&b>\\n].max_flip_rate.limit": "0.5",
        "quantcheck.few[<a&b>\\n].max_flip_rate.n": "20",
    }


def test_each_run_of_a_test_has_them_once(project):
    project.tests(SUITE)

    project.run("--junitxml=junit.xml", "--reruns=1", "-k", "quiz and int4")

    root = ET.parse(project.pytester.path / "junit.xml").getroot()
    names = [one.get("name") for one in root.iter("property")]
    assert Counter(names) == dict.fromkeys(names, 2)
    assert len(set(names)) == 7
