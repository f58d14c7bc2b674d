"""Suggested limits are short, and never tighter than what was asked for."""

import random

import pytest

from pytest_quantcheck.core.grammar import nominal_limit, parse_limit
from pytest_quantcheck.core.steps import loosen

KEYWORDS = [
    "max_accuracy_drop",
    "max_degenerate_rise",
    "max_flip_rate",
    "max_score_drop",
    "max_perplexity_ratio",
    "max_perplexity",
    "min_accuracy",
    "min_accuracy_recovery",
    "min_score",
]


@pytest.mark.parametrize(
    ("keyword", "value", "shown"),
    [
        ("max_accuracy_drop", 0.02, 0.02),
        ("max_accuracy_drop", 0.07, 0.07),
        ("max_accuracy_drop", 0.0200001, 0.025),
        ("max_accuracy_drop", 0.0034, 0.004),
        ("max_accuracy_drop", 0.00041, 0.0005),
        ("max_accuracy_drop", -0.3, 0.0001),
        ("max_perplexity_ratio", 1.0004, 1.0004),
        ("max_perplexity_ratio", 1.0312, 1.035),
        ("max_perplexity_ratio", 0.98, 1.0001),
        ("min_accuracy_recovery", 0.9992, 0.9992),
        ("min_accuracy_recovery", 0.973, 0.97),
        ("min_accuracy_recovery", 1.02, 0.9999),
        ("min_accuracy", 0.8931, 0.89),
        ("min_accuracy", 0.003, 0.0),
        ("max_perplexity", 12.81, 13.0),
        ("max_score_drop", 0.01713, 0.0175),
        ("min_score", 0.4321, 0.43),
        ("max_score_drop", 0.0, 0.0),
    ],
)
def test_short_numbers(keyword, value, shown):
    assert loosen(nominal_limit(keyword), value) == shown


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_never_tighter_and_never_much_looser(keyword):
    rng, limit = random.Random(7), nominal_limit(keyword)
    is_upper, is_ratio = limit.bound.value == "upper", limit.unit.value == "ratio"
    for _ in range(2000):
        size = 10 ** rng.uniform(-4, -0.5)
        value = 1 + (size if is_upper else -size) if is_ratio else size

        found = loosen(limit, value)

        assert found >= value if is_upper else found <= value
        assert abs(found - value) <= max(0.005, 0.06 * abs(value))
        assert loosen(limit, found) == found
        assert len(f"{found:.10g}") <= 8
        if is_upper:
            assert parse_limit(keyword, found).value == found or is_ratio
