"""Starting another pytest that knows the plugin, installed or only on the path."""

from __future__ import annotations

from importlib.metadata import entry_points


def plugin_options() -> list[str]:
    """Return the options that load the plugin where pytest does not find it by itself.

    pytest-benchmark stays out: it warns where xdist is about, and warnings are errors here.
    """
    is_installed = bool(entry_points(group="pytest11", name="quantcheck"))
    quiet = ["-p", "no:benchmark"]
    return quiet if is_installed else [*quiet, "-p", "pytest_quantcheck.plugin"]
