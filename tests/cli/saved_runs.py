"""Runs on disk, as pytest would have written them."""

from __future__ import annotations

from dataclasses import replace

import known_records as known
import numpy as np
from example_records import measured_record, rows

from pytest_quantcheck.core.examples import key_of, to_line
from pytest_quantcheck.plugin.files import write_run


class Saved:
    """Builds a run and writes it."""

    def __init__(self, folder):
        self.path = folder / "run.json"
        self.lines = []
        self.run = known.run(known.CHECK)

    def add(self, reference, variant, *, name="int4", **fields):
        """Add reference and variant, by their rows, on one workload."""
        first = to_line(measured_record(*reference, variant="fp16", **fields))
        second = to_line(
            measured_record(*variant, variant=name, **fields | {"reference": key_of(first)})
        )
        self.lines += [first, second]
        return self

    def answers(self, n=400, flips=0.05, *, seed=0, **fields):
        """Add right and wrong answers."""
        rng = np.random.default_rng(seed)
        reference = (rng.random(n) < 0.9).astype(float)
        variant = np.where(rng.random(n) < flips, 1 - reference, reference)
        return self.add([rows("accuracy", reference)], [rows("accuracy", variant)], **fields)

    def documents(self, n=50, **fields):
        """Add documents."""
        rng = np.random.default_rng(1)
        weights = rng.integers(50, 900, n).astype(float).tolist()
        nats = np.array(weights) * rng.uniform(2, 3, n)
        more = nats + np.array(weights) * rng.normal(0.02, 0.03, n)
        sides = [[rows("perplexity", values, weights=weights)] for values in (nats, more)]
        return self.add(*sides, **{"workload": "manual", "kind": "Documents"} | fields)

    def in_family(self, size):
        """Let the run have had so many budgets."""
        environments = [replace(one, family_size=size) for one in self.run.environments]
        self.run = replace(self.run, environments=environments)
        return self

    def write(self):
        """Write both files; return the path of the run's own."""
        write_run(self.path, self.run, self.lines)
        return self.path
