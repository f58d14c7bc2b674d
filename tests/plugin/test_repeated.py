"""Other plugins shuffle tests and run them again: neither moves a verdict."""

import pytest

SUITE = """
@pytest.mark.quant_budget("int4", workload=invoice, max_accuracy_drop=0.05)
@pytest.mark.quant_budget("int8", workload=invoice, max_accuracy_drop=0.02)
def test_invoice(quant): ...

@pytest.mark.quant_budget("mild", workload=essay, max_exact_match_drop=0.015)
def test_essay(quant): ...
"""


@pytest.fixture
def suite(project):
    project.tests(SUITE)
    return project


def checks(project, *args):
    """Run, and return the checks by test."""
    assert project.run(*args, "--quant-json=run.json").ret == 1
    return {one["nodeid"]: one for one in project.record()["checks"]}


def test_a_random_order_of_tests_changes_no_verdict_and_no_order_of_examples(suite, how):
    plain = checks(suite)

    assert plain["test_suite.py::test_invoice[int4]"]["stopped_early"]
    assert checks(suite, *how, "-p", "randomly", "--randomly-seed=4") == plain


def test_a_rerun_measures_nothing_again(suite, monkeypatch):
    import quantcheck_fake

    log = suite.pytester.path / "asked.log"
    monkeypatch.setenv(quantcheck_fake.LOG, str(log))
    plain = checks(suite)
    once = sorted(log.read_text(encoding="utf-8").splitlines())
    assert once
    log.unlink()

    assert checks(suite, "--reruns=2") == plain
    assert sorted(log.read_text(encoding="utf-8").splitlines()) == once
