"""Quantized weights kept between runs: scores as if quantized anew, damage noticed, room kept."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from trees import requests

from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.backends.bitsandbytes import BitsandbytesBackend
from pytest_quantcheck.measure.backends.quantized_store import QuantizedStore, quantized_store
from pytest_quantcheck.store.lock import locked

NESTED = (("bnb_4bit_use_double_quant", True),)
STORED = (("bnb_4bit_quant_storage", "float16"),)
LOW = (("llm_int8_threshold", 3.0),)
LATE = (("llm_int8_has_fp16_weight", True),)


class Watched(QuantizedStore):
    """A store that counts what is quantized."""

    made = 0

    def get(self, identity, *, read, make, save):
        def counted():
            self.made += 1
            return make()

        return super().get(identity, read=read, make=counted, save=save)


@pytest.fixture
def store(tmp_path):
    return Watched(tmp_path / "cache", from_bytes=0, most_bytes=2**30)


def load(variant, source):
    return BitsandbytesBackend().load(variant, source)


def entries(store):
    return sorted(path for path in store.folder.iterdir() if path.is_dir())


@pytest.mark.parametrize(
    ("kind", "name", "changes"),
    [
        ("llama_outliers", "int8", {}),
        ("llama_outliers", "int8", {"options": LOW, "skip_modules": ("down_proj",)}),
        ("gemma2", "nf4", {}),
        ("gemma2", "nf4", {"options": NESTED}),
        ("llama", "fp4", {"options": STORED}),
    ],
)
def test_kept_weights_score_to_the_bit_as_weights_quantized_anew(
    checkpoint, store, kind, name, changes
):
    variant, source = replace(builtin_variant(name), **changes), checkpoint(kind)
    asked = requests(count=6)
    anew = load(variant, source)
    for n_made in (1, 1):
        found = load(variant, replace(source, quantized=store))
        assert store.made == n_made
        assert found.weights == anew.weights
        assert found.compute_dtype == anew.compute_dtype
        for one, other in zip(found.score(asked), anew.score(asked), strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(entries(store)) == 1
    assert store.notices == ()


def test_other_weights_and_other_options_have_entries_of_their_own(checkpoint, store):
    source = replace(checkpoint("llama"), quantized=store)
    nf4 = builtin_variant("nf4")
    for variant in (nf4, replace(nf4, name="four"), replace(nf4, options=NESTED)):
        load(variant, source)
    assert store.made == 2
    load(nf4, replace(checkpoint("qwen3"), quantized=store))
    assert len(entries(store)) == store.made == 3


def test_what_is_small_or_quantized_late_is_not_kept(checkpoint, tmp_path):
    folder = tmp_path / "none"
    store = Watched(folder, from_bytes=2**29, most_bytes=2**30)
    source = replace(checkpoint("llama"), quantized=store)
    load(builtin_variant("nf4"), source)
    kept = Watched(tmp_path / "late", from_bytes=0, most_bytes=2**30)
    load(replace(builtin_variant("int8"), options=LATE), replace(source, quantized=kept))
    assert store.made == kept.made == 0
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "manifest"])
def test_a_damaged_entry_is_removed_and_quantized_again(checkpoint, store, damage):
    source = replace(checkpoint("llama"), quantized=store)
    expected = load(builtin_variant("nf4"), source).weights
    (entry,) = entries(store)
    weights = entry / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "flip":
        content[-9] ^= 1
        weights.write_bytes(content)
    elif damage == "cut":
        weights.write_bytes(content[:-9])
    elif damage == "missing":
        weights.unlink()
    else:
        (entry / "quantcheck.json").write_text("{}")
    assert load(builtin_variant("nf4"), source).weights == expected
    assert store.made == 2
    assert "held a damaged entry" in " ".join(store.notices)
    load(builtin_variant("nf4"), source)
    assert store.made == 2


class Folder:
    """Something that is kept: text in a file."""

    def __init__(self, store):
        self.store, self.made = store, []

    def get(self, name, size=10):
        def make():
            self.made.append(name)
            return name * size

        return self.store.get(
            name,
            read=lambda folder: (folder / "text").read_text(),
            make=make,
            save=lambda text, folder: (folder / "text").write_text(text),
        )


def test_entries_used_longest_ago_go_first(tmp_path):
    kept = Folder(QuantizedStore(tmp_path / "c", from_bytes=0, most_bytes=1500))
    for name in ("a", "b", "a", "c"):
        kept.get(name, 500)
    assert kept.made == ["a", "b", "c"]
    kept.get("a", 500)
    assert kept.made == ["a", "b", "c"]
    kept.get("b", 500)
    assert kept.made == ["a", "b", "c", "b"]


def test_two_at_once_quantize_once(tmp_path):
    kept = Folder(QuantizedStore(tmp_path / "c", from_bytes=0, most_bytes=2**20))
    found = []
    threads = [threading.Thread(target=lambda: found.append(kept.get("a"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["a" * 10] * 6
    assert kept.made == ["a"]


def test_what_a_killed_process_left_is_removed_unless_it_still_runs(tmp_path):
    folder = tmp_path / "c"
    for name in ("dead", "alive"):
        (folder / f"{name}.partial").mkdir(parents=True)
    kept = Folder(QuantizedStore(folder, from_bytes=0, most_bytes=2**20))
    with locked(folder / "alive.lock"):
        kept.get("a")
    assert not (folder / "dead.partial").exists()
    assert (folder / "alive.partial").exists()


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / "file").touch()
    kept = Folder(QuantizedStore(tmp_path / "file", from_bytes=0, most_bytes=2**20))
    assert (kept.get("a"), kept.get("a")) == ("a" * 10, "a" * 10)
    assert len(kept.store.notices) == 1
    assert "quantized in every run" in kept.store.notices[0]


def test_what_cannot_be_saved_leaves_nothing_behind(tmp_path):
    store = QuantizedStore(tmp_path / "c", from_bytes=0, most_bytes=2**20)

    def save(_, folder):
        (folder / "half").touch()
        raise OSError(28, "No space left on device")

    assert store.get("a", read=None, make=lambda: 1, save=save) == 1
    assert list(store.folder.iterdir()) == []
    assert "(No space left on device)" in store.notices[0]


def test_the_environment_says_where_and_how_much(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert quantized_store({}).folder == tmp_path / ".cache" / "quantcheck"
    assert quantized_store({"XDG_CACHE_HOME": "/x"}).folder.as_posix() == "/x/quantcheck"
    assert quantized_store({"QUANTCHECK_CACHE": "~/q"}).folder == tmp_path / "q"
    with pytest.raises(UsageError, match=r"QUANTCHECK_CACHE_GIB=1.5: expected a whole number"):
        quantized_store({"QUANTCHECK_CACHE_GIB": "1.5"})
