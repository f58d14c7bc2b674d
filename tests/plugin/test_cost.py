"""Installed but unused, the plugin costs next to nothing."""

import json
import re
import subprocess
import sys

import pytest

ALWAYS = [
    "pytest_quantcheck",
    "pytest_quantcheck.hookspecs",
    "pytest_quantcheck.plugin",
    "pytest_quantcheck.plugin.options",
]
AT_COLLECTION = {"numpy", "scipy", "torch", "transformers", "bitsandbytes", "tabulate"}
MOST_MILLISECONDS = 5.0
TRIES = 20

REPORT = """
import json, sys
def pytest_unconfigure(config):
    names = sorted(name for name in sys.modules if name.startswith("pytest_quantcheck"))
    heavy = sorted({name.partition(".")[0] for name in sys.modules})
    print("MODULES " + json.dumps([names, heavy]))
"""


def loaded(result):
    line = next(line for line in result.outlines if line.startswith("MODULES "))
    return json.loads(line.removeprefix("MODULES "))


@pytest.fixture
def elsewhere(pytester):
    """A project that has never heard of quantcheck."""
    pytester.makepyfile(test_other="def test_other(): pass")
    pytester.makeconftest(REPORT)
    return pytester


@pytest.mark.parametrize("args", [(), ("--collect-only",), ("-p", "no:cacheprovider")])
def test_an_unrelated_run_loads_three_small_modules(elsewhere, args):
    names, packages = loaded(elsewhere.runpytest_subprocess("-p", "no:randomly", *args))

    assert names == ALWAYS
    assert not AT_COLLECTION & set(packages)


def test_collecting_a_suite_loads_no_numerics(project):
    project.tests(
        "@pytest.mark.quant_budget(workload=quiz, max_flip_rate=0.1)\ndef test_quiz(quant): ..."
    )
    (project.pytester.path / "conftest.py").write_text(REPORT, encoding="utf-8")

    result = project.run_subprocess("--collect-only")

    assert result.ret == 0
    assert not (AT_COLLECTION - {"tabulate"}) & set(loaded(result)[1])


def test_importing_what_an_unused_plugin_needs_takes_five_milliseconds():
    code = "import pytest, pytest_quantcheck.plugin, pytest_quantcheck.hookspecs"
    best = min(_own_milliseconds(code) for _ in range(TRIES))

    assert best <= MOST_MILLISECONDS


def _own_milliseconds(code):
    """Return the import time of our modules alone, their own lines summed."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    )
    line = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+pytest_quantcheck")
    return sum(int(match[1]) for match in map(line.match, done.stderr.splitlines()) if match) / 1000
