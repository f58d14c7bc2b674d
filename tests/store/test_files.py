"""Files are read when they are new or have changed, and never taken for others."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pytest_quantcheck.store.files import FileDigests
from pytest_quantcheck.store.lock import locked

LONG_AGO = 10**18


@pytest.fixture
def opened(monkeypatch):
    """Names of files that were opened."""
    names = []
    plain = Path.open

    def remember(self, *args, **options):
        names.append(self.name)
        return plain(self, *args, **options)

    monkeypatch.setattr(Path, "open", remember)
    return names


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Take every file as one that has not changed for long."""
    monkeypatch.setattr("pytest_quantcheck.store.files._SETTLED_NS", -(10**12))


def test_digests_are_of_the_content(tmp_path):
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert FileDigests(None).of(paths) == expected


def test_an_unchanged_file_is_read_once_over_runs(tmp_path, opened):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    first = FileDigests(tmp_path / "store").of([path])
    assert FileDigests(tmp_path / "store").of([path]) == first
    assert opened.count("model.safetensors") == 2  # written by the test, read once


def test_other_files_are_remembered_beside_a_new_one(tmp_path, opened):
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        path.write_bytes(b"weights")
        FileDigests(tmp_path / "store").of([path])
    FileDigests(tmp_path / "store").of(paths)
    assert (opened.count("a"), opened.count("b")) == (2, 2)  # written by the test, read once


def test_who_writes_digests_is_not_disturbed(tmp_path):
    path, store = tmp_path / "model.safetensors", tmp_path / "store"
    path.write_bytes(b"weights")
    with locked(store / "digests.lock"):
        FileDigests(store).of([path])
        assert not (store / "digests").exists()
    FileDigests(store).of([path])
    assert (store / "digests").exists()


def test_a_changed_file_is_read_again_even_with_its_old_size_and_time(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    (first,) = FileDigests(tmp_path / "store").of([path])
    path.write_bytes(b"changed")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    (second,) = FileDigests(tmp_path / "store").of([path])
    assert first != second


@pytest.mark.parametrize("is_dated_back", [False, True])
def test_a_file_that_just_changed_is_not_trusted_to_stay(
    tmp_path, opened, monkeypatch, is_dated_back
):
    monkeypatch.setattr("pytest_quantcheck.store.files._SETTLED_NS", 2 * 10**9)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    if is_dated_back:
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    for _ in range(2):
        FileDigests(tmp_path / "store").of([path])
    assert opened.count("model.safetensors") == 3


def test_a_damaged_memory_is_forgotten(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    first = FileDigests(tmp_path / "store").of([path])
    (tmp_path / "store" / "digests").write_bytes(b"nonsense")
    assert FileDigests(tmp_path / "store").of([path]) == first
