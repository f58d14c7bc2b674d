"""Runs of pytest within tests, which leave the libraries they imported where they are."""

from __future__ import annotations

import sys

import pytest

STAYING = ("accelerate", "bitsandbytes", "torch", "transformers")
"""Libraries that break when a part of them is imported a second time."""


class Imported:
    """Remembers, at the end of a run, what it imported of those libraries."""

    def __init__(self):
        self.modules = {}

    def pytest_unconfigure(self):
        self.modules.update(
            (name, module)
            for name, module in sys.modules.items()
            if name.partition(".")[0] in STAYING
        )

    def put_back(self):
        """Put back what pytester took away."""
        for name, module in self.modules.items():
            sys.modules.setdefault(name, module)


@pytest.fixture
def imported():
    """What runs of this test imported, put back last of all."""
    found = Imported()
    yield found
    found.put_back()


@pytest.fixture
def pytester(imported, pytester, monkeypatch):
    """Return pytest's own: its runs in this process forget all else that they imported."""
    run = pytester.inline_run

    def inline_run(*args, plugins=(), **options):
        result = run(*args, plugins=[*plugins, imported], **options)
        imported.put_back()
        return result

    monkeypatch.setattr(pytester, "inline_run", inline_run)
    return pytester
