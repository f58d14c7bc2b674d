import itertools

import pytest

from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.stats.sequential.schedule import (
    BATCH,
    DOCUMENTS,
    REAL_SCORES,
    RIGHT_OR_WRONG,
    batch_ends,
    pace_of,
)

ACCURACY, SCORE, PERPLEXITY = (METRICS[name] for name in ("accuracy", "score", "perplexity"))


def test_looks_are_tenths_from_300_examples_on():
    assert RIGHT_OR_WRONG.looks(5000) == tuple(range(500, 5001, 500))
    assert RIGHT_OR_WRONG.looks(1001) == (301, 401, 501, 601, 701, 801, 901, 1001)
    assert RIGHT_OR_WRONG.looks(280) == (280,)
    assert REAL_SCORES.looks(2000) == (400, 800, 1200, 1600, 2000)


def test_documents_are_looked_at_from_twenty_on():
    assert DOCUMENTS.looks(60) == (24, 36, 48, 60)
    assert DOCUMENTS.looks(19) == (19,)
    assert [pace_of(m) for m in (ACCURACY, SCORE, PERPLEXITY)] == [
        RIGHT_OR_WRONG,
        REAL_SCORES,
        DOCUMENTS,
    ]


@pytest.mark.parametrize("n", [1, 299, 301, 1000, 2000, 4999, 100_000])
def test_batches_are_small_from_the_first_chance_on_and_end_at_every_look(n):
    ends = batch_ends([1] * n, [ACCURACY, SCORE])
    assert ends[0] == min(n, 300)
    assert ends[-1] == n
    assert {*RIGHT_OR_WRONG.looks(n), *REAL_SCORES.looks(n)} <= {*ends}
    assert all(0 < after - before <= BATCH for before, after in itertools.pairwise(ends))


def test_batches_hold_whole_clusters():
    sizes = [3, 70, 1, 150, 1, 1, 1, 200, 5] * 10
    ends = batch_ends(sizes, [ACCURACY])
    totals = list(itertools.accumulate(sizes))
    assert {*ends} <= {*totals}
    assert ends[-1] == totals[-1]
    assert ends[0] == next(total for total in totals if total >= 300)


def test_documents_have_no_batches_between_looks():
    assert batch_ends([1] * 100, [PERPLEXITY]) == (20, 40, 60, 80, 100)
    assert batch_ends([30, 70], [PERPLEXITY]) == (30, 100)
