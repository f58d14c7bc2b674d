"""Compute the tables of error rates and power, and show them in the documents.

Figures are kept in docs/explanation/statistics, a file for each table, as they come; pages have
the tables between `<!-- table: NAME -->` and `<!-- end of table -->`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import power_plot
import scipy
import tabulation
from tabulation import DOCS, FIGURES, Row, Table


def tasks_of(name: str, table: Table, *, runs: int | None, skip: list[Row]) -> list[tuple]:
    """Return the parts of all cells but those that are already known."""
    wanted = table.runs if runs is None else min(runs, table.runs)
    known = [row.cell for row in skip if row.runs >= wanted]
    sizes = [len(part) for part in np.array_split(np.arange(wanted), table.parts)]
    return [
        (name, index, part, size)
        for index, cell in enumerate(table.cells)
        if cell not in known
        for part, size in enumerate(sizes)
    ]


def compute(task: tuple) -> tuple:
    """Measure one part; runs in a process of its own."""
    name, index, part, runs = task
    table = tabulation.tables()[name]
    started = time.process_time()
    found = table.measure(table.cells[index], runs, tabulation.generator(name, index, part))
    plain = {key: float(value) for key, value in found.items()}
    return name, index, (runs, plain), time.process_time() - started


class Ledger:
    """Rows as they come, written whenever one is whole."""

    def __init__(self, known: dict[str, Table], folder: Path, rows: dict[str, list[Row]]):
        self._known, self._folder, self._rows = known, folder, rows
        self._parts = defaultdict(list)
        self._seconds = defaultdict(float)

    def add(self, name: str, index: int, part: tuple, seconds: float) -> None:
        table, parts = self._known[name], self._parts[name, index]
        parts.append(part)
        self._seconds[name] += seconds
        if len(parts) == table.parts:
            row = tabulation.combine(table.cells[index], parts)
            others = [kept for kept in self._rows[name] if kept.cell != row.cell]
            order = [*others, row]
            order.sort(key=lambda kept: table.cells.index(kept.cell))
            self._rows[name] = order
            self._write(name)

    def _write(self, name: str) -> None:
        notes = {
            "core_seconds": round(self._seconds[name], 1),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        }
        tabulation.write(name, self._rows[name], folder=self._folder, notes=notes)

    def incomplete(self, names: list[str]) -> list[str]:
        return [name for name in names if len(self._rows[name]) < len(self._known[name].cells)]


def compute_all(names: list[str], arguments: argparse.Namespace) -> list[str]:
    """Compute tables on all cores, and return those that time did not suffice for."""
    known, kept, tasks = tabulation.tables(), {}, []
    for name in names:
        old = tabulation.read(name, arguments.out) if arguments.missing else []
        kept[name] = [row for row in old if row.cell in known[name].cells]
        tasks += tasks_of(name, known[name], runs=arguments.runs, skip=kept[name])
    ledger = Ledger(known, arguments.out, kept)
    deadline = time.monotonic() + arguments.seconds
    with multiprocessing.Pool(arguments.jobs) as pool:
        done = pool.imap_unordered(compute, tasks)
        for count in range(1, len(tasks) + 1):
            try:
                ledger.add(*done.next(timeout=max(0.0, deadline - time.monotonic())))
            except multiprocessing.TimeoutError:
                break
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{count} of {len(tasks)} parts")
        pool.terminate()
    return ledger.incomplete(names)


def show() -> None:
    """Write the tables into the pages that ask for them, and draw the plot."""
    known = tabulation.tables()
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        shown = tabulation.render_page(text, known)
        if shown != text:
            page.write_text(shown, encoding="utf-8")
    power_plot.write()


def parse(known: dict[str, Table]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=known, help="compute these tables")
    parser.add_argument("--runs", type=int, help="simulate at most so many budgets a cell")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (all cores)")
    parser.add_argument("--seconds", type=float, default=1e6, help="stop after so much time")
    parser.add_argument("--missing", action="store_true", help="compute only what is not there")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder of the figures")
    parser.add_argument("--show", action="store_true", help="only write pages, from the figures")
    return parser.parse_args()


def main() -> None:
    known = tabulation.tables()
    arguments = parse(known)
    unfinished = [] if arguments.show else compute_all(arguments.only or list(known), arguments)
    if arguments.out == FIGURES:
        show()
    if unfinished:
        raise SystemExit(f"not finished in time: {', '.join(unfinished)}; go on with --missing")


if __name__ == "__main__":
    main()
