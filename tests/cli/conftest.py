"""A run on disk, and the command in this process."""

from __future__ import annotations

import pytest
from saved_runs import Saved

from pytest_quantcheck.cli.main import main


@pytest.fixture
def saved(tmp_path):
    """Return a run without examples, to add some and write it."""
    return Saved(tmp_path)


@pytest.fixture
def quantcheck(capsys):
    """Return what `quantcheck ARGS` prints; it must end well."""

    def call(*arguments):
        status = main([*map(str, arguments)])
        done = capsys.readouterr()
        assert (status, done.err) == (0, "")
        return done.out

    return call


@pytest.fixture
def refused(capsys):
    """Return the message of `quantcheck ARGS`, which must end with status 2."""

    def call(*arguments):
        try:
            status = main([*map(str, arguments)])
        except SystemExit as stop:
            status = stop.code
        done = capsys.readouterr()
        assert (status, done.out) == (2, "")
        return done.err

    return call
