"""Sequences that begin alike share segments, to any depth, where that saves enough."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantcheck.measure.engine.trie import as_key, grow_forest

SHOTS, CONTEXT = range(100, 140), range(200, 220)


def forest_of(*sequences):
    return grow_forest(sorted(as_key(list(one)) for one in sequences))


def paths(forest):
    """Return each sequence as its segments make it, by its index."""
    found = {}
    for segment in forest.segments:
        for end in segment.ends:
            tokens, one = [], segment
            stop = len(forest.sequences[end])
            while True:
                own = forest.sequences[one.source][one.start : one.stop].tolist()
                tokens = own[: stop - one.start] + tokens
                if one.parent < 0:
                    break
                one = forest.segments[one.parent]
            found[end] = tokens
    return found


def shape(forest):
    return [(one.parent, one.size, len(one.ends)) for one in forest.segments]


def test_options_stand_once_on_their_context_and_contexts_on_their_shots():
    sequences = [
        [*SHOTS, *CONTEXT, 1, 2, 3],
        [*SHOTS, *CONTEXT, 4, 5],
        [*SHOTS, 7, 8, 9, 10],
    ]
    assert shape(forest_of(*sequences)) == [
        (-1, 40, 0),
        (0, 4, 1),
        (0, 20, 0),
        (2, 3, 1),
        (2, 2, 1),
    ]


def test_a_sequence_that_begins_another_ends_inside_of_it():
    assert shape(forest_of(CONTEXT, [*CONTEXT, 1, 2], [*CONTEXT, 1, 2, 3])) == [(-1, 23, 3)]


def test_a_sequence_may_end_where_others_part():
    forest = forest_of(CONTEXT, [*CONTEXT, 1, 2], [*CONTEXT, 4])
    assert shape(forest) == [(-1, 20, 1), (0, 2, 1), (0, 1, 1)]


def test_a_bos_before_many_sequences_is_not_shared():
    forest = forest_of(*([1, *range(10 * n, 10 * n + 30)] for n in range(10, 60)))
    assert {one.parent for one in forest.segments} == {-1}
    assert len(forest.segments) == 50


def test_a_short_beginning_is_repeated_and_a_longer_one_below_it_shared():
    forest = forest_of([1, 2, *CONTEXT, 5], [1, 2, *CONTEXT, 6], [1, 2, 3, 4])
    assert shape(forest) == [(-1, 4, 1), (-1, 22, 0), (1, 1, 1), (1, 1, 1)]


def test_no_sequences_make_no_segments():
    assert grow_forest([]).segments == ()


def test_sequences_that_contain_one_another_a_thousand_times_are_one_segment():
    whole = list(range(4, 1004))
    assert shape(forest_of(*(whole[:size] for size in range(1, 1001)))) == [(-1, 1000, 1000)]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 9, 17]), st.lists(st.integers(0, 2), min_size=1, max_size=12)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_sequence_is_found_again(parts):
    sequences = {(7,) * shared + tuple(own) for shared, own in parts}
    forest = forest_of(*sequences)

    found = paths(forest)

    assert sorted(map(tuple, found.values())) == sorted(sequences)
    assert all(forest.sequences[i].tolist() == tokens for i, tokens in found.items())
    roots = [forest.segments[index] for index in forest.roots]
    assert sum(one.tokens for one in roots) == sum(one.size for one in forest.segments)
    assert sum(one.tokens for one in roots) <= sum(map(len, sequences))
    parents = {one.parent for one in forest.segments}
    leaves = [index for index in range(len(forest.segments)) if index not in parents]
    assert sum(one.leaves for one in roots) == len(leaves)
    for index, one in enumerate(forest.segments):
        assert one.parent < index <= one.last
        assert all(forest.segments[child].parent == index for child in one.children)
