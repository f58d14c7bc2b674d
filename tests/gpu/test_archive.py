"""What the reference predicted in an earlier run is compared on a GPU without loading it."""

from __future__ import annotations

import pytest
from archived import compare, scores

from pytest_quantcheck.core.variant import builtin_variant

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", ["int8", "nf4"])
def test_a_second_run_compares_without_the_reference(checkpoint, specs, tmp_path, name):
    source, variants = checkpoint("llama"), (builtin_variant("fp16"), builtin_variant(name))
    cold, loaded = compare(tmp_path, source, specs, variants=variants)
    assert sorted(loaded) == ["fp16", name]
    warm, loaded = compare(tmp_path, source, specs, variants=variants)
    assert loaded == [name]
    assert scores(warm) == scores(cold)
