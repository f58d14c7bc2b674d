"""The page on budgets shows what `quantcheck suggest-budgets` prints."""

import re
from pathlib import Path

from saved_runs import Saved

from pytest_quantcheck.cli.main import main

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "how-to" / "choosing-budgets.md").read_text(encoding="utf-8")
COMMAND = "quantcheck suggest-budgets run.json"


def test_the_output_shown_is_that_of_the_command(tmp_path, monkeypatch, capsys):
    Saved(tmp_path).answers(n=1200, flips=0.04, seed=4).documents(n=120).write()
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```console\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = [text for console, text in blocks if f"$ {COMMAND}\n" in console]

    assert main(COMMAND.split()[1:]) == 0

    assert capsys.readouterr().out == shown
