"""What the how-to pages show is read, run and computed."""

from __future__ import annotations

import doctest
import json
import re
import runpy
from fractions import Fraction
from math import ceil, floor

import pytest
from scipy.stats import binom
from shown import ADDING, FILE, ROOT

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.plugin.declared import read_declared
from pytest_quantcheck.workloads.base import Workload

FOLDER = ROOT / "docs" / "how-to"
TOLERANCES = "from-fixed-tolerances.md"
MISTAKES = re.findall(
    r"^\| `(\w+\.from_.*?)` \| `(.*)` \|$",
    (FOLDER / "writing-a-workload.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def blocks(name, language):
    text = (FOLDER / name).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def write_files(name, folder):
    """Write the files of a page."""
    for found in FILE.finditer((FOLDER / name).read_text(encoding="utf-8")):
        path = folder / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["text"], encoding="utf-8")


def run(block, folder):
    """Return the names that a block of Python makes as a test of a project."""
    path = folder / "tests" / "test_shown.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(block, encoding="utf-8")
    return runpy.run_path(str(path))


def test_the_workloads_shown_read_the_files_shown(tmp_path):
    write_files("writing-a-workload.md", tmp_path)

    names = {}
    for block in blocks("writing-a-workload.md", "python"):
        names |= run(block, tmp_path)
    found = {
        name: one.examples() for name, one in sorted(names.items()) if isinstance(one, Workload)
    }

    counts = {name: len(examples) for name, examples in found.items()}
    assert counts == {"capitals": 2, "sums": 2, "tickets": 3}
    first = found["tickets"][0]
    assert (first.id, first.cluster, first.slice) == ("t-17", "c4", "parcel")
    assert first.item.prompt == "Ticket: My parcel is late.\nQueue:"


@pytest.mark.parametrize(("written", "said"), MISTAKES)
def test_a_mistake_is_refused_in_these_words(written, said, tmp_path):
    with pytest.raises(QuantcheckError) as caught:
        run(f"from pytest_quantcheck import *\n{written}.examples()\n", tmp_path)

    assert str(caught.value) == said


def test_mistakes_are_shown():
    assert len(MISTAKES) == 10


@pytest.mark.parametrize("page", sorted(FOLDER.glob("*.md")), ids=lambda page: page.name)
def test_limits_shown_are_limits(page):
    shown = re.findall(r"\b((?:max|min)_[a-z_0-9]+)=(\d[\d.]*)", page.read_text(encoding="utf-8"))

    for keyword, value in shown:
        if keyword != "max_new_tokens":
            assert parse_limit(keyword, float(value)).keyword == keyword


def test_variants_shown_can_be_declared(tmp_path):
    (tmp_path / "models" / "helpdesk-v1").mkdir(parents=True)
    project = tmp_path / "pyproject.toml"
    project.write_text("\n".join(blocks("own-variant.md", "toml")), encoding="utf-8")

    declared = read_declared(project).variants

    assert {"int4-attention", "int4-small", "awq", "release-1", "int6", "int3"} <= declared.keys()
    assert declared["release-1"].checkpoint == str(tmp_path / "models" / "helpdesk-v1")


def test_pages_add_different_files_to_the_example():
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ADDING]
    paths = [path for text in texts for path in {found["path"] for found in FILE.finditer(text)}]

    shared = {path for path in paths if paths.count(path) > 1}
    assert shared == {"pyproject.toml"}


def test_errors_quoted_are_in_the_package():
    text = (FOLDER / "reading-a-failure.md").read_text(encoding="utf-8")
    table = text[text.index("| it says |") :].splitlines()[2:]
    quoted = [line.split("`")[1] for line in table[: table.index("")]]
    sources = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for path in (ROOT / "pytest_quantcheck").rglob("*.py")
    )

    assert len(quoted) == 5
    assert [one for one in quoted if one not in sources] == []


def test_planning_of_a_tolerance_runs():
    (block,) = blocks(TOLERANCES, "pycon")
    test = doctest.DocTestParser().get_doctest(block, {}, TOLERANCES, None, 0)

    assert doctest.DocTestRunner().run(test).failed == 0
    assert len(test.examples) == 7


def test_what_a_tolerance_of_five_points_sees_is_computed():
    text = (FOLDER / TOLERANCES).read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+) \| (\d+) % \| (\d+) % \| (\d+) % \|$", text, re.MULTILINE)
    level, tolerance = Fraction("0.755"), Fraction("0.05")

    assert len(rows) == 3
    for row in rows:
        n, *shown = (int(cell.replace(",", "")) for cell in row)
        fewest, most = ceil((level - tolerance) * n), floor((level + tolerance) * n)
        truths = (0.755, 0.725, 0.705)
        red = [binom.cdf(fewest - 1, n, true) + binom.sf(most, n, true) for true in truths]
        assert shown == [round(100 * chance) for chance in red]


GSM8K = {
    "doc_id": 0,
    "doc": {"question": "2 + 2?", "answer": "Add. #### 4"},
    "target": "Add. #### 4",
    "arguments": {"gen_args_0": {"arg_0": "Question: 2 + 2?\nAnswer:", "arg_1": {"until": []}}},
    "resps": [["4"]],
    "filtered_resps": ["4"],
}
ARC = {
    "doc_id": 3,
    "target": "1",
    "arguments": {
        f"gen_args_{number}": {"arg_0": "Question: ice?\nAnswer:", "arg_1": choice}
        for number, choice in enumerate([" hot", " cold"])
    },
}
"""Samples as lm-evaluation-harness writes them (`save_results_samples`)."""


def test_samples_of_lm_eval_become_the_workloads_shown(tmp_path, capsys):
    write_files(TOLERANCES, tmp_path)
    main = runpy.run_path(str(tmp_path / "export_samples.py"))["main"]
    (tmp_path / "data").mkdir()
    logged = {
        "gsm8k": [GSM8K | {"filter": name} for name in ("strict-match", "flexible-extract")],
        "arc_easy": [ARC],
    }
    for task, samples in logged.items():
        path = tmp_path / f"samples_{task}.jsonl"
        path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
        main(str(path))
        (tmp_path / "data" / f"{task}.jsonl").write_text(capsys.readouterr().out, encoding="utf-8")

    found = run(blocks(TOLERANCES, "python")[-1], tmp_path)

    (question,) = found["gsm8k"].examples()
    assert (question.id, question.item.prompt) == ("0", "Question: 2 + 2?\nAnswer:")
    (choice,) = found["arc"].examples()
    assert (choice.id, choice.item.choices, choice.item.answer) == ("3", (" hot", " cold"), 1)
