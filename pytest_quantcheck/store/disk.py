"""Entries of a store in a folder: written whole or not at all, read by anyone, pruned by size."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import StoreError
from pytest_quantcheck.store import codec
from pytest_quantcheck.store.codec import Content
from pytest_quantcheck.store.lock import locked, locked_if_free

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_quantcheck.store.key import Key

MOST_BYTES = 4 * 2**30
_ENTRY, _LOCK, _PARTIAL = ".entry", ".lock", ".partial"
_DAMAGED = "the reference store held damaged entries; they were removed and measured again"


class Store:
    """Results in a folder, by key.

    Parameters
    ----------
    folder : Path
        Made when something is first written. Other files in it are left alone.
    most_bytes : int
        What all entries may take together; those read longest ago go first.

    Notes
    -----
    Reading takes no lock: an entry appears with its checksums, in one step. What cannot be read
    or written costs a measurement, never a run: `notices` says so.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._is_swept = False
        self._notices: dict[str, None] = {}

    @property
    def notices(self) -> tuple[str, ...]:
        """What went wrong, each kind once."""
        return tuple(self._notices)

    def read(self, key: Key) -> Content | None:
        """Return what is kept under a key; None if nothing is, or it was damaged."""
        path = self._path(key.name, _ENTRY)
        try:
            found = codec.read(path)
            content = _unwrapped(found, key)
        except FileNotFoundError:
            return None
        except StoreError:
            self._discard(path)
            return None
        except OSError as error:
            self._note_failure("read", error)
            return None
        with suppress(OSError):  # a store that only may be read
            os.utime(path)
        return content

    def environments(self, key: Key) -> list[dict[str, str]]:
        """Return where else the same was measured, latest first."""
        found = []
        for path in _latest_first(self.folder.glob(f"{key.stem}-*{_ENTRY}")):
            with suppress(StoreError, OSError):
                found.append(_environment(codec.read_data(path)))
        return found

    @contextmanager
    def slot(self, key: Key) -> Iterator[Slot]:
        """Hold a key's lock: whoever else wants to write it waits."""
        with ExitStack() as stack:
            try:
                self._sweep()
                stack.enter_context(locked(self._path(key.name, _LOCK)))
            except OSError as error:
                self._note_failure("written", error)
                yield Slot(self, key, is_writable=False)
            else:
                yield Slot(self, key, is_writable=True)

    def write(self, key: Key, content: Content) -> None:
        """Put an entry in its place, in one step; for the holder of its lock."""
        wrapped = Content(data={"key": key.plain(), "data": content.data}, arrays=content.arrays)
        partial = self._path(key.name, _PARTIAL)
        try:
            with _removed_on_errors(partial):
                with partial.open("wb") as file:
                    codec.write(file, wrapped)
                partial.replace(self._path(key.name, _ENTRY))
            self._prune(kept=self._path(key.name, _ENTRY))
        except OSError as error:
            self._note_failure("written", error)

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}{suffix}"

    def _discard(self, path: Path) -> None:
        self._notices[_DAMAGED] = None
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def _note_failure(self, verb: str, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        self._notices[
            f"the reference store {self.folder} cannot be {verb} ({reason}): the reference is "
            "measured in every run"
        ] = None

    def _sweep(self) -> None:
        """Remove what killed processes left: locks nobody holds, and files half written."""
        if self._is_swept:
            return
        self._is_swept = True
        for path in self.folder.glob(f"*{_LOCK}"):
            # Some may be another user's.
            with suppress(OSError), locked_if_free(path) as is_held:
                if is_held:
                    path.with_suffix(_PARTIAL).unlink(missing_ok=True)

    def _prune(self, *, kept: Path) -> None:
        """Remove the entries read longest ago until the rest fits."""
        sizes = {}
        for path in self.folder.glob(f"*{_ENTRY}"):
            with suppress(FileNotFoundError):  # pruned by another process
                sizes[path] = path.stat().st_size
        excess = sum(sizes.values()) - self._most_bytes
        for path in reversed(_latest_first(sizes)):
            if excess <= 0:
                return
            if path != kept:
                path.unlink(missing_ok=True)
                excess -= sizes[path]


class Slot:
    """The place of one entry, held by one process at a time.

    Parameters
    ----------
    store : Store
        Its store.
    key : Key
        Of the entry.
    is_writable : bool
        Whether the lock is held; if not, nothing is kept.
    """

    def __init__(self, store: Store, key: Key, *, is_writable: bool) -> None:
        self._store = store
        self._key = key
        self._is_writable = is_writable

    def write(self, content: Content) -> None:
        """Keep a result, in place of an earlier one."""
        if self._is_writable:
            self._store.write(self._key, content)


@contextmanager
def _removed_on_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def _unwrapped(found: Content, key: Key) -> Content:
    """Return the content of an entry.

    Raises
    ------
    StoreError
        It is one of another key.
    """
    data = found.data
    if not isinstance(data, dict) or data.get("key") != key.plain() or "data" not in data:
        raise StoreError("an entry of another key")
    return Content(data=data["data"], arrays=found.arrays)


def _environment(data: object) -> dict[str, str]:
    key = data.get("key") if isinstance(data, dict) else None
    found = key.get("environment") if isinstance(key, dict) else None
    return dict(found) if isinstance(found, dict) else {}


def _latest_first(paths: Iterator[Path] | dict[Path, int]) -> list[Path]:
    """Return paths by the time of their last use."""
    times = {}
    for path in paths:
        with suppress(OSError):
            times[path] = path.stat().st_mtime_ns
    return sorted(times, key=lambda path: (-times[path], path.name))
