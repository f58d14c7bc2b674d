"""Packs hold every request once, within their limits, whatever the order of the requests."""

from __future__ import annotations

import numpy as np
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.measure.engine.packs import plan_packs

SHOTS = tuple(range(100, 140))


def path_of(pack, row):
    """Return the tokens that a row sees, the first one first."""
    segment = pack.segments[row]
    tokens = pack.tokens[pack.starts[segment] : row + 1].tolist()
    while (segment := pack.parents[segment]) >= 0:
        tokens = pack.tokens[pack.starts[segment] : pack.starts[segment + 1]].tolist() + tokens
    return tuple(tokens)


def check(requests, packs):
    """Check that each target is read from the row that sees the tokens before it."""
    answered = []
    for pack in packs:
        assert pack.positions.tolist() == [
            len(path_of(pack, r)) - 1 for r in range(len(pack.tokens))
        ]
        answers = pack.answers
        rows = answers.in_order
        targets = np.empty_like(rows)
        targets[answers.order] = answers.targets
        start = 0
        for owner, size in answers.sizes:
            request = requests[owner]
            scored = list(range(request.first_target, len(request.tokens)))
            assert len(scored) == size
            mine = slice(start, start + size)
            assert targets[mine].tolist() == [request.tokens[place] for place in scored]
            for row, place in zip(rows[mine].tolist(), scored, strict=True):
                assert path_of(pack, row) == request.tokens[:place]
            start += size
            answered.append(owner)
        assert answers.rows.tolist() == sorted(answers.rows.tolist())
        assert pack.longest == max(pack.positions) + 1
    assert sorted(answered) == list(range(len(requests)))


@pytest.mark.parametrize("tokens", [2**20, 300, 100, 60, 20, 1])
@pytest.mark.parametrize("sequences", [None, 5, 1])
def test_every_target_is_read_where_its_sequence_stands(tokens, sequences):
    requests = trees.few_shot()
    packs = list(plan_packs(requests, trees.limits(tokens, sequences)))
    check(requests, packs)
    for pack in packs:
        assert pack.sequences == 1 or len(pack.tokens) <= tokens
        assert pack.sequences <= (sequences or len(requests))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 200), st.one_of(st.none(), st.integers(1, 9)))
def test_packs_are_right_whatever_is_asked(seed, tokens, sequences):
    requests = trees.few_shot(seed, questions=seed % 4, options=1 + seed % 5, shots=seed % 30)
    packs = list(plan_packs(requests, trees.limits(tokens, sequences)))

    assert bool(packs) == bool(requests)
    check(requests, packs)


def owners(pack):
    return [owner for owner, _ in pack.answers.sizes]


def test_packs_do_not_depend_on_the_order_of_requests():
    requests = trees.few_shot()
    order = np.random.default_rng(1).permutation(len(requests)).tolist()
    shuffled = [requests[index] for index in order]
    for one, other in zip(
        plan_packs(requests, trees.limits(100)),
        plan_packs(shuffled, trees.limits(100)),
        strict=True,
    ):
        assert one.tokens.tolist() == other.tokens.tolist()
        assert one.parents.tolist() == other.parents.tolist()
        assert set(owners(one)) == {order[owner] for owner in owners(other)}


def test_a_shared_beginning_is_forwarded_once():
    requests = [trees.ask((*SHOTS, 50 + n, 60, 61), 41) for n in range(10)]
    pack = trees.one_pack(requests)
    assert len(pack.tokens) == 40 + 10 * 2
    assert pack.ends.tolist() == [60, *range(42, 61, 2)]


def test_a_tree_too_large_for_a_pack_is_cut_and_its_beginning_repeated():
    requests = [trees.ask((*SHOTS, 50 + n, 60, 61), 41) for n in range(10)]
    packs = list(plan_packs(requests, trees.limits(48)))
    assert [len(pack.tokens) for pack in packs] == [48, 48, 44]
    assert {tuple(pack.tokens[:40]) for pack in packs} == {SHOTS}


def test_a_request_that_ends_in_a_repeated_beginning_is_answered_once():
    requests = [trees.ask((*SHOTS, 50 + n, 60, 61), 41) for n in range(10)]
    requests.append(trees.ask((*SHOTS, 9), 3))
    packs = list(plan_packs(requests, trees.limits(48)))
    check(requests, packs)
    assert len(packs) == 3


def test_requests_with_equal_inputs_are_one_sequence():
    pack = trees.one_pack([trees.ask((*SHOTS, letter), 40) for letter in range(4)])
    assert (len(pack.tokens), pack.sequences, pack.answers.needed.tolist()) == (40, 1, [39])
    assert sorted(pack.answers.targets.tolist()) == [0, 1, 2, 3]


def test_no_requests_make_no_pack():
    assert list(plan_packs([], trees.AMPLE)) == []


def test_packs_are_full_and_the_largest_trees_first():
    rng = np.random.default_rng(0)
    requests = [trees.ask(rng.integers(4, 80, size=int(n))) for n in rng.integers(2, 50, size=200)]
    sizes = [len(pack.tokens) for pack in plan_packs(requests, trees.limits(200))]
    longest = [pack.longest for pack in plan_packs(requests, trees.limits(200))]
    assert longest == sorted(longest, reverse=True)
    assert min(sizes[:-1]) > 150
