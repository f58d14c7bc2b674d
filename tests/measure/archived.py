"""Runs after one another on real models, with one store."""

from __future__ import annotations

import uuid
from dataclasses import replace

from pytest_quantcheck import Documents
from pytest_quantcheck.measure.archive import Archive
from pytest_quantcheck.measure.identity import identity_of
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.store.disk import Store
from pytest_quantcheck.store.files import FileDigests

TEXTS = ["the thing and the hand", "in the inn, then in the tent. " * 6]


class CountingPool(Pool):
    """Says which variants it loaded."""

    def __init__(self, *args):
        super().__init__(*args)
        self.loaded = []

    def _load(self, variant):
        self.loaded.append(variant.name)
        return super()._load(variant)


def compare(folder, source, specs, *, variants, change=None):
    """Compare a variant with its reference as a new run would.

    Returns the pair, with divergences, and the names of what was loaded for it.
    """
    reference, variant = variants
    pool, files = CountingPool(specs, source, 0.85), FileDigests(None)
    archive = Archive(
        Store(folder),
        identify=lambda one: identity_of(
            one, source, replace(specs[one.backend], version="1"), files=files
        ),
        environment={},
        run=uuid.uuid4().hex,
    )
    runner = Runner(pool, reference=reference, archive=archive)
    workload = Documents.from_examples([{"text": text} for text in TEXTS], name="manual")
    runner.compare_predictions([workload])
    if change:
        change(pool.get(variant))
    found = runner.measure_pair(variant, workload)
    runner.close()
    return found, pool.loaded


def scores(pair):
    """Return every score of both sides."""
    return {
        f"{side} {name}": one.values.tolist()
        for side in ("reference", "variant")
        for name, one in getattr(pair, side).scores.items()
    }
