"""What has another identity may score otherwise; what has not may not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_model import REFERENCE

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.measure.device import DeviceInfo
from pytest_quantcheck.measure.identity import environment_of, identity_of, installed
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.store.files import FileDigests

SPEC = BackendSpec(name="fake", target="fake:Backend", version="1")
FILES = {
    "model.safetensors": "weights",
    "config.json": "{}",
    "tokenizer.json": "{}",
    "generation_config.json": "{}",
    "chat_template.jinja": "hello",
    "modeling_own.py": "1",
}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    (path / "additional_chat_templates").mkdir(parents=True)
    for name, text in FILES.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def identity(folder, variant=REFERENCE, spec=SPEC, **source):
    return identity_of(
        variant,
        ModelSource(**{"model": str(folder), "device": "cpu", **source}),
        spec,
        files=FileDigests(None),
    )


@pytest.mark.parametrize("name", [*FILES, "added.json", "additional_chat_templates/tool.jinja"])
def test_every_file_of_a_folder_counts(folder, name):
    before = identity(folder)
    (folder / name).write_text("changed", encoding="utf-8")
    assert identity(folder) != before


def test_where_a_folder_is_and_what_is_no_part_of_a_model_does_not_count(folder, tmp_path):
    before = identity(folder)
    (folder / "README.md").write_text("about", encoding="utf-8")
    (folder / "checkpoint-1").mkdir()
    moved = folder.rename(tmp_path / "elsewhere")
    assert identity(moved) == before


def test_how_a_variant_is_loaded_counts(folder, tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    found = [
        identity(folder),
        identity(folder, replace(REFERENCE, precision="bf16")),
        identity(folder, replace(REFERENCE, skip_modules=("up",))),
        identity(folder, replace(REFERENCE, options=(("llm_int8_threshold", 4.0),))),
        identity(folder, replace(REFERENCE, checkpoint=str(adapter))),
        identity(folder, spec=replace(SPEC, version="2")),
        identity(folder, device="cuda:0"),
        identity(folder, trust_remote_code=True),
        identity(folder, adapter=str(adapter)),
        identity(folder, adapter=str(adapter), merges_adapter=True),
    ]
    assert all(found)
    assert all(one != other for i, one in enumerate(found) for other in found[:i])
    assert identity(folder, device="cuda:1") == identity(folder, device="cuda:0")


def test_without_a_version_a_backend_has_no_identity(folder):
    assert identity(folder, spec=replace(SPEC, version=None)) is None


def test_a_hub_id_is_the_commit_it_resolves_to(folder, monkeypatch):
    asked = []

    def commit_of(repository, file, *, revision=None):
        asked.append((repository, file, revision))
        return None if repository == "acme/unknown" else f"{repository}@{revision}"

    monkeypatch.setattr("pytest_quantcheck.measure.backends.access.commit_of", commit_of)
    hub = identity("acme/desk", revision="v1", adapter="acme/tone")
    assert (hub["model"], hub["adapter"]) == ("acme/desk@v1", "acme/tone@None")
    assert ("acme/tone", "adapter_config.json", None) in asked
    assert identity("acme/unknown") is None
    assert identity(folder, adapter="acme/unknown") is None
    assert identity(folder, replace(REFERENCE, checkpoint="acme/unknown")) is None


def test_the_environment_is_the_device_and_the_versions():
    found = environment_of(DeviceInfo(device="cpu", name="a CPU"))
    assert found["device"] == "a CPU"
    assert {"python", "torch", "transformers", "numpy", "pytest-quantcheck"} <= set(found)
    assert "driver" in environment_of(DeviceInfo(device="cuda:0", name="a GPU"))


def test_packages_that_are_missing_have_no_version():
    assert [*installed(("numpy", "no-such-package"))] == ["numpy"]


def test_files_that_cannot_be_read_have_no_identity(folder):
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(folder / "config.json")  # a loop
    assert identity(folder)  # no file, and loading says so

    class Unreadable:
        def of(self, paths):
            raise PermissionError(*paths[:1])

    source = ModelSource(model=str(folder), device="cpu")
    assert identity_of(REFERENCE, source, SPEC, files=Unreadable()) is None
