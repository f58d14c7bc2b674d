"""Entries are whole, found by their keys alone, and leave when there is no room."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from pytest_quantcheck.store.codec import Content
from pytest_quantcheck.store.disk import Store
from pytest_quantcheck.store.key import Key

KEY = Key(identity={"model": "desk", "part": 0}, environment={"torch": "2.12"})
OTHER = Key(identity={"model": "desk", "part": 1}, environment={"torch": "2.12"})
ELSEWHERE = Key(identity=KEY.identity, environment={"torch": "2.13"})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def content(size=4, data="scores"):
    return Content(data=data, arrays={"values": np.zeros(size)})


def keep(store, key, **what):
    with store.slot(key) as slot:
        slot.write(content(**what))


def entries(store):
    return sorted(path.name for path in store.folder.iterdir())


def test_what_is_written_is_read_by_any_store_of_the_folder(store):
    assert store.read(KEY) is None
    keep(store, KEY)
    found = Store(store.folder).read(KEY)
    assert (found.data, found.arrays["values"].tolist()) == ("scores", [0.0] * 4)
    assert entries(store) == [f"{KEY.name}.entry"]
    assert store.notices == ()


def test_reading_makes_no_folder(store):
    assert store.read(KEY) is None
    assert not store.folder.exists()


def test_a_key_is_its_identity_and_its_environment(store):
    keep(store, KEY)
    assert store.read(OTHER) is None
    assert store.read(ELSEWHERE) is None
    assert store.environments(ELSEWHERE) == [{"torch": "2.12"}]
    assert store.environments(OTHER) == []


def test_environments_come_latest_first_without_damaged_ones(store):
    found = [{"torch": version} for version in ("2.10", "2.11", "2.12", "2.13")]
    for age, environment in zip((3, 1, 4, 2), found, strict=True):
        key = Key(identity=KEY.identity, environment=environment)
        keep(store, key)
        os.utime(store.folder / f"{key.name}.entry", (age, age))
    (store.folder / f"{KEY.stem}-cut.entry").write_bytes(b"quantcheck")
    assert store.environments(KEY) == [found[2], found[0], found[3], found[1]]


def test_the_order_of_a_key_does_not_count():
    turned = Key(identity={"part": 0, "model": "desk"}, environment=KEY.environment)
    assert turned.name == KEY.name


def test_a_later_result_replaces_an_earlier_one(store):
    keep(store, KEY)
    keep(store, KEY, data="again")
    assert store.read(KEY).data == "again"


@pytest.mark.parametrize("harm", ["changed", "cut", "emptied", "foreign", "renamed"])
def test_a_damaged_or_foreign_entry_is_removed_and_said_once(store, harm):
    keep(store, OTHER)
    keep(store, KEY)
    path = store.folder / f"{KEY.name}.entry"
    whole = path.read_bytes()
    bad = {
        "changed": whole[:-40] + bytes([whole[-40] ^ 1]) + whole[-39:],
        "cut": whole[:-70],
        "emptied": b"",
        "foreign": b"PK\x03\x04 something else",
        "renamed": (store.folder / f"{OTHER.name}.entry").read_bytes(),
    }
    path.write_bytes(bad[harm])
    assert store.read(KEY) is None
    assert store.read(KEY) is None
    assert not path.exists()
    assert len(store.notices) == 1
    assert "held damaged entries; they were removed and measured again" in store.notices[0]
    assert store.read(OTHER) is not None


def test_the_entries_read_longest_ago_make_room(tmp_path):
    store = Store(tmp_path, most_bytes=30_000)
    keys = [Key(identity={"n": n}, environment={}) for n in range(4)]
    for age, key in enumerate(keys[:3]):
        keep(store, key, size=1000)
        os.utime(tmp_path / f"{key.name}.entry", (age, age))
    store.read(keys[0])
    keep(store, keys[3], size=1000)
    assert [store.read(key) is not None for key in keys] == [True, False, True, True]


def test_entries_that_just_fit_all_stay(store):
    keep(store, KEY)
    keep(store, OTHER)
    total = sum(path.stat().st_size for path in store.folder.iterdir())
    keep(Store(store.folder, most_bytes=total), OTHER)
    assert store.read(KEY) is not None
    keep(Store(store.folder, most_bytes=total - 1), OTHER)
    assert store.read(KEY) is None


def test_an_entry_larger_than_the_store_is_kept_alone(tmp_path):
    store = Store(tmp_path, most_bytes=1000)
    keep(store, OTHER)
    keep(store, KEY, size=1000)
    assert store.read(KEY) is not None
    assert store.read(OTHER) is None


def test_what_killed_processes_left_is_removed_and_nothing_else(store):
    store.folder.mkdir()
    for name in (f"{KEY.name}.lock", f"{KEY.name}.partial", "notes.txt"):
        (store.folder / name).write_text("half", encoding="utf-8")
    keep(store, OTHER)
    assert entries(store) == sorted([f"{OTHER.name}.entry", "notes.txt"])


def test_what_a_living_process_writes_is_left_alone(store):
    with store.slot(KEY):
        partial = store.folder / f"{KEY.name}.partial"
        partial.write_text("half", encoding="utf-8")
        keep(Store(store.folder), OTHER)
        assert partial.exists()


def test_a_folder_that_cannot_be_written_costs_a_line_and_no_run(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    store = Store(tmp_path / "file" / "store")
    for _ in range(2):
        keep(store, KEY)
    assert store.read(KEY) is None
    written, read = store.notices
    assert "cannot be written (Not a directory): the reference is measured in every run" in written
    assert "cannot be read (Not a directory): the reference is measured in every run" in read


def test_nothing_is_written_without_a_lock(store, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    keep(store, KEY)
    assert store.read(KEY) is None
    (notice,) = store.notices
    assert "cannot be written (No locks available)" in notice


def test_a_full_disk_leaves_nothing_half_written(store, monkeypatch):
    def no_space(file, _):
        file.write(b"quantcheck")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pytest_quantcheck.store.codec.write", no_space)
    keep(store, KEY)
    assert entries(store) == []
    assert "(No space left on device)" in store.notices[0]


def test_an_interrupted_write_leaves_nothing(store, monkeypatch):
    def interrupted(file, _):
        file.write(b"quantcheck")
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_quantcheck.store.codec.write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        keep(store, KEY)
    assert entries(store) == []


def test_an_entry_that_cannot_be_read_is_measured_and_said(store, monkeypatch):
    keep(store, KEY)

    def broken(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("pytest_quantcheck.store.codec.read", broken)
    assert store.read(KEY) is None
    assert "cannot be read (Input/output error)" in store.notices[0]


def test_what_another_user_left_does_not_keep_anyone_from_writing(store):
    store.folder.mkdir()
    (store.folder / f"{KEY.name}.lock").mkdir()  # cannot be opened, whoever tries
    keep(store, OTHER)
    assert store.read(OTHER) is not None
    assert store.notices == ()
