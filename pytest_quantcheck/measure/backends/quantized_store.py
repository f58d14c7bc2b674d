"""Quantized weights kept between runs: quantizing takes several times as long as loading them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pytest_quantcheck.core.fingerprint import digest
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.store.files import FileDigests
from pytest_quantcheck.store.lock import locked, locked_if_free

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_quantcheck.core.fingerprint import Plain

_FoundT = TypeVar("_FoundT")
_SCHEMA = 1
_MANIFEST, _LOCK, _PARTIAL = "quantcheck.json", ".lock", ".partial"
_THREADS = 4
_MIB, _GIB = 2**20, 2**30
FOLDER, FROM_MIB, MOST_GIB = "QUANTCHECK_CACHE", "QUANTCHECK_CACHE_FROM_MIB", "QUANTCHECK_CACHE_GIB"
"""Environment variables: where, from which size of a checkpoint on, and how much in all."""


class QuantizedStore:
    """Quantized checkpoints in a folder of the user's.

    Parameters
    ----------
    folder : Path
        Made when something is first kept. Other files in it are left alone.
    from_bytes : int
        Smaller checkpoints are quantized anew, which takes no time.
    most_bytes : int
        What all entries may take together; those used longest ago go first.

    Notes
    -----
    An entry is a folder that appears in one step, with sha256 sums of its files that are checked
    before each use. Its lock is held while it is made, read or removed: whoever wants the same
    waits, and then reads. What cannot be read or written costs time, never a run.
    """

    def __init__(self, folder: Path, *, from_bytes: int, most_bytes: int) -> None:
        self.folder = folder
        self._from_bytes = from_bytes
        self._most_bytes = most_bytes
        self._notices: dict[str, None] = {}

    @property
    def notices(self) -> tuple[str, ...]:
        """What went wrong, each kind once."""
        return tuple(self._notices)

    def weights_digest(self, checkpoint: Path) -> str | None:
        """Return the digest of a folder's weights; None where they are too small to be kept."""
        weights = sorted(checkpoint.glob("*.safetensors"))
        if sum(path.stat().st_size for path in weights) < self._from_bytes:
            return None
        paths = [checkpoint / "config.json", *weights]
        found = FileDigests(self.folder).of(paths)
        return digest([[path.name, one] for path, one in zip(paths, found, strict=True)])

    def get(
        self,
        identity: Plain,
        *,
        read: Callable[[Path], _FoundT],
        make: Callable[[], _FoundT],
        save: Callable[[_FoundT, Path], None],
    ) -> _FoundT:
        """Return what is kept, or make it and keep it.

        Parameters
        ----------
        identity : plain data
            Everything that decides the entry's content.
        read, make : callable
            Return it from the entry's folder, or anew; reading raises OSError or ValueError where
            the files are no checkpoint.
        save : callable
            Writes it into a folder.
        """
        name = _name(identity)
        entry = self.folder / name
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.folder / f"{name}{_LOCK}"))
            except OSError as error:
                self._note(error)
                return make()
            found = self._read(entry, read)
            if found is None:
                found = make()
                self._keep(entry, found, save)
            return found

    def entry(self, identity: Plain) -> Path | None:
        """Return the folder of what is kept; None where it is not."""
        folder = self.folder / _name(identity)
        return folder if folder.is_dir() else None

    def _read(self, entry: Path, read: Callable[[Path], _FoundT]) -> _FoundT | None:
        if not entry.is_dir():
            return None
        try:
            _check(entry)
            found = read(entry)
            (entry / _MANIFEST).touch()
        except (OSError, ValueError, KeyError):
            self._notices[
                f"the quantized weights kept in {self.folder} held a damaged entry; it was removed "
                "and quantized again"
            ] = None
            shutil.rmtree(entry, ignore_errors=True)
            return None
        return found

    def _keep(self, entry: Path, found: _FoundT, save: Callable[[_FoundT, Path], None]) -> None:
        partial = entry.with_name(f"{entry.name}{_PARTIAL}")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            save(found, partial)
            manifest = {"schema": _SCHEMA, "files": _sums(partial)}
            (partial / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            partial.rename(entry)
            self._prune(entry)
        except (OSError, ValueError, RuntimeError, NotImplementedError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            self._note(error)

    def _prune(self, newest: Path) -> None:
        """Remove what killed processes left, and the entries used longest ago until all fits."""
        for partial in self.folder.glob(f"*{_PARTIAL}"):
            self._remove(partial.with_suffix(""), partial)
        used = {}
        for manifest in self.folder.glob(f"*/{_MANIFEST}"):
            with suppress(OSError):
                used[manifest.parent] = manifest.stat().st_mtime_ns
        excess = sum(map(_size, used)) - self._most_bytes
        for entry in sorted(used, key=lambda one: (used[one], one.name)):
            if excess <= 0:
                return
            if entry != newest:
                excess -= _size(entry)
                self._remove(entry, entry)

    def _remove(self, entry: Path, found: Path) -> None:
        """Remove a folder unless its entry is in use."""
        with locked_if_free(self.folder / f"{entry.name}{_LOCK}") as is_held:
            if is_held:
                shutil.rmtree(found, ignore_errors=True)

    def _note(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self._notices[
            f"quantized weights cannot be kept in {self.folder} ({reason}): they are quantized in "
            "every run"
        ] = None


def quantized_store(environment: Mapping[str, str] = os.environ) -> QuantizedStore:
    """Return the store that the user's environment asks for.

    Raises
    ------
    UsageError
        A variable is no number.
    """
    caches = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(environment.get(FOLDER) or caches / "quantcheck").expanduser()
    return QuantizedStore(
        folder,
        from_bytes=_number(environment, FROM_MIB, 512) * _MIB,
        most_bytes=_number(environment, MOST_GIB, 64) * _GIB,
    )


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    if text and not text.isdecimal():
        raise UsageError(f"{name}={text}: expected a whole number, such as {default}")
    return int(text or default)


def _name(identity: Plain) -> str:
    return digest({"schema": _SCHEMA, "identity": identity})


def _check(entry: Path) -> None:
    """Check that the files are those that were written.

    Raises
    ------
    OSError, KeyError
        One is missing.
    ValueError
        One has changed.
    """
    expected = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))["files"]
    if _sums(entry) != expected:
        raise ValueError("its files have changed")


def _sums(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.iterdir() if path.name != _MANIFEST)
    with ThreadPoolExecutor(_THREADS) as pool:
        return dict(zip((path.name for path in paths), pool.map(_sum, paths), strict=True))


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
