"""One variant on one workload: our engine and lm-evaluation-harness in turns."""

from __future__ import annotations

import gc
import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from common.meter import profile
from common.peer import LARGEST_BATCH
from common.requests import Work
from common.roofline import cost_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.meter import Meter, Run
    from common.peer import Peer
    from common.roofline import Peaks
    from numpy.typing import NDArray

    from pytest_quantcheck.measure.engine.causal import CausalModel

_FEWEST_ITEMS = 8


class Cell:
    """A row of the table, filled as far as time allows.

    Parameters
    ----------
    engine : CausalModel
        Ours.
    peer : Peer, optional
        The same model in lm-evaluation-harness; None where it is not installed.
    meter : Meter
        Of the same model.
    work : Work
        What is asked.
    variant : str
        Its name.
    """

    def __init__(
        self, engine: CausalModel, peer: Peer | None, meter: Meter, *, work: Work, variant: str
    ) -> None:
        self._engine = engine
        self._peer = peer
        self._meter = meter
        self._work = work
        self._values = np.empty(0)
        self.row: dict[str, Any] = {
            "variant": variant,
            "workload": work.name,
            "requests": len(work.requests),
            "tokens_asked": work.tokens,
            "tokens_distinct": work.tree[0],
        }

    def main(self, repeats: int, peaks: Peaks) -> None:
        """Time both sides in turns, ours first and last, and say what bounds ours."""
        batch_size = self._largest_batch()
        self._ours()
        ours, theirs = [self._ours()], []
        for _ in range(repeats):
            while batch_size:
                run = self._attempt(lambda: self._theirs(batch_size))  # noqa: B023
                if run:
                    theirs.append(run)
                    break
                theirs, batch_size = [], batch_size // 2
            ours.append(self._ours())
        self._values = ours[-1].values
        self.row["ours"] = _summary(ours)
        cost = cost_of(ours[-1], self._work, self._engine.model.config)
        seconds = self.row["ours"]["seconds"]
        self.row |= {
            "plan": getattr(self._engine, "plan", None),
            "operations": asdict(cost),
            "utilization": cost.utilization(seconds, peaks),
            "limit_share": cost.limit_share(seconds, peaks, self.row["variant"]),
        }
        if theirs:
            self._compare("harness", theirs)
            self.row["harness"]["batch_size"] = batch_size

    def expected_seconds(self, extra: str) -> float:
        """Return about how long an extra takes, from what was timed."""
        if extra == "profile":
            return 2 * float(self.row["ours"]["seconds"]) + 1
        seconds = float(self.row["harness"]["seconds"])
        return seconds * {"batch_1": 0.5, "float32": 1.5, "auto": 3}[extra]

    def extra_batch_1(self) -> None:
        """Time its default batch size on a few items."""
        few = self._work.first(max(1, min(_FEWEST_ITEMS, len(self._work.items))))
        run = self._attempt(lambda: self._meter.run(lambda: self._peer_score(few, 1)))
        if run:
            rate = len(few.requests) / run.seconds
            ours = self.row["requests"] / self.row["ours"]["seconds"]
            self.row["batch_1"] = {
                "requests": len(few.requests),
                "seconds": run.seconds,
                "ratio": ours / rate,
            }

    def extra_float32(self) -> None:
        """Time it with a softmax in float32."""
        size = self.row["harness"]["batch_size"]
        run = self._attempt(lambda: self._theirs(size, torch.float32))
        if run:
            self._compare("float32", [run])
        else:
            self.row["float32"] = {"out_of_memory_at": size}

    def extra_auto(self) -> None:
        """Time it with the batch size that it looks for; the search apart."""
        run = self._attempt(lambda: self._theirs("auto"))
        if run and self._peer and self._peer.searches:
            size, seconds = self._peer.searches[-1]
            self.row["auto"] = {
                "batch_size": size,
                "search_seconds": seconds,
                "seconds": run.seconds,
                "ratio": (run.seconds - seconds) / self.row["ours"]["seconds"],
            }

    def extra_profile(self) -> None:
        """Say what the device does while ours runs."""
        if torch.cuda.is_available():
            self.row["profile"] = asdict(profile(lambda: _ours(self._engine, self._work)))

    def _ours(self) -> Run:
        return self._meter.run(lambda: _ours(self._engine, self._work))

    def _theirs(self, batch_size: int | str, softmax: torch.dtype | None = None) -> Run:
        return self._meter.run(lambda: self._peer_score(self._work, batch_size, softmax))

    def _peer_score(
        self, work: Work, batch_size: int | str, softmax: torch.dtype | None = None
    ) -> NDArray[np.float64]:
        if self._peer is None:
            raise RuntimeError("lm-evaluation-harness is not installed")
        return self._peer.score(work, batch_size, softmax)

    def _largest_batch(self) -> int | None:
        """Return 64, or the half of it, or of that half, that fits."""
        if self._peer is None:
            return None
        distinct = {tuple(a + b[:-1]): (a, b) for a, b in self._work.pairs}
        longest = sorted(distinct.values(), key=lambda pair: -len(pair[0]) - len(pair[1]))
        size = LARGEST_BATCH
        while size > 1:
            work = Work(name="longest", items=(tuple(longest[:size]),))
            if self._attempt(lambda: self._peer_score(work, size)) is not None:  # noqa: B023
                return size
            size //= 2
        return size

    def _attempt(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the work returns
        """Return the result of a piece of work, or None if memory ran out."""
        try:
            return work()
        except torch.OutOfMemoryError:
            pass
        # The failed pass has left the stack here: its tensors can really be given back.
        gc.collect()
        torch.cuda.empty_cache()
        return None

    def _compare(self, name: str, theirs: list[Run]) -> None:
        ours = self.row["ours"]
        found = _summary(theirs)
        found["ratio"] = found["seconds"] / ours["seconds"]
        if found["peak_gib"]:
            found["memory_ratio"] = ours["peak_gib"] / found["peak_gib"]
        found["largest_difference_nats"] = float(np.abs(theirs[-1].values - self._values).max())
        self.row[name] = found


def _ours(engine: CausalModel, work: Work) -> NDArray[np.float64]:
    """Return the log-likelihood of each request, or of each document."""
    sums = [float(values.sum(dtype=np.float64)) for values in engine.score(work.requests)]
    if not work.documents:
        return np.array(sums)
    ends = np.cumsum([len(item) for item in work.items])[:-1]
    return np.array([part.sum() for part in np.split(np.array(sums), ends)])


def _summary(runs: list[Run]) -> dict[str, Any]:
    return {
        "seconds": statistics.median(run.seconds for run in runs),
        "runs": [round(run.seconds, 4) for run in runs],
        "peak_gib": runs[-1].peak_gib,
        "forwarded": runs[-1].forwarded,
        "head_rows": runs[-1].head_rows,
    }
