"""Which model a test is about: its marker's, its fixture's, or the setting's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.core.model import ModelUnderTest
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.collect import by_level, location_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from pytest_quantcheck.plugin.settings import Settings

MARKER = "quant_model"
"""Name of the marker and of the fixture."""
MODEL = pytest.StashKey[ModelUnderTest]()
"""What a test's fixtures measured."""
_KEYWORDS = {"revision": (str,), "adapter": (str, type(None)), "merge": (bool,)}
_NO_MODEL = "no model; set quant_model to a hub id or a folder, or pass --quant-model"


def folders_of(config: pytest.Config, *, is_option: bool) -> tuple[Path, ...]:
    """Return where relative paths start: an option's where pytest was called too."""
    ini = config.inipath.parent if config.inipath else config.rootpath
    return (config.invocation_params.dir, ini) if is_option else (ini,)


def model_under_test(
    model: str,
    *,
    revision: str | None = None,
    adapter: str | None = None,
    merges_adapter: bool = False,
    folders: Mapping[str, tuple[Path, ...]],
) -> ModelUnderTest:
    """Return a model with its paths resolved.

    Raises
    ------
    UsageError
        A folder is not there, or a revision is asked of a folder.
    """
    resolved = _resolved(model, "quant_model", folders["model"])
    if revision is not None and Path(resolved).is_absolute():
        raise UsageError(
            f"revision {revision!r} of {model!r}: a revision pins a hub id, and this is a folder; "
            "drop the revision"
        )
    return ModelUnderTest(
        model=resolved,
        name=model,
        revision=revision,
        adapter=adapter and _resolved(adapter, "quant_adapter", folders["adapter"]),
        adapter_name=adapter or "",
        merges_adapter=merges_adapter and adapter is not None,
    )


def model_of(item: pytest.Item, settings: Settings, named: str | None = None) -> ModelUnderTest:
    """Return the model of one test.

    Parameters
    ----------
    item : Item
        Its closest marker wins.
    settings : Settings
        Whose model stands where nothing else is said.
    named : str, optional
        What the fixture `quant_model` returned.

    Raises
    ------
    UsageError
        A marker is wrong, or no model is named anywhere.
    """
    if (marked := _marked(item, settings)) is not None:
        return marked
    if named is not None and not isinstance(named, str):
        raise UsageError(
            f"the fixture quant_model of {item.nodeid} returned {named!r}; expected a hub id or a "
            "folder, as a string"
        )
    if settings.model is not None and named in {None, settings.model.name}:
        return settings.model
    if not named:
        raise UsageError(f"{location_of(item)} ({item.nodeid}): {_NO_MODEL}")
    folders = folders_of(item.config, is_option=False)
    return model_under_test(named, folders={"model": folders, "adapter": folders})


def planned_model(item: pytest.Item, settings: Settings) -> ModelUnderTest | None:
    """Return the model of a collected test; None where a fixture will say.

    Raises
    ------
    UsageError
        A marker is wrong, or no model is named anywhere.
    """
    if _marked(item, settings) is None and _override(item) is not None:
        return None
    return model_of(item, settings)


def group_of(item: pytest.Item, model: ModelUnderTest | None) -> Hashable:
    """Return what tests of one model have in common before their fixtures run."""
    if model is not None:
        return model
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return _override(item), repr(parameters.get(MARKER))


def _resolved(name: str, setting: str, folders: tuple[Path, ...]) -> str:
    """Return a folder's absolute path where there is one, else a hub id."""
    for folder in folders:
        if (folder / name).is_dir():
            return str((folder / name).resolve())
    if name.startswith((".", "/", "~")):
        looked = " and ".join(dict.fromkeys(map(str, folders)))
        raise UsageError(f"{setting}={name!r}: no such folder; looked from {looked}")
    return name


def _override(item: pytest.Item) -> Hashable:
    """Return the fixture that replaces ours; None where ours stands."""
    info = getattr(item, "_fixtureinfo", None)
    found = getattr(info, "name2fixturedefs", {}).get(MARKER)
    if not found:  # a parameter of the test
        return MARKER if MARKER in getattr(info, "names_closure", ()) else None
    closest = found[-1].func
    return None if closest.__module__ == "pytest_quantcheck.plugin" else closest


def _marked(item: pytest.Item, settings: Settings) -> ModelUnderTest | None:
    levels = by_level(item, MARKER)
    if not levels:
        return None
    where = f"{MARKER} at {location_of(item)} ({item.nodeid})"
    closest, mark = levels[0]
    if sum(level == closest for level, _ in levels) > 1:
        raise UsageError(f"{where}: two markers on one level; keep one")
    try:
        return _parsed(mark, settings, item.config)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _parsed(mark: pytest.Mark, settings: Settings, config: pytest.Config) -> ModelUnderTest:
    """Return the model of one marker; without a name it is the setting's."""
    model = _checked_name(mark)
    for name, value in mark.kwargs.items():
        if name not in _KEYWORDS:
            raise UsageError(f"unknown keyword {name!r}; {suggestion(name, _KEYWORDS)}")
        if not isinstance(value, _KEYWORDS[name]) or value == "":
            expected = "True or False" if name == "merge" else "a string"
            raise UsageError(f"{name}={value!r}: expected {expected}")
    given = dict(mark.kwargs)
    merges = bool(given.get("merge", settings.merges_adapter))
    folders = folders_of(config, is_option=False)
    if model is None and settings.model is None:
        raise UsageError(f"it names no model, and the setting is missing: {_NO_MODEL}")
    made = model_under_test(
        model or settings.model.name,  # type: ignore[union-attr]  # just checked
        revision=given.get("revision"),
        adapter=given.get("adapter"),
        merges_adapter=merges,
        folders={"model": folders, "adapter": folders},
    )
    if model is None and settings.model is not None:
        made = _like_setting(made, settings.model, given)
    if "merge" in given and made.adapter is None:
        raise UsageError("merge belongs to an adapter, and there is none; add adapter=…")
    return replace(made, merges_adapter=merges and made.adapter is not None)


def _like_setting(
    made: ModelUnderTest, base: ModelUnderTest, given: Mapping[str, object]
) -> ModelUnderTest:
    """Return the setting's model with what the marker changes of it."""
    kept = replace(base, revision=made.revision if "revision" in given else base.revision)
    if "adapter" in given:
        return replace(kept, adapter=made.adapter, adapter_name=made.adapter_name)
    return kept


def _checked_name(mark: pytest.Mark) -> str | None:
    if not mark.args and not mark.kwargs:
        raise UsageError("expected a model: quant_model('models/other')")
    if len(mark.args) > 1 or not all(isinstance(arg, str) and arg for arg in mark.args):
        raise UsageError(f"found {mark.args!r}, expected one hub id or folder")
    return mark.args[0] if mark.args else None
