"""Time the page of a large run: rendered, written, and opened in Chromium.

usage: html_report.py [--examples 10000] [--budgets 50] [--output PAGE.html]

The run has four variants, each of which changes one answer in eight, and as many budgets as asked
for. The browser's time ends when the script has run and one filter has answered.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantcheck.core.examples import ExamplesRecord
    from pytest_quantcheck.core.record import CheckRecord, MeasurementRecord, RunRecord

TESTS = Path(__file__).parent.parent / "tests"
sys.path[:0] = [str(TESTS / room) for room in ("report", "fakes", "browser")]

import known_records as known  # noqa: E402 - found on the path above
from example_records import measured_record, rows  # noqa: E402 - the same

from pytest_quantcheck.report.html.page import render_html  # noqa: E402 - the same

_WORDS = ("order", "invoice", "refund", "total", "card", "shipping", "delay", "label", "part")
_RIGHT, _FLIPS, _SLICES = 0.9, 0.12, 6
_VARIANTS = ("int8", "int4", "nf4", "fp4")
_KEYWORDS = ("max_accuracy_drop", "max_flip_rate", "max_harmful_flip_rate")
_STATISTICS = ("drop", "flips", "harmful_flips")
_OUTCOMES = ("pass", "pass", "pass", "fail", "inconclusive")


def large_run(n_examples: int, n_budgets: int) -> tuple[RunRecord, dict[str, ExamplesRecord]]:
    """Return a run and its per-example records."""
    rng = random.Random(0)  # noqa: S311 - repeatable
    right = [float(rng.random() < _RIGHT) for _ in range(n_examples)]
    outputs = [_text(rng, 30) for _ in right]
    common = {
        "ids": [f"example-{place:06}" for place in range(n_examples)],
        "slices": [f"slice {place % _SLICES}" for place in range(n_examples)],
        "margins": [rng.gauss(0, 2) for _ in right],
    }
    reference = measured_record(rows("accuracy", right), variant="fp16", outputs=outputs, **common)
    records = {"fp16": reference}
    for variant in _VARIANTS:
        is_flip = [rng.random() < _FLIPS for _ in right]
        found = measured_record(
            rows("accuracy", [abs(one - flip) for one, flip in zip(right, is_flip, strict=True)]),
            variant=variant,
            variant_label=variant,
            reference="fp16",
            outputs=[
                _text(rng, 30) if flip else text
                for text, flip in zip(outputs, is_flip, strict=True)
            ],
            prompts=[_text(rng, 60) if flip else None for flip in is_flip],
            expected=[" yes" if flip else None for flip in is_flip],
            **common | {"margins": [rng.gauss(0, 2) for _ in right]},
        )
        records[variant] = found
    checks = [_check(rng, place) for place in range(n_budgets)]
    return known.run(*checks, measurements=[known.MEASURED, *map(_measured, _VARIANTS)]), records


def _measured(variant: str) -> MeasurementRecord:
    place = _VARIANTS.index(variant)
    return replace(
        known.MEASURED,
        variant=variant,
        variant_label=variant,
        is_reference=False,
        level=_RIGHT - 0.01 * place,
        weight_bytes=(8 - place) * 10**9,
    )


def _check(rng: random.Random, place: int) -> CheckRecord:
    variant = _VARIANTS[place % len(_VARIANTS)]
    kind = place // 4 % len(_KEYWORDS)
    value = rng.uniform(-0.02, 0.08)
    return replace(
        known.CHECK,
        nodeid=f"test_a.py::test_{place}[{variant}]",
        variant=variant,
        variant_label=variant,
        workload="triage" if place < len(_OUTCOMES) else f"triage {place // 12}",
        keyword=_KEYWORDS[kind],
        statistic=_STATISTICS[kind],
        outcome=_OUTCOMES[place % len(_OUTCOMES)],
        value=value,
        low=value - 0.01,
        high=value + 0.01,
        examples=variant,
        worst=[],
    )


def _text(rng: random.Random, n_words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=n_words))


def seconds_in_browser(page: Path) -> float:
    """Return the time from opening a page to the answer of a filter."""
    from chromium import browser

    with browser() as chromium:
        begin = time.perf_counter()
        chromium.open(page)
        chromium.click("[data-kind=better]")
        chromium.value("document.querySelectorAll('.card').length")
        return time.perf_counter() - begin


def main() -> None:
    """Print what one page takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--budgets", type=int, default=50)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    run, records = large_run(arguments.examples, arguments.budgets)
    begin = time.perf_counter()
    text = render_html(run, records)
    print(f"rendered in {time.perf_counter() - begin:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        page = arguments.output or Path(folder) / "run.html"
        page.write_text(text, encoding="utf-8")
        print(f"{page.stat().st_size / 1e6:.1f} MB")
        print(f"usable in Chromium after {seconds_in_browser(page):.2f} s")


if __name__ == "__main__":
    main()
