"""Where the seconds of a run through pytest go, without a profiler."""

from __future__ import annotations

import functools
import time
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PACKAGE = "pytest_quantcheck"
_TIMED = (
    ("loading", "measure.pool", "Pool._load"),
    ("trying plans", "measure.engine.causal", "choose_plan"),
    ("tokenizing", "measure.tasks.choice", "choice_prompts"),
    ("planning packs", "measure.engine.causal", "CausalModel.score"),
    ("launching packs", "measure.engine.tree", "TreeScorer._attempt"),
    ("waiting for the device", "measure.engine.tree", "_on_host"),
    ("deciding", "plugin.watch", "Watch.update"),
    ("deciding", "plugin.fixtures", "evaluate"),
    ("freeing", "measure.pool", "Pool.close"),
)
REST = "pytest, data and records"


class Phases:
    """Seconds by phase, each second in one: the innermost that runs.

    Parameters
    ----------
    clock : callable, optional
        Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds = dict.fromkeys([*(phase for phase, *_ in _TIMED), REST], 0.0)
        self._clock = clock
        self._running = [REST]
        self._since = clock()

    @contextmanager
    def running(self, phase: str) -> Iterator[None]:
        """Count what happens inside under a phase."""
        self._count()
        self._running.append(phase)
        try:
            yield
        finally:
            self._count()
            self._running.pop()

    def stop(self) -> dict[str, float]:
        """Return the seconds of each phase up to now."""
        self._count()
        return self.seconds

    def _count(self) -> None:
        now = self._clock()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now


@contextmanager
def timed_phases() -> Iterator[Phases]:
    """Time the parts of every run inside; everything is as before afterwards."""
    phases = Phases()
    with ExitStack() as stack:
        for phase, module, path in _TIMED:
            owner: Any = import_module(f"{_PACKAGE}.{module}")
            *outer, name = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            timed = _timed(phases, phase, getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, timed))
        yield phases


def _timed(phases: Phases, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*given: Any, **options: Any) -> Any:  # noqa: ANN401 - of any function
        with phases.running(phase):
            return function(*given, **options)

    return timed


def show_phases(runs: dict[str, dict[str, float]]) -> None:
    """Print where the seconds of each run went, a line a phase."""
    if not runs:
        return
    print(f"\n| seconds | {' | '.join(runs)} |")
    print(f"| --- {'| --- ' * len(runs)}|")
    for phase in next(iter(runs.values())):
        print(f"| {phase} | {' | '.join(f'{found[phase]:.2f}' for found in runs.values())} |")
