"""Per-example records as the scores that procedures take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.stats.scores import ExampleScores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_quantcheck.core.examples import ExamplesRecord, ScoresRecord


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


def rows_in(name: str, ids: Sequence[str], record: ExamplesRecord) -> list[int]:
    """Return which rows of scores are in one slice.

    Raises
    ------
    UsageError
        Documents were scored in parts, and what tells which is of which was redacted.
    """
    inside = dict(zip(record.ids, record.slices or [], strict=False))
    # An example may be scored in parts, `id#1`.
    owners = [one if one in inside else one.rpartition("#")[0] for one in ids]
    if not inside.keys() >= {*owners}:
        raise UsageError("the ids of parts of examples were redacted, so slices are not known")
    return [row for row, owner in enumerate(owners) if inside[owner] == name]
