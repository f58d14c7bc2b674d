"""The order of examples, and the parts they are measured in."""

import pytest

from pytest_quantcheck.core.batches import Sequential, parts_of, shuffled, whole

KEYS = [f"cluster {number % 40}" if number % 3 else f"id {number}" for number in range(400)]


def ids_in_order(keys, seed=0):
    return [[keys[place] for place in cluster] for cluster in shuffled(keys, seed=seed)]


def test_the_order_depends_on_seed_and_keys_and_not_on_places():
    found = ids_in_order(KEYS)

    assert found == ids_in_order(KEYS[::-1])
    assert found != ids_in_order(KEYS, seed=1)
    assert sorted(place for cluster in shuffled(KEYS, seed=0) for place in cluster) == [
        *range(len(KEYS))
    ]


def test_clusters_stay_together():
    assert all(len(set(cluster)) == 1 for cluster in ids_in_order(KEYS))
    assert len(ids_in_order(KEYS)) == len(set(KEYS))


def test_one_example_more_leaves_the_others_in_their_order():
    longer = ids_in_order([*KEYS, "id new"])

    longer.remove(["id new"])
    assert longer == ids_in_order(KEYS)


def test_the_first_batch_is_a_part_and_then_each_tenth_is():
    ends = (300, 350, 400, 450, 500, 560, 620, 1000, 1900, 2000)

    parts = parts_of([(place,) for place in range(2000)], ends)

    assert [[len(batch) for batch in part.batches] for part in parts] == [
        [300],
        [50, 50],
        [50, 50, 60, 60],
        [380],
        [900],
        [100],
    ]
    assert [place for part in parts for batch in part.batches for place in batch] == [*range(2000)]


def test_the_first_batch_is_a_part_however_small():
    parts = parts_of([(place,) for place in range(100)], (5, 8, 20, 100))

    assert [[len(batch) for batch in part.batches] for part in parts] == [[5], [3, 12], [80]]


def test_a_part_names_its_places_in_the_order_of_the_workload():
    (part,) = parts_of([(3, 1), (2,), (0,)], (4,))

    assert part.batches == ((3, 1, 2, 0),)
    assert part.places == (0, 1, 2, 3)
    assert whole(4) == parts_of([(0, 1), (2, 3)], (4,))


@pytest.mark.parametrize(("name", "smallest"), [("auto", 2000), ("on", 1), ("off", None)])
def test_measuring_may_stop_from_so_many_examples(name, smallest):
    assert Sequential(name).smallest == smallest
