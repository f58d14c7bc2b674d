"""The command that prints the tables of error rates prints what the document shows."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "explanation" / "verdicts.md"


def test_quantile_table_is_the_one_shown():
    command = [sys.executable, str(HERE / "tabulate_rates.py"), "quantile"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines()]
    by_n = {}
    for _, n, *errors in rows[1:]:
        shown = " / ".join("0" if error == "0.0000" else error.lstrip("0") for error in errors)
        by_n.setdefault(n, []).append(shown)

    assert list(by_n) == ["60", "130", "300", "1000"]
    page = PAGE.read_text(encoding="utf-8").splitlines()
    for n, shown in by_n.items():
        assert f"| {n} | {' | '.join(shown)} |" in page
