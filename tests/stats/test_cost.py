"""A verdict costs little beside the forward passes that it decides on."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "verdicts.py"
SLACK = 3
"""Machines of continuous integration are slower, and their cores are shared."""


@pytest.fixture(scope="module")
def verdicts():
    spec = importlib.util.spec_from_file_location("verdicts", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["verdicts"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["verdicts"]


@pytest.mark.parametrize(
    ("n", "flips", "seconds"), [(5_000, 0.05, 0.15), (5_000, 0.10, 0.15), (1_000_000, 0.05, 1.0)]
)
def test_a_verdict_takes_no_longer_than_promised(verdicts, n, flips, seconds):
    assert min(verdicts.seconds_of(n, flips) for _ in range(2)) < SLACK * seconds
