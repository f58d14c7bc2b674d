"""Which rows of a forward pass are read, and for which scored tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Rows of final hidden states, and the tokens that are scored by them."""

    needed: NDArray[np.int64]
    """(u,) rows behind scored tokens, ascending."""
    rows: NDArray[np.int64]
    """(p,) index into `needed` for each scored token, ascending."""
    targets: NDArray[np.int64]
    """(p,) scored tokens."""
    order: NDArray[np.int64]
    """(p,) place of each scored token among those of `sizes`."""
    sizes: tuple[tuple[int, int], ...]
    """(request, scored tokens) in order: p is the sum of the tokens."""

    @property
    def in_order(self) -> NDArray[np.int64]:
        """(p,) row behind each scored token, in the order of `sizes`."""
        found = np.empty_like(self.rows)
        found[self.order] = self.needed[self.rows]
        return found

    def split(self, values: NDArray[np.float32]) -> list[tuple[int, NDArray[np.float32]]]:
        """Return (request, its values) for values in the order of `targets`."""
        ordered = np.empty_like(values)
        ordered[self.order] = values
        stops = np.cumsum([size for _, size in self.sizes])
        return [
            (request, ordered[stop - size : stop])
            for (request, size), stop in zip(self.sizes, stops.tolist(), strict=True)
        ]


def as_answers(
    runs: Sequence[tuple[int, int]], targets: Sequence[int], sizes: Sequence[tuple[int, int]]
) -> Answers:
    """Return what is read, from runs of rows in the order of the scored tokens.

    Parameters
    ----------
    runs : sequence of (int, int)
        First row, and number of rows from there on.
    targets : sequence of int
        One token for each row.
    sizes : sequence of (int, int)
        Request, and number of its scored tokens.
    """
    firsts, counts = np.array(runs).T
    rows = row_numbers(firsts, counts)
    order = rows.argsort(kind="stable")
    needed, index = np.unique(rows[order], return_inverse=True)
    return Answers(
        needed=needed,
        rows=index,
        targets=np.array(targets)[order],
        order=order,
        sizes=tuple(sizes),
    )


def row_numbers(firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return first, first + 1 and so on, `counts` of each."""
    before = counts.cumsum() - counts
    return np.repeat(firsts - before, counts) + np.arange(int(counts.sum()))
