"""What is read equals what was written, or is refused."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pytest

from pytest_quantcheck.errors import StoreError
from pytest_quantcheck.store import codec
from pytest_quantcheck.store.codec import Content

ARRAYS = {
    "values": np.array([0.1, -np.inf, np.nan, 5e-324]),
    "codes": np.arange(6, dtype=np.int64).reshape(2, 3),
    "half": np.linspace(-1, 1, 7).astype(np.float16),
    "big-endian": np.array([1, 2**40], dtype=">i8"),
    "strided": np.arange(20, dtype=np.int32)[::3],
    "flags": np.array([True, False]),
    "none": np.empty((0, 4), np.float32),
    "one": np.array(7, np.uint16),
}
DATA = {"texts": ["é\u2028\n", ""], "margin": 0.1 + 0.2, "nothing": None, "n": 3, "is": True}


def written(path, **content):
    with path.open("wb") as file:
        codec.write(file, Content(**content))
    return path


def test_data_and_arrays_come_back_bit_for_bit(tmp_path):
    found = codec.read(written(tmp_path / "one", data=DATA, arrays=ARRAYS))
    assert found.data == DATA
    assert list(found.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        back = found.arrays[name]
        assert back.shape == array.shape
        assert back.dtype == array.dtype.newbyteorder("=")
        assert back.tobytes() == array.astype(back.dtype).tobytes()
        assert not back.flags.writeable


def test_large_files_are_mapped_and_not_copied(tmp_path, monkeypatch):
    states = np.arange(2**16, dtype=np.uint16).reshape(-1, 64)
    path = written(tmp_path / "one", data=None, arrays={"states": states, "head": states.T})
    small = codec.read(path)
    monkeypatch.setattr(codec, "_SMALL_BYTES", 0)
    mapped = codec.read(path)
    path.unlink()  # as pruning does: what was read stays
    for found in (small, mapped):
        assert (found.arrays["states"] == states).all()
        assert (found.arrays["head"] == states.T).all()
    base = mapped.arrays["states"]
    while isinstance(base, np.ndarray):
        base = base.base
    assert type(getattr(base, "obj", base)).__name__ == "mmap"


def test_data_is_read_without_arrays(tmp_path):
    path = written(tmp_path / "one", data=DATA, arrays=ARRAYS)
    path.write_bytes(path.read_bytes()[:-200])
    assert codec.read_data(path) == DATA


def test_arrays_begin_where_a_page_of_memory_can_be_used(tmp_path):
    found = codec.read(written(tmp_path / "one", data=DATA, arrays=ARRAYS))
    assert all(array.flags.aligned for array in found.arrays.values())


@pytest.mark.parametrize(
    ("place", "readers"),
    [
        pytest.param(0, [codec.read, codec.read_data], id="magic"),
        pytest.param(17, [codec.read, codec.read_data], id="length"),
        pytest.param(24, [codec.read, codec.read_data], id="length beyond all memory"),
        pytest.param(80, [codec.read, codec.read_data], id="description"),
        pytest.param(-100, [codec.read], id="array"),
        pytest.param(-40, [codec.read], id="end"),
    ],
)
def test_one_changed_byte_is_found(tmp_path, place, readers):
    path = written(tmp_path / "one", data=DATA, arrays={"values": np.arange(100.0)})
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    for read in readers:
        with pytest.raises(StoreError, match="expected a file of the reference store"):
            read(path)


@pytest.mark.parametrize("described", [{}, {"data": 1}, {"arrays": {}}, 7], ids=repr)
def test_a_description_without_its_parts_is_refused(tmp_path, described):
    text = json.dumps(described).encode()
    path = tmp_path / "one"
    path.write_bytes(
        codec._HEAD.pack(codec._MAGIC, len(text), hashlib.sha256(text).digest()) + text
    )
    with pytest.raises(StoreError, match="expected a file of the reference store"):
        codec.read(path)


def test_a_file_cut_anywhere_is_refused(tmp_path):
    whole = written(tmp_path / "one", data=[1], arrays={"values": np.arange(8.0)}).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(StoreError):
            codec.read(tmp_path / "cut")


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "other"
    path.write_text(json.dumps(DATA), encoding="utf-8")
    for read in (codec.read, codec.read_data):
        with pytest.raises(StoreError, match="begins with"):
            read(path)


def test_objects_are_never_written():
    with pytest.raises(TypeError, match="array things of object holds no numbers"):
        codec.write(io.BytesIO(), Content(data=None, arrays={"things": np.array([object()])}))
    with pytest.raises(TypeError):
        codec.write(io.BytesIO(), Content(data={"path": object()}))
