"""What a project declares in `[tool.quantcheck]`: variants of its own, and use of adapters."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.core.options import OPTION_NAMES, SAID_OTHERWISE, parse_options
from pytest_quantcheck.core.variant import (
    AS_STORED,
    BUILTIN_VARIANTS,
    Variant,
    builtin_variant,
)
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_KEYS = ("backend", "checkpoint", "precision", "revision", "skip_modules")
_TABLES = ("adapter", "variants")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """The tables of `[tool.quantcheck]`, checked."""

    variants: Mapping[str, Variant]
    """Built-in and declared, by name."""
    merges_adapter: bool
    """Whether `quant_adapter` is merged before anything is quantized."""


def read_declared(project: Path) -> Declared:
    """Return what the file `project` declares; the built-in variants alone where there is none.

    Raises
    ------
    UsageError
        It is no TOML, or a key or value of `[tool.quantcheck]` is wrong.
    """
    tables = _tables(project)
    known = {name: builtin_variant(name) for name in BUILTIN_VARIANTS}
    place = f"{project}: [tool.quantcheck.variants"
    for name, found in _table(tables.get("variants", {}), f"{place}]").items():
        where = f"{place}.{name}]"
        known[name] = _variant(name, _table(found, where), where, project.parent)
    return Declared(
        variants=known,
        merges_adapter=_merge(tables.get("adapter", {}), f"{project}: [tool.quantcheck.adapter]"),
    )


def _tables(project: Path) -> dict[str, object]:
    if not project.is_file():
        return {}
    try:
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{project}: not TOML ({error})") from error
    tables = _table(tool.get("quantcheck", {}), f"{project}: [tool.quantcheck]")
    for key in tables:
        if key not in _TABLES:
            raise UsageError(
                f"{project}: [tool.quantcheck] has an unknown key {key!r}; known: "
                f"{', '.join(_TABLES)}. Other settings are pytest's: quant_… in "
                "[tool.pytest.ini_options]"
            )
    return tables


def _merge(found: object, place: str) -> bool:
    table = _table(found, place)
    for key in table:
        if key != "merge":
            raise UsageError(f"{place}: unknown key {key!r}; {suggestion(key, ['merge'])}")
    merge = table.get("merge", False)
    if not isinstance(merge, bool):
        raise UsageError(f"{place}: merge={merge!r}: expected true or false")
    return merge


def _table(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UsageError(f"{place}: found {value!r}, expected a table")
    return value


def _variant(name: str, table: dict[str, object], place: str, folder: Path) -> Variant:
    """Return one declared variant."""
    _refuse_unknown(table, place)
    for key in ("backend", "checkpoint", "precision", "revision"):
        if not isinstance(value := table.get(key, ""), str) or (key in table and not value):
            raise UsageError(f"{place}: {key}={value!r}: expected a string")
    skipped = table.get("skip_modules", [])
    if not isinstance(skipped, list) or not all(isinstance(part, str) for part in skipped):
        raise UsageError(f"{place}: skip_modules={skipped!r}: expected a list of module names")
    checkpoint = _checkpoint(table, place, folder)
    base = _recipe(name, table, place)
    options = {key: value for key, value in table.items() if key not in _KEYS}
    return replace(
        base,
        skip_modules=tuple(skipped),
        options=parse_options(options, base.precision, place),
        checkpoint=checkpoint,
        revision=str(table["revision"]) if "revision" in table else None,
    )


def _refuse_unknown(table: Mapping[str, object], place: str) -> None:
    for key in table:
        if key in SAID_OTHERWISE:
            raise UsageError(f"{place}: {key} is said by {SAID_OTHERWISE[key]}; write that instead")
        if key not in (known := (*_KEYS, *OPTION_NAMES)):
            raise UsageError(f"{place}: unknown key {key!r}; {suggestion(key, known)}")


def _recipe(name: str, table: Mapping[str, object], place: str) -> Variant:
    """Return precision and backend: stated, or those of a built-in variant."""
    backend = table.get("backend")
    if backend is None and "checkpoint" in table and "precision" not in table:
        return Variant(name=name, precision=AS_STORED, backend="checkpoint")
    precision = str(table.get("precision", name))
    if backend is not None:
        return Variant(name=name, precision=precision, backend=str(backend))
    if "precision" not in table and name not in BUILTIN_VARIANTS:
        raise UsageError(
            f"{place}: found neither precision nor checkpoint, and {name} is no built-in variant; "
            f"write one of them. Precisions: {', '.join(sorted(BUILTIN_VARIANTS))}"
        )
    if precision not in BUILTIN_VARIANTS:
        raise UsageError(
            f"{place}: unknown precision {precision!r}; {suggestion(precision, BUILTIN_VARIANTS)}. "
            "Weights quantized before need checkpoint alone, another library a backend"
        )
    return builtin_variant(name, precision=precision)


def _checkpoint(table: Mapping[str, object], place: str, folder: Path) -> str | None:
    """Return a folder's absolute path where there is one, else a hub id."""
    if "checkpoint" not in table:
        if "revision" in table:
            raise UsageError(f"{place}: revision pins a checkpoint; add checkpoint")
        return None
    found = str(table["checkpoint"])
    if (path := folder / found).is_dir():
        if "revision" in table:
            raise UsageError(f"{place}: revision pins a hub id, and {found!r} is a folder; drop it")
        return str(path.resolve())
    if found.startswith((".", "/", "~")):
        raise UsageError(f"{place}: checkpoint={found!r}: no such folder; looked from {folder}")
    return found
