"""Plain data and arrays in one file, checked when it is read; nothing in it is ever run."""

from __future__ import annotations

import hashlib
import json
import mmap
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from pytest_quantcheck.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from pytest_quantcheck.core.fingerprint import Plain

    Array: TypeAlias = NDArray[Any]

_MAGIC = b"quantcheck entry\n"
_HEAD = struct.Struct(f"<{len(_MAGIC)}sQ32s")
"""Magic, length of the manifest in bytes, its sha256."""
_ALIGNMENT = 64
_NUMBERS = "biuf"
"""Kinds of dtypes that are numbers: truths, integers with and without sign, floating point."""
_SMALL_BYTES = 2**24
"""Files up to this are read at once; larger ones are mapped, and read as they are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one file holds."""

    data: Plain
    arrays: Mapping[str, Array] = field(default_factory=dict)
    """Of numbers, by name; read-only where they were read from a file."""


def write(file: IO[bytes], content: Content) -> None:
    """Write plain data and arrays.

    Parameters
    ----------
    file : binary file
        Written from where it stands, which should be its beginning.
    content : Content
        Numbers that NumPy has no dtype for, such as bfloat16, are stored as integers.

    Raises
    ------
    TypeError
        The data is not plain, or an array holds something other than numbers.
    """
    blocks = {name: _little_endian(name, array) for name, array in content.arrays.items()}
    described = {}
    offset = 0
    for name, block in blocks.items():
        described[name] = {
            "dtype": block.dtype.str,
            "shape": list(block.shape),
            "offset": offset,
            "sha256": hashlib.sha256(_bytes_of(block)).hexdigest(),
        }
        offset += _aligned(block.nbytes)
    manifest = json.dumps(
        {"data": content.data, "arrays": described}, separators=(",", ":"), ensure_ascii=False
    ).encode()
    file.write(_HEAD.pack(_MAGIC, len(manifest), hashlib.sha256(manifest).digest()))
    file.write(manifest)
    file.write(bytes(_blocks_start(len(manifest)) - _HEAD.size - len(manifest)))
    for block in blocks.values():
        file.write(_bytes_of(block))
        file.write(bytes(_aligned(block.nbytes) - block.nbytes))


def read(path: Path) -> Content:
    """Return what `write` wrote to a file.

    Raises
    ------
    StoreError
        The file is none of ours, or damaged.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        is_small = path.stat().st_size <= _SMALL_BYTES
        buffer = file.read() if is_small else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with _named_errors(path):
        return _content(buffer)


def read_data(path: Path) -> Plain:
    """Return the plain data of a file without reading its arrays.

    Raises
    ------
    StoreError, OSError
        As for `read`.
    """
    with path.open("rb") as file, _named_errors(path):
        head = file.read(_HEAD.size)
        length = min(_length_of(head), path.stat().st_size)  # a damaged one may be any number
        data: Plain = _manifest(head + file.read(length))["data"]
        return data


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise StoreError(
            f"{path}: {error}; expected a file of the reference store, as it was written"
        ) from None


def _content(buffer: bytes | mmap.mmap) -> Content:
    manifest = _manifest(buffer)
    start = _blocks_start(_length_of(buffer))
    arrays = {name: _array(buffer, start, name, one) for name, one in manifest["arrays"].items()}
    return Content(data=manifest["data"], arrays=arrays)


def _length_of(buffer: bytes | mmap.mmap) -> int:
    magic, length, _ = _HEAD.unpack_from(buffer)
    if magic != _MAGIC:
        raise ValueError(f"begins with {magic!r}")
    return int(length)


def _manifest(buffer: bytes | mmap.mmap) -> dict[str, Any]:
    _, _, expected = _HEAD.unpack_from(buffer)
    text = buffer[_HEAD.size : _HEAD.size + _length_of(buffer)]
    if hashlib.sha256(text).digest() != expected:
        raise ValueError("its description is damaged")
    return dict(json.loads(text))


def _array(buffer: bytes | mmap.mmap, start: int, name: str, described: Mapping[str, Any]) -> Array:
    dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    array = np.empty(0, dtype)
    if count:  # an empty one at the end lies beyond the buffer
        array = np.frombuffer(buffer, dtype, count, start + described["offset"])
    if hashlib.sha256(_bytes_of(array)).hexdigest() != described["sha256"]:
        raise ValueError(f"its array {name} is damaged")
    array = array.reshape(shape)
    array.flags.writeable = False
    return array


def _little_endian(name: str, array: Array) -> Array:
    if array.dtype.kind not in _NUMBERS:
        raise TypeError(f"array {name} of {array.dtype} holds no numbers")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _bytes_of(array: Array) -> memoryview[int]:
    return array.reshape(-1).view(np.uint8).data


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _blocks_start(manifest_bytes: int) -> int:
    return _aligned(_HEAD.size + manifest_bytes)
