"""Variants come and go by the memory they need."""

from __future__ import annotations

import gc
import weakref

import fake_model
import pytest
from fake_model import HOLLOW, INT4, INT8, MISSING, REFERENCE, make_pool, variant

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.errors import BackendUnavailable, UsageError
from pytest_quantcheck.measure.handle import Handle
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.residents import Residents


def test_a_variant_is_loaded_once_and_kept_while_there_is_room():
    pool = make_pool()
    assert pool.resident == ()
    first = pool.get(REFERENCE)
    pool.get(INT8)
    assert pool.get(REFERENCE) is first
    assert pool.resident == (INT8, REFERENCE)
    assert fake_model.LOADS == ["fp16", "int8"]


def test_the_least_recently_used_variant_is_evicted():
    fake_model.SIZES.update({"fp16": 200, "int8": 200, "int4": 200})
    pool = make_pool()
    reference, int8 = pool.get(REFERENCE), pool.get(INT8)
    pool.get(REFERENCE)
    pool.get(INT4)
    assert pool.resident == (REFERENCE, INT4)
    assert (reference.closed, int8.closed) == (0, 1)


def test_a_variant_too_large_for_its_share_stands_alone():
    fake_model.SIZES["int8"] = 5000
    pool = make_pool()
    pool.get(REFERENCE)
    pool.get(INT8)
    assert pool.resident == (INT8,)


def test_a_pinned_variant_stays_until_the_pool_is_closed():
    fake_model.SIZES.update({"fp16": 400, "int8": 400})
    pool = make_pool()
    pinned = pool.pin(REFERENCE)
    pool.get(INT8)
    assert pool.resident == (REFERENCE, INT8)
    pool.close()
    assert pool.resident == ()
    assert pinned.closed == 1


def test_whether_two_fit_counts_what_is_pinned():
    fake_model.SIZES.update({"fp16": 200, "int8": 200, "int4": 100})
    pool = make_pool()
    assert pool.fits_both(REFERENCE, INT8)
    pool.pin(INT4)
    assert pool.fits_both(INT4, REFERENCE)
    fake_model.SIZES["int4"] = 200
    crowded = make_pool()
    crowded.pin(INT4)
    assert not crowded.fits_both(REFERENCE, INT8)


def test_nothing_but_the_pool_keeps_a_variant_alive():
    pool = make_pool()
    alive = weakref.ref(pool.get(REFERENCE))
    handle = Handle(REFERENCE, pool)
    assert handle.generate("ab", 2) == "ba"
    pool.close()
    gc.collect()
    assert alive() is None
    assert handle.generate("ab", 2) == "ba"


def test_weights_are_known_after_eviction():
    pool = make_pool()
    assert pool.weights(REFERENCE).stored_bytes == 1000
    pool.close()
    assert pool.weights(REFERENCE).stored_bytes == 1000
    assert fake_model.LOADS == ["fp16"]


def test_a_load_that_failed_is_not_tried_again():
    pool = make_pool()
    for _ in range(2):
        with pytest.raises(UsageError, match="no such model"):
            pool.get(MISSING)
    assert fake_model.LOADS == ["missing"]


def test_a_variant_that_is_not_quantized_is_refused_and_freed():
    pool = make_pool()
    with pytest.raises(UsageError, match="hollow is not quantized enough"):
        Handle(HOLLOW, pool).generate("ab")
    assert pool.resident == ()


def test_an_unknown_backend_names_the_known_ones():
    with pytest.raises(UsageError, match="unknown backend 'gguf'; known: fake"):
        make_pool().get(variant("q4", backend="gguf"))


def test_a_backend_whose_package_is_missing_is_unavailable():
    spec = BackendSpec(name="own", target="package_that_is_not_there:create")
    pool = Pool({"own": spec}, ModelSource(model="m", device="cpu"), 0.5)
    with pytest.raises(BackendUnavailable, match=r"package_that_is_not_there.*pip install"):
        pool.get(variant("fp16", backend="own"))


def two_models(free=1000):
    """Return pools of two models that share the memory of one device."""
    residents = Residents()

    def free_bytes(_device):
        held = sum(fake_model.SIZES.get(one.name, 100) for p in pools for one in p.resident)
        return free - held

    pools = [
        Pool(
            fake_model.FAKE,
            ModelSource(model=model, device="cpu"),
            0.5,
            residents=residents,
            free_bytes=free_bytes,
        )
        for model in ("/models/desk", "/models/other")
    ]
    return pools


def test_the_variants_used_longest_ago_go_first_whichever_model_they_are_of():
    fake_model.SIZES.update({"fp16": 200, "int8": 200, "int4": 200})
    desk, other = two_models()
    former = [desk.get(REFERENCE), desk.get(INT8)]
    other.get(REFERENCE)
    assert (desk.resident, other.resident) == ((INT8,), (REFERENCE,))
    other.get(INT8)
    assert (desk.resident, other.resident) == ((), (REFERENCE, INT8))
    assert [model.closed for model in former] == [1, 1]


def test_one_variant_of_two_models_is_two():
    desk, other = two_models()
    assert desk.get(REFERENCE) is not other.get(REFERENCE)
    assert fake_model.LOADS == ["fp16", "fp16"]


def test_what_is_pinned_of_one_model_is_no_room_for_another():
    fake_model.SIZES.update({"fp16": 200, "int8": 200})
    desk, other = two_models()
    desk.pin(REFERENCE)
    assert not other.fits_both(REFERENCE, INT8)
    other.get(REFERENCE)
    other.get(INT8)
    assert desk.resident == (REFERENCE,)


def test_closing_one_model_leaves_the_other():
    desk, other = two_models()
    desk.get(REFERENCE)
    kept = other.get(INT8)
    desk.close()
    assert (desk.resident, other.resident) == ((), (INT8,))
    assert kept.closed == 0
