"""Tests named by their place: `stats/test_x.py::test_y`, below the folder of all tests."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]


def exists(place):
    """Return whether a test is there; `*` stands for any."""
    path, wanted = place.split("::")
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    tests = {name for name in names if name.startswith("test_")}
    return bool(tests) if wanted == "*" else wanted in tests
