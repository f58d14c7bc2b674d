"""A workload measured in batches, and a watcher that asks for so many examples."""

from __future__ import annotations

from fake_model import REFERENCE, make_pool

from pytest_quantcheck import Generation
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.runner import Runner

N = 40
ENDS = (8, 12, 15, 20, 30, N)


def in_batches(n=N, ends=ENDS, **options):
    return Portion(batched_from=n, batch_ends=lambda *_: ends, **options)


def make_runner(pool=None, *, portion=None, **options):
    return Runner(
        pool or make_pool(), reference=REFERENCE, portion=portion or in_batches(), **options
    )


def essay(**options):
    rows = [{"id": f"e{i}", "prompt": f"{i:02}", "answer": f"{i:02}"[::-1]} for i in range(N)]
    return Generation.from_examples(rows, name="essay", max_new_tokens=4, **options)


class Until:
    """Asks for so many examples."""

    def __init__(self, n):
        self.n = n
        self.batches = []

    @property
    def ids(self):
        return [example.id for batch in self.batches for example in batch.variant.examples]

    def update(self, batch):
        self.batches.append(batch)
        return len(self.ids) >= self.n


def ids_of(measured):
    return [example.id for example in measured.examples]
