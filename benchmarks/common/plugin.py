"""Running pytest with the plugin, installed or only on the path."""

from __future__ import annotations

from importlib.metadata import entry_points


def plugin_options() -> list[str]:
    """Return the options that load the plugin; none where pytest finds it by itself."""
    is_installed = bool(entry_points(group="pytest11", name="quantcheck"))
    return [] if is_installed else ["-p", "pytest_quantcheck.plugin"]
