"""Every limit keyword there is: once kept, once broken, once open, and once used wrongly.

The reference is wrong on 30 examples of 1,000 and the variant on those and 50 more, so that each
figure is known: a limit far from it is decided, and one that equals it is open.
"""

import json
import math
from dataclasses import dataclass, replace

from pytest_quantcheck.core import grammar
from pytest_quantcheck.core.metric import METRICS, Direction, Scale

COLLECTION = 2


@dataclass(frozen=True)
class Case:
    """Values of one limit; None where the outcome cannot occur."""

    kept: float
    broken: float | None
    open: float | None
    wrong: str
    workload: str = ""

    def to_the(self, power):
        """Return the case of as many times as many nats."""
        return replace(
            self, kept=self.kept**power, broken=self.broken**power, open=self.open**power
        )


PPL_REFERENCE, PPL_VARIANT = math.exp(1.06), math.exp(1.11)
SHARE = {
    "max_{}_drop": Case(0.1, 0.01, 0.05, "5 % is written 0.05"),
    "min_{}": Case(0.8, 0.99, 0.92, "5 % is written 0.05"),
    "min_reference_{}": Case(0.9, 0.995, 0.97, "5 % is written 0.05"),
    "min_{}_recovery": Case(0.85, 0.99, 0.9485, "5 % is written 0.05"),
    "max_{}_flip_rate": Case(0.1, 0.01, 0.05, "5 % is written 0.05"),
    "max_{}_harmful_flip_rate": Case(0.1, 0.01, 0.05, "5 % is written 0.05"),
}
FAULT = {
    "max_{}_rise": Case(0.1, 0.01, 0.05, "5 % is written 0.05"),
    "max_{}": Case(0.15, 0.01, 0.08, "5 % is written 0.05"),
    "max_reference_{}": Case(0.1, 0.004, 0.03, "5 % is written 0.05"),
}
# A right answer scores 0.9 and a wrong one 0.4.
SCORE = {
    "max_{}_drop": Case(0.1, 0.001, 0.025, "expected a finite number"),
    "min_{}": Case(0.7, 0.89, 0.86, "expected a finite number"),
    "min_reference_{}": Case(0.7, 0.92, 0.885, "expected a finite number"),
    "min_{}_recovery": Case(0.9, 0.999, 0.97175, "5 % is written 0.05"),
}
# A document costs 1 nat a token, or 2 where the model is wrong, and up to 0.06 more.
PERPLEXITY = {
    "max_{}_ratio": Case(1.2, 1.005, math.exp(0.05), "5 % more is 1.05"),
    "max_{}": Case(4, 2.5, PPL_VARIANT, "expected a number above 0"),
    "max_reference_{}": Case(4, 2.5, PPL_REFERENCE, "expected a number above 0"),
}
# "page 0123 of the manual": characters are tokens.
TOKENS_PER = {"token": 1, "word": 23 / 5, "byte": 1}
# A token is 0.01 to 0.07 nats off, one of the 23 of a document by 1 to 10.99; two or three tokens
# are not the most probable ones of the other model.
DIVERGENCE = {
    "max_mean_kl": Case(0.5, 0.1, 0.299, "expected a number above 0", "pages"),
    "max_p99_kl": Case(20, 4, 8.69, "expected a number above 0", "pages"),
    "min_top1_agreement": Case(0.8, 0.95, 0.9, "5 % is written 0.05", "pages"),
}
OF_NO_METRIC = {
    "max_flip_rate": Case(0.1, 0.01, 0.05, "5 % is written 0.05", "quiz"),
    "max_harmful_flip_rate": Case(0.1, 0.01, 0.05, "5 % is written 0.05", "quiz"),
    "max_weight_memory_ratio": Case(1.0, 0.9, None, "5 % more is 1.05", "quiz"),
}
WRONG_VALUES = {
    "expected a finite number": "'0.05'",
    "5 % more is 1.05": "105",
    "expected a number above 0": "0",
    "5 % is written 0.05": "5",
}
WORKLOADS = {
    "accuracy": "quiz",
    "accuracy_norm": "quiz",
    "exact_match": "essay",
    "contains": "letters",
    "regex_match": "letters",
    "json_valid": "objects",
    "score": "graded",
    "empty": "mute",
    "degenerate": "mute",
    "loop": "chatty",
    "length_drift": "chatty",
    "truncated": "cut",
    "perplexity": "pages",
    "word_perplexity": "pages",
    "byte_perplexity": "pages",
}
SUITE = """
from pytest_quantcheck import contains, json_valid, regex

def asked(name, more="", **options):
    return Generation.from_examples(
        rows(1000, prompt=lambda i: f"write {i}{more}", answer="right"), name=name, **options)

letters = asked("letters", score=[contains(), regex("^right$")])
objects = asked("objects", score=json_valid(), extract=lambda text: "{}" * (text == "right"))
graded = asked("graded", score=lambda output, example: 0.9 if output == "right" else 0.4)
mute = asked("mute", ", say nothing")
chatty = asked("chatty", ", go on", max_new_tokens=32)
cut = asked("cut", ", go on", max_new_tokens=8)
pages = Documents.from_examples(
    rows(1000, text=lambda i: f"page {i:04} of the manual"), name="pages")
"""
TABLES = """
[tool.quantcheck.variants.before]
backend = "fake"
precision = "lossy-30"

[tool.quantcheck.variants.after]
backend = "fake"
precision = "lossy-80"
"""


