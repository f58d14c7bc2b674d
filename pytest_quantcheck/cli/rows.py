"""Per-example records as the scores that procedures take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.stats.scores import ExampleScores

if TYPE_CHECKING:
    from pytest_quantcheck.core.examples import ScoresRecord


def scores_of(rows: ScoresRecord) -> ExampleScores:
    """Return the scores of one record, with its ids filled in."""
    ids, found = rows.ids or [], rows.observations
    return ExampleScores(
        metric=rows.metric,
        ids=tuple(ids),
        values=np.array(rows.values, np.float64),
        weights=np.array(rows.weights or [1.0] * len(ids), np.float64),
        clusters=None if rows.clusters is None else np.array(rows.clusters, np.int64),
        bounds=None if rows.bounds is None else (rows.bounds[0], rows.bounds[1]),
        observations=None if found is None else tuple(np.array(one, np.float64) for one in found),
        is_identical=rows.is_identical,
    )
