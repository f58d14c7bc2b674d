"""A lock between processes, which ends when its holder does, however that ends."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock at `path`; wait as long as another process or thread holds it.

    Parameters
    ----------
    path : Path
        A file of the lock's own, made with its folder where it is missing and removed when the
        lock ends. A killed holder leaves the file, not the lock.

    Raises
    ------
    OSError
        The folder cannot be written, or its file system knows no locks.

    Notes
    -----
    The kernel drops a lock of `flock` with the process that holds it: no timeout has to guess
    whether a holder is dead or slow.
    """
    descriptor = _acquired(path, waits=True)
    assert descriptor is not None  # noqa: S101 - it waits
    try:
        yield
    finally:
        _release(path, descriptor)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` if nobody else does, and say whether it is held.

    Raises
    ------
    OSError
        As for `locked`.
    """
    descriptor = _acquired(path, waits=False)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _release(path, descriptor)


def _acquired(path: Path, *, waits: bool) -> int | None:
    operation = fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, operation)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed the file while we waited: lock the new one


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _release(path: Path, descriptor: int) -> None:
    try:
        if _is_at(path, descriptor):
            path.unlink(missing_ok=True)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a forked child may still have it open
    finally:
        os.close(descriptor)
