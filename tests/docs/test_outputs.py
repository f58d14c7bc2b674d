"""Outputs in the documents are those of their commands, and every command is run."""

from __future__ import annotations

import json
import re

import pytest
from shown import COUNTS, ROOT, SHOWING, TUTORIAL, blocks, once, part_of, rows, run

PAGES = [ROOT / name for name in SHOWING]
BLOCKS = [block for page in PAGES for block in blocks(page)]
SUMMARIES = [block for block in BLOCKS if block.part.endswith("summary")]
FAILURES = [block for block in BLOCKS if block not in SUMMARIES]
WHOLE = "pytest tests/test_helpdesk.py"
GPU_COMMAND = "pytest --quant-gate=strict --quant-require-gpu"
CI_COMMAND = "pytest --junitxml=quality.xml --quant-json=quality.json"
COMPARED = ("workload", "variant", "metric", "budget", "n", "verdict")
TIMES = {"TTFT", "TPOT"}
"""Metrics whose figures differ from machine to machine: only their verdicts are compared."""


def name(block):
    return f"{block.page.name}: {block.command}: {block.part}"


@pytest.fixture(scope="session")
def outputs(tmp_path_factory):
    """Return what a command prints; each is run once, whatever asks for it."""
    folder = tmp_path_factory.getbasetemp()
    if folder.name.startswith("popen-"):  # a worker of xdist shares with the others
        folder = folder.parent
    return lambda command: once(folder / "outputs", command)


@pytest.fixture(scope="session")
def printed(outputs):
    """Return the part of an output that a block shows, as it is printed now."""
    return lambda block: part_of(outputs(block.command), block.part)


@pytest.mark.parametrize("block", SUMMARIES, ids=name)
def test_tables_are_what_a_run_prints(block, printed):
    now = printed(block)
    kept, found = rows(block.text), rows(now)

    assert kept
    assert len(kept) == len(re.findall(r"\] +[<>]= ", block.text))
    assert [*map(_compared, kept)] == [*map(_compared, found)]
    assert COUNTS.findall(block.text) == COUNTS.findall(now)
    for before, after in zip(kept, found, strict=True):
        if before["metric"] not in TIMES:
            assert float(before["low"]) <= float(after["estimate"]) <= float(before["high"])


def _compared(row):
    return [row[key] for key in COMPARED if not (key == "n" and row["metric"] in TIMES)]


@pytest.mark.parametrize("block", FAILURES, ids=name)
def test_failures_are_what_a_run_prints(block, printed):
    kept, found = block.text.splitlines(), printed(block).splitlines()

    assert _without_figures(kept[0]) == _without_figures(found[0])
    assert kept[1] == found[1]
    assert kept[-1] == found[-1]
    flips = re.compile(r"^  worst (\w+), \d+ of .* lost")
    assert [flips.match(line)[1] for line in kept if flips.match(line)] == [
        flips.match(line)[1] for line in found if flips.match(line)
    ]


def _without_figures(line):
    return re.sub(r"-?[\d.]+ pp \[.*?\]", "", line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_run_that_is_asked_for_is_made(page):
    text = page.read_text(encoding="utf-8")
    consoles = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    asked = {line[2:].strip() for one in consoles for line in one.splitlines()}
    made = {block.command for block in blocks(page)}

    assert made
    others = {re.sub(r" +#.*", "", line) for line in asked} - made
    assert others <= {
        "make demo",  # what CI and the tests of the example do
        "make test",
        "pip install .",
        "python3 -m venv .venv && . .venv/bin/activate",
        "pip install '.[json-schema]'",
        "cd example_project",
        GPU_COMMAND,
    }


@pytest.mark.parametrize("command", [GPU_COMMAND, CI_COMMAND])
def test_commands_for_other_machines_are_understood(command, tmp_path):
    assert command in TUTORIAL.read_text(encoding="utf-8")

    printed = run(f"{command} --collect-only tests/test_helpdesk.py", tmp_path)

    assert "test_prices[int4]" in printed
    assert re.search(r"^=+ \d+ tests collected", printed, re.MULTILINE)


def test_the_example_breaks_recall_and_not_perplexity(outputs):
    verdicts = {
        (row["workload"], row["variant"], row["metric"]): row["verdict"]
        for row in rows(part_of(outputs(WHOLE), "summary"))
    }

    assert verdicts["triage", "int8 (LLM.int8)", "accuracy"] == "PASS"
    assert verdicts["manual", "int4 (nf4)", "perplexity"] == "PASS"
    assert verdicts["prices", "int4 (nf4)", "exact_match"] == "FAIL"


def test_the_example_says_what_was_fixed_beforehand(outputs):
    recorded = json.loads((ROOT / "example_project/model/fixed.json").read_text(encoding="utf-8"))

    for part, digest in recorded.items():
        assert f"{part} {digest[:8]}" in outputs(WHOLE)
    assert "as fixed before the first quantized run" in outputs(WHOLE)