def forms_of(metric):
    if metric.scale is Scale.NLL:
        power = TOKENS_PER[metric.per]
        return {form: case.to_the(power) for form, case in PERPLEXITY.items()}
    if metric.scale is Scale.SCORE:
        return SCORE
    return FAULT if metric.direction is Direction.LOWER_IS_BETTER else SHARE


def cases():
    """Return the case of each keyword of the contract."""
    found = OF_NO_METRIC | DIVERGENCE
    for name, metric in METRICS.items():
        if metric.is_of_pair or metric.is_of_serving:
            continue
        for form, case in forms_of(metric).items():
            values = (case.kept, case.broken, case.open)
            if name == "length_drift":  # counted against the reference, whose own is 0
                values = {"max_{}": (0.15, 0.01, 0.05), "max_reference_{}": (0.1, None, None)}.get(
                    form, values
                )
            found[form.format(name)] = Case(*values, case.wrong, WORKLOADS[name])
    return found


CASES = cases()


def is_of_serving(form):
    return form.metric in METRICS and METRICS[form.metric].is_of_serving


def test_no_keyword_of_the_grammar_is_left_out():
    correct = [name for name, metric in METRICS.items() if metric.is_correctness]
    flips = {
        f"max_{name}_{kind}" for name in correct for kind in ("flip_rate", "harmful_flip_rate")
    }

    scored = {word for word, form in grammar._grammar().items() if not is_of_serving(form)}

    assert set(CASES) == scored | flips
    assert set(CASES) >= {
        "max_accuracy_drop", "max_exact_match_drop", "max_score_drop", "max_truncated_rise",
        "min_accuracy", "min_reference_accuracy", "min_accuracy_recovery", "max_flip_rate",
        "max_harmful_flip_rate", "max_perplexity_ratio", "max_weight_memory_ratio",
    }  # fmt: skip


def test_each_limit_can_be_kept_broken_and_open(project):
    expected, source = {}, SUITE
    for keyword, case in CASES.items():
        values = {"pass": case.kept, "fail": case.broken, "inconclusive": case.open}
        for outcome, value in values.items():
            if value is None:
                continue
            expected[f"test_{keyword}_{outcome}"] = outcome
            source += (
                f"@pytest.mark.quant_budget('after', workload={case.workload},"
                f" {keyword}={value!r})\ndef test_{keyword}_{outcome}(quant): ...\n\n"
            )
    project.settings(tables=TABLES)
    project.tests(source)

    result = project.run("--quant-reference=before", "--quant-json=run.json", "--tb=no", "-q")

    checks = json.loads((project.pytester.path / "run.json").read_text())["checks"]
    found = {c["nodeid"].partition("::")[2].partition("[")[0]: c["outcome"] for c in checks}
    assert found == expected
    counts, outcomes = result.parseoutcomes(), list(expected.values())
    assert counts["failed"] == outcomes.count("fail")
    assert counts["inconclusive"] == outcomes.count("inconclusive")


def test_each_limit_used_wrongly_is_a_collection_error_with_advice(project):
    for keyword, case in CASES.items():
        value = WRONG_VALUES[case.wrong]
        project.tests(
            SUITE + f"@pytest.mark.quant_budget('after', workload={case.workload},"
            f" {keyword}={value})\ndef test_wrong(quant): ...\n",
            name=f"test_{keyword}",
        )
        other = "quiz" if case.workload in {"pages", "graded"} else "pages"
        project.tests(
            SUITE + f"@pytest.mark.quant_budget('after', workload={other},"
            f" {keyword}={case.kept!r})\ndef test_wrong(quant): ...\n",
            name=f"test_other_{keyword}",
        )
    project.settings(tables=TABLES)

    result = project.run("-q", "--continue-on-collection-errors")

    text = result.stdout.str()
    assert "INTERNALERROR" not in text
    for keyword, case in CASES.items():
        assert f"{keyword}={WRONG_VALUES[case.wrong]}: " in text, keyword
        assert case.wrong in text
        if keyword != "max_weight_memory_ratio":
            assert f"{keyword} needs " in text, keyword
