"""One holder at a time, and none once the holder is dead."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading

import pytest

from pytest_quantcheck.store.lock import locked, locked_if_free

HOLD = """
import sys, time
from pathlib import Path
from pytest_quantcheck.store.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(path, seconds):
    """Return a process once it holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(seconds)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made" / "one.lock"


def test_the_file_of_a_lock_goes_with_it(path):
    with locked(path):
        assert path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_lock_held_by_another_process_is_not_free(path):
    process = holder(path, 60)
    with locked_if_free(path) as is_held:
        assert not is_held
    assert path.exists()
    process.kill()
    process.communicate()


def test_a_killed_holder_leaves_no_lock(path):
    process = holder(path, 60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert path.exists()
    with locked_if_free(path) as is_held:
        assert is_held
    assert not path.exists()


def test_who_waits_gets_the_lock_when_the_holder_ends(path):
    process = holder(path, 0.2)
    with locked(path):
        assert process.wait(5) == 0
    process.communicate()


def test_many_threads_are_never_inside_together(path):
    inside, most, rounds = [], [], 40

    def work():
        for _ in range(rounds):
            with locked(path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 4 * rounds
    assert max(most) == 1
    assert not path.exists()


def test_a_file_that_its_holder_removes_while_another_waits_is_no_lock(path, monkeypatch):
    path.parent.mkdir()
    path.touch()
    flock, left = fcntl.flock, [path]

    def removed_first(descriptor, operation):
        while left:
            left.pop().unlink()
        flock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", removed_first)
    with locked(path), locked_if_free(path) as is_held:
        assert not is_held


def test_a_lock_that_another_made_at_its_place_stays(path):
    with locked(path):
        path.unlink()
        path.touch()
    assert path.exists()


def test_an_error_inside_ends_the_lock(path):
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    with locked_if_free(path) as is_held:
        assert is_held


def test_a_folder_that_vanishes_while_it_is_locked_is_no_error(path):
    with locked(path):
        path.unlink()
        path.parent.rmdir()
    assert not path.parent.exists()


def test_a_file_system_without_locks_is_an_error(path, monkeypatch):
    tried = []

    def flock(descriptor, _):
        tried.append(descriptor)
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(OSError, match="No locks available"), locked(path):
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(*tried)  # closed


def test_a_forked_child_keeps_nobody_waiting(path, monkeypatch):
    flock, inherited = fcntl.flock, []

    def forked(descriptor, operation):
        flock(descriptor, operation)
        if not inherited:
            inherited.append(os.dup(descriptor))  # what a child has of it

    monkeypatch.setattr("fcntl.flock", forked)
    with locked(path):
        waiting = os.open(path, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
    flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
    for descriptor in (waiting, *inherited):
        os.close(descriptor)
