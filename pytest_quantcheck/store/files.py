"""Digests of files, remembered until a file changes."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import StoreError
from pytest_quantcheck.store import codec
from pytest_quantcheck.store.lock import locked_if_free

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_quantcheck.core.fingerprint import Plain

_NAME = "digests"
_THREADS = 4
_SETTLED_NS = 2 * 10**9
"""A file changed less than so long ago may change again within one tick of its clock."""


class FileDigests:
    """Sha256 of files, by path, size and times.

    Parameters
    ----------
    folder : Path, optional
        Where digests are remembered between runs; None remembers nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / _NAME
        self._known = _read(self._file)

    def of(self, paths: Iterable[Path]) -> list[str]:
        """Return the digest of each file, read where it is new or has changed.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        paths = list(paths)
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(self._digest, paths))
        fresh = {path: entry for path, entry in found if self._known.get(path) != entry}
        if fresh:
            self._known |= {path: one for path, one in fresh.items() if _is_settled(one)}
            self._write()
        return [str(entry[-1]) for _, entry in found]

    def _digest(self, path: Path) -> tuple[str, list[int | str]]:
        name = str(path.resolve())
        stamp = _stamp(path)
        known = self._known.get(name)
        if known is not None and known[:-1] == stamp:
            return name, known
        with path.open("rb") as file:
            return name, [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]

    def _write(self) -> None:
        """Remember all digests, unless another process is about to."""
        if self._file is None:
            return
        partial = self._file.with_suffix(".partial")
        lock = self._file.with_suffix(".lock")
        with suppress(OSError), locked_if_free(lock) as is_held:  # if not, files are read again
            if is_held:
                with partial.open("wb") as file:
                    known: dict[str, Plain] = {name: [*one] for name, one in self._known.items()}
                    codec.write(file, codec.Content(data=known))
                partial.replace(self._file)


def _stamp(path: Path) -> list[int | str]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _is_settled(entry: list[int | str]) -> bool:
    _, changed, moved, *_ = entry
    return max(int(changed), int(moved)) < time.time_ns() - _SETTLED_NS


def _read(file: Path | None) -> dict[str, list[int | str]]:
    if file is None:
        return {}
    try:
        data = codec.read(file).data
    except (OSError, StoreError):
        return {}
    return data if isinstance(data, dict) else {}  # type: ignore[return-value]  # as written above
