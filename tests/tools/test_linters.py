"""What is linted: by `make lint`, by pre-commit, and by the check of our own."""

import re
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def check_tree():
    return runpy.run_path(str(ROOT / "tools" / "check_tree.py"))


def test_pre_commit_runs_what_make_lint_runs():
    (recipe,) = re.findall(
        r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (repository,) = config["repos"]

    assert repository["repo"] == "local"
    assert [hook["entry"] for hook in repository["hooks"]] == [
        line.strip().removeprefix("$(BIN)/") for line in recipe.splitlines()
    ]


def test_long_files_and_private_imports_are_found(check_tree, tmp_path):
    (tmp_path / "long.py").write_text("pass\n" * 301)
    (tmp_path / "private.py").write_text("from _pytest import main\n")
    (tmp_path / "fine.py").write_text("pass\n" * 300)

    assert check_tree["findings"](tmp_path) == [
        "long.py: 301 lines, at most 300",
        "private.py: imports _pytest, which is private to pytest",
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.added.md", "Version 1.5 of `x.py` is read.\n", []),
        ("a.fixed.md", "word " * 24 + "word.", []),
        ("a.fixed.md", "word " * 25 + "word.", ["a.fixed.md: 26 words, at most 25"]),
        ("a.changed.md", "One. Two.", ["a.changed.md: not one sentence with a full stop"]),
        ("a.removed.md", "No end", ["a.removed.md: not one sentence with a full stop"]),
        ("a.added.md", "", ["a.added.md: not one sentence with a full stop"]),
        ("a.new.md", "One.", ["a.new.md: not named TOPIC.{added,changed,fixed,removed}.md"]),
        ("template.md", "", []),
    ],
)
def test_a_note_is_one_short_sentence_under_a_known_type(check_tree, tmp_path, name, text, said):
    folder = tmp_path / "changelog.d"
    folder.mkdir()
    (folder / name).write_text(text)

    assert check_tree["note_findings"](folder) == [f"changelog.d/{one}" for one in said]
