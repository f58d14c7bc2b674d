"""Tables of error rates: computed in parts, kept, shown in the documents as they were computed."""

import json
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import power_plot
import pytest
import tabulation
from tabulation import DOCS, FIGURES, MARKED, Row, Table

TABLES = tabulation.tables()
COMPUTED = {path.stem for path in FIGURES.glob("*.json")}
PAGES = sorted(DOCS.rglob("*.md"))
COMMAND = [sys.executable, str(Path(tabulation.__file__).with_name("tabulate_rates.py"))]


def toss(cell, runs, rng):
    """Return how often a coin shows a head."""
    return {"head": float(np.mean(rng.random(runs) < cell["chance"]))}


COIN = Table(
    cells=[{"chance": 0.05}, {"chance": 0.5, "prototype": ".500"}],
    measure=toss,
    columns={"chance": "{chance:.2f}", "head": "{head:.3f}", "prototype": "{prototype}"},
    runs=10_000,
    nominal={"head": 0.05},
)


def test_figures_are_of_registered_tables():
    assert TABLES.keys() >= COMPUTED


@pytest.mark.parametrize("name", sorted(COMPUTED))
def test_figures_are_whole_and_of_enough_runs(name):
    rows, table = tabulation.read(name), TABLES[name]

    assert [row.cell for row in rows] == table.cells
    assert all(row.runs >= table.runs for row in rows)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_enumerated_or_of_thousands_of_runs(name):
    table = TABLES[name]

    fewest = 4_000 if table.simulated == "sessions" else 10_000  # of many runs each
    assert table.runs == 0 or table.runs >= fewest
    assert table.cells
    assert len({json.dumps(cell) for cell in table.cells}) == len(table.cells)
    assert {"\n", "|"}.isdisjoint("".join(table.columns))
    fields = [f for c in table.columns.values() for _, f, _, _ in string.Formatter().parse(c)]
    assert all(field is None or field.isidentifier() for field in fields)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_show_the_figures(page):
    text = page.read_text(encoding="utf-8")

    assert tabulation.render_page(text, TABLES) == text


def test_every_computed_table_is_shown_once():
    shown = [match["name"] for page in PAGES for match in MARKED.finditer(page.read_text("utf-8"))]

    assert len(shown) == len(set(shown))
    assert COMPUTED | {tabulation.EXCEPTIONS} <= set(shown)


def test_the_plot_shows_the_figures():
    drawn = power_plot.draw(tabulation.read("power-by-examples"))

    assert power_plot.PATH.read_text(encoding="utf-8") == drawn
    assert drawn.count("<polyline") == 6


def test_rates_above_their_levels_are_listed_with_their_worst_cell(tmp_path):
    cells = COIN.cells
    rows = [
        Row(cell=c, runs=10_000, found={"head": h})
        for c, h in zip(cells, (0.07, 0.06), strict=True)
    ]
    tabulation.write("coin", rows, folder=tmp_path, notes={})

    listed = tabulation.render_exceptions({"coin": COIN}, tmp_path).splitlines()

    assert listed[2:] == ["| coin | head | 2 of 2 | .070 | chance 0.05 |"]
    tabulation.write("coin", rows[:0], folder=tmp_path, notes={})
    assert len(tabulation.render_exceptions({"coin": COIN}, tmp_path).splitlines()) == 2


def test_a_cell_is_described_without_the_figures_of_the_prototype():
    cell = {
        "noise": "2 % of it",
        "n": 5,
        "prototype": ".050 / .051",
        "planned": "856",
        "none": None,
    }

    assert tabulation.describe(cell) == "noise 2 % of it, n 5"


def test_parts_are_weighted_by_their_runs():
    row = tabulation.combine({}, [(100, {"head": 0.1}), (300, {"head": 0.5})])

    assert (row.runs, row.found["head"]) == (400, pytest.approx(0.4))
    assert tabulation.combine({}, [(0, {"head": 0.2})]).found == {"head": 0.2}


def test_rows_are_shown_without_leading_zeros_and_with_gaps():
    rows = [Row(cell=cell, runs=10_000, found={"head": 0.0512}) for cell in COIN.cells]

    assert tabulation.render(COIN, rows).splitlines() == [
        "10,000 simulated budgets a cell, standard error .0022 at .05.",
        "",
        "| chance | head | prototype |",
        "|---|---|---|",
        "| .05 | .051 |  |",
        "| .50 | .051 | .500 |",
    ]


def test_rates_above_their_level_are_found():
    # Three standard errors of .05 at 10,000 runs are .0065.
    below, above = (Row(cell={}, runs=10_000, found={"head": h}) for h in (0.0565, 0.0566))

    found = tabulation.excesses("coin", COIN, [below, above])

    assert [(excess.rate, excess.level, excess.row) for excess in found] == [("head", 0.05, above)]


def test_an_unknown_table_on_a_page_is_refused():
    with pytest.raises(ValueError, match="no table is called 'errors'; known: coin"):
        tabulation.render_page("<!-- table: errors -->\n<!-- end of table -->", {"coin": COIN})


def test_a_table_without_figures_is_left_as_it_is(tmp_path):
    page = "<!-- table: coin -->\nfigures of another run\n<!-- end of table -->"

    assert tabulation.render_page(page, {"coin": COIN}, tmp_path) == page


@pytest.fixture
def tabulate(tmp_path):
    """Return a function that computes tables into a folder, and returns their rows by name."""

    def run(*options):
        command = [*COMMAND, f"--out={tmp_path}", "--jobs=1", *options]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        rows = {path.stem: tabulation.read(path.stem, tmp_path) for path in tmp_path.iterdir()}
        return done, rows

    return run


def test_the_command_computes_what_is_kept(tabulate):
    done, rows = tabulate("--only", "quantile", "--seconds=60")

    assert done.returncode == 0, done.stderr
    assert [row.cell for row in rows["quantile"]] == TABLES["quantile"].cells
    if "quantile" in COMPUTED:
        for row, kept in zip(rows["quantile"], tabulation.read("quantile"), strict=True):
            assert row.found == pytest.approx(kept.found, abs=1e-9)


def test_what_time_did_not_suffice_for_is_named_and_computed_later(tabulate, tmp_path):
    done, rows = tabulate("--only", "quantile", "--seconds=0")
    assert (done.returncode, rows) == (1, {})
    assert "not finished in time: quantile; go on with --missing" in done.stderr

    tabulate("--only", "quantile")
    path = tmp_path / "quantile.json"
    kept = json.loads(path.read_text("utf-8"))
    kept["rows"][0]["found"]["false_pass"] = 0.25
    del kept["rows"][1]
    path.write_text(json.dumps(kept), "utf-8")
    done, rows = tabulate("--only", "quantile", "--missing")

    assert done.returncode == 0, done.stderr
    assert [row.cell for row in rows["quantile"]] == TABLES["quantile"].cells
    assert rows["quantile"][0].found["false_pass"] == 0.25
