"""The examples in docstrings give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import pytest_quantcheck.stats as rooms

MODULES = [module.name for module in pkgutil.iter_modules(rooms.__path__, f"{rooms.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_show_what_happens(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    found = [importlib.import_module(name) for name in MODULES]
    finder = doctest.DocTestFinder()
    assert sum(len(test.examples) for module in found for test in finder.find(module)) > 20
