"""Which revision was loaded, and what to do where a hub refuses."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import huggingface_hub.errors as hub
import pytest
import tiny_checkpoints
import tiny_models
import transformers.utils.hub

from pytest_quantcheck.core.variant import AS_STORED, Variant, builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.backends import loading
from pytest_quantcheck.measure.backends.access import advice, revision_of
from pytest_quantcheck.measure.backends.loading import open_config
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource, ScoreRequest
from pytest_quantcheck.measure.reference import native_precision

FP16 = builtin_variant("fp16")
REQUEST = ScoreRequest(tokens=(1, 20, 30, 40), first_target=1)
COMMITS = {"v1": "1" * 40, "v2": "2" * 40}


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """Lay out the cache of a hub model with two revisions, as a download leaves it."""
    cache = tmp_path / "hub"
    home = cache / "models--acme--desk"
    (home / "refs").mkdir(parents=True)
    for seed, (tag, commit) in enumerate(COMMITS.items()):
        model = tiny_models.make_model("llama", seed=seed)
        tiny_models.save(home / "snapshots" / commit, model)
        (home / "refs" / tag).write_text(commit, encoding="utf-8")
    (home / "refs" / "main").write_text(COMMITS["v2"], encoding="utf-8")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for module in (huggingface_hub.constants, transformers.utils.hub):
        for name in ("HF_HUB_CACHE", "TRANSFORMERS_CACHE"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, str(cache))
    return home


def at(revision=None, **options):
    return ModelSource(model="acme/desk", device="cpu", revision=revision, **options)


@pytest.mark.parametrize(("revision", "seed"), [("v1", 0), ("v2", 1), (None, 1), ("1" * 40, 0)])
def test_a_revision_pins_what_is_loaded_and_is_recorded(hub_cache, specs, revision, seed):
    pool = Pool(specs, at(revision), 0.9)

    loaded = pool.get(FP16)

    expected = tiny_models.make_model("llama", seed=seed).float()
    naive = tiny_models.naive_scores(expected, REQUEST.tokens, REQUEST.first_target)
    assert abs(loaded.score([REQUEST])[0] - naive).max() < 1e-4
    assert loaded.weights.revision == list(COMMITS.values())[seed]
    assert hub_cache.is_dir()
    pool.close()


def test_configuration_and_tokenizer_are_pinned_too(hub_cache, specs):
    old = hub_cache / "snapshots" / COMMITS["v1"]
    config = old / "config.json"
    config.write_text(config.read_text().replace("float16", "bfloat16"))
    tiny_models.make_tokenizer(adds_bos=False).save_pretrained(old)

    assert native_precision(at("v1")) == "bf16"
    assert native_precision(at("v2")) == "fp16"
    pools = [Pool(specs, at(revision), 0.9) for revision in ("v1", "v2")]
    lengths = [len(pool.get(FP16).encode("the end", special=True)) for pool in pools]
    assert lengths[1] == lengths[0] + 1
    for pool in pools:
        pool.close()


def test_a_checkpoint_has_a_revision_of_its_own(hub_cache, specs):
    release = replace(FP16, name="release-1", checkpoint="acme/desk", revision="v1")
    pool = Pool(specs, at("v2"), 0.9)

    found = [pool.weights(variant).revision for variant in (release, FP16)]

    assert found == list(COMMITS.values())
    assert hub_cache.is_dir()
    pool.close()


def test_a_revision_that_is_not_cached_says_how_to_get_it(hub_cache, specs):
    with pytest.raises(UsageError, match=r"not in this machine's cache.*`hf download`"):
        Pool(specs, at("v3"), 0.9).get(FP16)
    assert hub_cache.is_dir()


class RefusalError(Exception):
    """What an HTTP library raises; only the status is read."""

    def __init__(self, status):
        super().__init__("refused")
        self.response = type("Response", (), {"status_code": status})()


def raised(kind):
    return kind.__new__(kind, "refused")


REFUSALS = {
    "gated": (raised(hub.GatedRepoError), "`hf auth login` or set HF_TOKEN"),
    "disabled": (raised(hub.DisabledRepoError), "accept the model's terms"),
    "absent": (raised(hub.RepositoryNotFoundError), "shows no such model to you"),
    "revision": (raised(hub.RevisionNotFoundError), "no such branch, tag or commit"),
    "offline": (raised(hub.OfflineModeIsEnabled), "`hf download` once"),
    "not cached": (raised(hub.LocalEntryNotFoundError), "or name a folder"),
    "401": (RefusalError(401), "`hf auth login`"),
    "403": (RefusalError(403), "`hf auth login`"),
}


@pytest.mark.parametrize(("cause", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_what_to_do(checkpoint, monkeypatch, cause, expected):
    def refuse(*_, **__):
        raise OSError("You are trying to access a gated repo.") from cause

    monkeypatch.setattr(loading._CONFIGS, "from_pretrained", refuse)

    with pytest.raises(UsageError, match="its configuration could not be loaded") as caught:
        open_config(checkpoint("llama"))
    assert expected in str(caught.value)


def test_other_errors_have_no_advice():
    assert advice(RefusalError(500)) == advice(OSError("disk full")) == ""


def test_a_model_that_no_cache_holds_has_no_revision():
    assert revision_of(ModelSource(model="acme/nowhere", device="cpu")) is None


def test_a_folder_is_recorded_by_a_digest_of_what_it_holds(checkpoint, tmp_path):
    source = checkpoint("llama")
    copy = replace(source, model=str(shutil.copytree(source.model, tmp_path / "copy")))
    first = revision_of(source)

    assert first.startswith("sha256:")
    assert revision_of(copy) == first
    weights = Path(copy.model) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert revision_of(copy) != first


def test_every_variant_of_a_folder_has_a_revision(checkpoint, specs, tmp_path):
    source = checkpoint("llama")
    folder = tiny_checkpoints.save_bitsandbytes(source.model, tmp_path / "own", load_in_8bit=True)
    own = Variant(name="own", precision=AS_STORED, backend="checkpoint", checkpoint=str(folder))
    pool = Pool(specs, source, 0.9)

    variants = (FP16, builtin_variant("int8"), builtin_variant("nf4"), own)
    found = [pool.weights(variant).revision for variant in variants]

    assert found[0] == found[1] == found[2] == revision_of(source)
    assert found[3] == revision_of(replace(source, model=str(folder))) != found[0]
    pool.close()
