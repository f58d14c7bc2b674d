"""Tables of error rates and power: what each computes, its figures as JSON, its rows in Markdown.

A file `table_<topic>.py` beside this one registers its tables in `TABLES`, by name. It imports
neither pytest nor anything that needs a model, so that the figures can be computed anywhere.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import string
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
FIGURES = DOCS / "explanation" / "statistics"
MARKED = re.compile(r"(<!-- table: (?P<name>[\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
STANDARD_ERRORS = 3
EXCEPTIONS = "exceptions"
"""The table of all rates above their levels, made from the other tables."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What is measured for each row, and how the rows are shown."""

    cells: list[dict[str, Any]]
    """What each row varies, as JSON has it; also figures to compare with, such as `prototype`."""
    measure: Callable[[dict[str, Any], int, np.random.Generator], dict[str, float]]
    """From a cell, a number of runs and a generator to rates or means over these runs.

    Defined at the top of its module. Enumerations ignore the runs and the generator.
    """
    columns: dict[str, str]
    """From headers to formats, as in `"{false_pass:.4f} / {false_fail:.4f}"`."""
    runs: int = 0
    """Simulated budgets a cell, 10,000 or more (of sessions 4,000); 0 where all is enumerated."""
    parts: int = 1
    """Into how many a cell is divided, so that cores share it; a part takes some 10 seconds."""
    nominal: dict[str, float] = field(default_factory=dict)
    """The levels that rates of error are to keep."""
    how: str = "Every result enumerated."
    """Said of figures that no simulation gave."""
    simulated: str = "budgets"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A cell with what was found."""

    cell: dict[str, Any]
    runs: int
    found: dict[str, float]

    def values(self) -> dict[str, Any]:
        return {**self.cell, "runs": self.runs, **self.found}


@dataclass(frozen=True, kw_only=True)
class Excess:
    """A rate above its level by more than three standard errors."""

    table: str
    rate: str
    level: float
    row: Row


def tables() -> dict[str, Table]:
    """Return all registered tables by name, in the order of their files."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    found: dict[str, Table] = {}
    for path in sorted(HERE.glob("table_*.py")):
        registered = importlib.import_module(path.stem).TABLES
        twice = sorted(found.keys() & registered.keys())
        if twice:
            raise ValueError(f"{path.name} registers {twice} again; choose another name")
        found |= registered
    return found


def generator(name: str, cell: int, part: int) -> np.random.Generator:
    """Return the generator of one part, the same on any number of cores."""
    return np.random.default_rng([zlib.crc32(name.encode()), cell, part])


def combine(cell: dict[str, Any], parts: list[tuple[int, dict[str, float]]]) -> Row:
    """Return the row of a cell from the runs and the means of its parts."""
    runs = sum(n for n, _ in parts)
    weights = [n / runs if runs else 1 / len(parts) for n, _ in parts]
    names = parts[0][1]
    found = {
        name: math.fsum(w * part[name] for w, (_, part) in zip(weights, parts, strict=True))
        for name in names
    }
    return Row(cell=cell, runs=runs, found=found)


def read(name: str, folder: Path = FIGURES) -> list[Row]:
    """Return the rows computed last; none where the table was never computed."""
    path = folder / f"{name}.json"
    if not path.exists():
        return []
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def write(name: str, rows: list[Row], *, folder: Path, notes: dict[str, Any]) -> None:
    """Keep rows as JSON, one a line."""
    lines = ",\n".join("  " + json.dumps(vars(row)) for row in rows)
    text = f'{{"table": "{name}", "notes": {json.dumps(notes)}, "rows": [\n{lines}\n]}}\n'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


class _Format(string.Formatter):
    """Format without the 0 before a point, and nothing where there is no figure."""

    def get_value(self, key, _args, kwargs):
        return kwargs.get(key)

    def format_field(self, value, format_spec):
        return "" if value is None else super().format_field(value, format_spec)


def render(table: Table, rows: list[Row]) -> str:
    """Return how the rows were computed, and the rows, in Markdown."""
    runs = {row.runs for row in rows}
    how = table.how
    if any(runs):
        error = math.sqrt(0.05 * 0.95 / min(runs))
        drawn = " to ".join(f"{n:,}" for n in sorted({min(runs), max(runs)}))
        how = f"{drawn} simulated {table.simulated} a cell, standard error {error:.4f} at .05."
    lines = [how, "", f"| {' | '.join(table.columns)} |", "|---" * len(table.columns) + "|"]
    for row in rows:
        shown = (_Format().format(column, **row.values()) for column in table.columns.values())
        lines.append(f"| {' | '.join(shown)} |")
    return re.sub(r"(?<![\d.])0\.(?=\d)", ".", "\n".join(lines)) + "\n"


def excesses(name: str, table: Table, rows: list[Row]) -> list[Excess]:
    """Return the rates that are above their level by more than chance explains."""
    found = []
    for row in rows:
        for rate, level in table.nominal.items():
            error = math.sqrt(level * (1 - level) / row.runs) if row.runs else 1e-6
            if row.found[rate] > level + STANDARD_ERRORS * error:
                found.append(Excess(table=name, rate=rate, level=level, row=row))
    return found


def describe(cell: dict[str, Any]) -> str:
    """Return what a cell varies, without the figures it is compared with."""
    return ", ".join(
        f"{name} {value}"
        for name, value in cell.items()
        if value is not None and not re.match(r"[\d.]+($| /)", str(value) * isinstance(value, str))
    )


def render_exceptions(known: dict[str, Table], folder: Path = FIGURES) -> str:
    """Return every kind of rate that is above its level somewhere, with the worst of its cells."""
    lines = ["| table | rate | cells above its level | largest | where |", "|---" * 5 + "|"]
    for name, table in known.items():
        found = excesses(name, table, rows := read(name, folder))
        for rate in table.nominal:
            above = [excess.row for excess in found if excess.rate == rate]
            if above:
                worst = max(above, key=lambda row: row.found[rate])
                size = f"{worst.found[rate]:.3f}".lstrip("0")
                where = describe(worst.cell)
                lines.append(
                    f"| {name} | {rate} | {len(above)} of {len(rows)} | {size} | {where} |"
                )
    return "\n".join(lines) + "\n"


def render_page(text: str, known: dict[str, Table], folder: Path = FIGURES) -> str:
    """Return a page with the tables between its markers as last computed.

    What stands between the markers of a table without figures is left as it is.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        if name == EXCEPTIONS:
            return f"{match[1]}{render_exceptions(known, folder)}{match[3]}"
        if name not in known:
            raise ValueError(f"no table is called {name!r}; known: {', '.join(known)}")
        rows = read(name, folder)
        return f"{match[1]}{render(known[name], rows)}{match[3]}" if rows else match[0]

    return MARKED.sub(replaced, text)
