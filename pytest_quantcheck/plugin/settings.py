"""Settings: command line over ini over default, and the project's own variants."""

from __future__ import annotations

import configparser
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_quantcheck.core.budget import Gate, Target
from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.core.parse import parse_gate, parse_target
from pytest_quantcheck.core.variant import BUILTIN_VARIANTS, Variant, builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin import FLAGS, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LARGEST_ALPHA = 0.5
NumberT = TypeVar("NumberT", int, float)
_FLAG_KEYS = tuple("quant_" + name.replace("-", "_") for name in FLAGS)
_VARIANT_KEYS = ("backend", "precision", "skip_modules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run was asked for, checked."""

    model: str | None
    """Hub id, or absolute path of a folder."""
    model_name: str
    """As the user wrote it."""
    variants: tuple[str, ...]
    reference: str
    """`auto`, or the name of a variant."""
    device: str
    alpha: float
    gate: Gate
    target: Target
    max_examples: int | None
    family_size: int | None
    """None: counted."""
    seed: int
    memory_fraction: float
    require_gpu: bool
    trust_remote_code: bool
    json_path: Path | None
    known_variants: Mapping[str, Variant] = field(repr=False)
    """Built-in and declared, by name."""


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of this run.

    Raises
    ------
    UsageError
        A value is wrong, or a key of `[tool.quantcheck]` unknown.
    """
    known = _known_variants(config.rootpath / "pyproject.toml")
    _refuse_unknown_ini(config)
    raw = _Raw(config)
    reference = raw.string("reference") or "auto"
    if reference != "auto":
        _check_variant(reference, "quant_reference", known)
    variants = tuple(dict.fromkeys(raw.names("variants")))
    for name in variants:
        _check_variant(name, "quant_variants", known)
    gate = parse_gate(raw.string("gate"), "quant_gate")
    return Settings(
        model=_model(raw.string("model"), config),
        model_name=raw.string("model") or "",
        variants=variants,
        reference=reference,
        device=raw.string("device") or "auto",
        alpha=raw.number("alpha", 0.05, "a number between 0 and 0.5", _is_alpha),
        gate=gate or Gate.REGRESSION,
        target=parse_target(raw.string("target"), "quant_target") or Target.POPULATION,
        max_examples=raw.optional("limit"),
        family_size=raw.optional("family_size"),
        seed=raw.number("seed", 0, "a whole number, at least 0", lambda number: number >= 0),
        memory_fraction=raw.number("vram_fraction", 0.85, "above 0, at most 1", _is_fraction),
        require_gpu=raw.flag("require_gpu"),
        trust_remote_code=raw.flag("trust_remote_code"),
        json_path=_json_path(config.getoption("quant_json"), config.invocation_params.dir),
        known_variants=known,
    )


class _Raw:
    """Values as written, from the command line or else the ini file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def value(self, name: str) -> object:
        option = self._config.getoption(f"quant_{name}")
        return self._ini(f"quant_{name}") if option is None else option

    def _ini(self, key: str) -> object:
        """Return an ini setting; TOML that keeps types may state numbers as such."""
        try:
            return self._config.getini(key)
        except (TypeError, ValueError, pytest.UsageError) as error:
            path = self._config.inipath
            value = _ini_table(path).get(key) if path is not None else None
            if type(value) in {int, float} and key not in _FLAG_KEYS:
                return value
            raise UsageError(f"{key}: {error}") from None

    def string(self, name: str) -> str | None:
        value = self.value(name)
        return str(value).strip() or None if value is not None else None

    def names(self, name: str) -> tuple[str, ...]:
        value = self.value(name)
        parts = value.split(",") if isinstance(value, str) else list(value or ())  # type: ignore[call-overload]  # a list of strings
        return tuple(part.strip() for part in parts if part.strip())

    def flag(self, name: str) -> bool:
        return bool(self.value(name))

    def number(
        self, name: str, default: NumberT, expected: str, holds: Callable[[NumberT], bool]
    ) -> NumberT:
        text = self.string(name)
        if text is None:
            return default
        try:
            number = type(default)(text)
        except ValueError:
            number = None
        if number is None or not holds(number):
            raise UsageError(f"quant_{name}={text!r}: expected {expected}")
        return number

    def optional(self, name: str) -> int | None:
        if self.string(name) in {None, "auto"}:
            return None
        return self.number(name, 1, "a whole number, at least 1", lambda number: number >= 1)


def _is_alpha(number: float) -> bool:
    return 0 < number < _LARGEST_ALPHA


def _is_fraction(number: float) -> bool:
    return 0 < number <= 1


def _model(model: str | None, config: pytest.Config) -> str | None:
    """Return a folder's absolute path where there is one, else a hub id."""
    if model is None:
        return None
    is_option = config.getoption("quant_model") is not None
    folders = [config.invocation_params.dir] if is_option else []
    folders.append(config.inipath.parent if config.inipath else config.rootpath)
    for folder in folders:
        if (folder / model).is_dir():
            return str((folder / model).resolve())
    if model.startswith((".", "/", "~")):
        looked = " and ".join(map(str, folders))
        raise UsageError(f"quant_model={model!r}: no such folder; looked from {looked}")
    return model


def _json_path(asked: str | None, folder: Path) -> Path | None:
    """Return where the run is written, refused before anything is measured for it."""
    if asked is None:
        return None
    path = folder / asked
    parent = next(above for above in path.parents if above.exists())
    if path.is_dir() or not parent.is_dir():
        raise UsageError(f"--quant-json={asked}: expected a file that can be written")
    return path


def _check_variant(name: str, setting: str, known: Mapping[str, Variant]) -> None:
    if name not in known:
        raise UsageError(f"{setting}: unknown variant {name!r}; {suggestion(name, known)}")


def _refuse_unknown_ini(config: pytest.Config) -> None:
    """Raise UsageError for a `quant_…` key of the ini file that no setting has."""
    if config.inipath is None:
        return
    known = ["quant_" + name.replace("-", "_") for name in (*OPTIONS, *FLAGS)]
    for name in _ini_table(config.inipath):
        if name.startswith("quant_") and name not in known:
            raise UsageError(
                f"{config.inipath}: unknown setting {name!r}; {suggestion(name, known)}"
            )


def _ini_table(path: Path) -> dict[str, object]:
    """Return pytest's table in its ini file, whatever its format."""
    if path.suffix == ".toml":
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        own = document.get("pytest", {})
        table = document.get("tool", {}).get("pytest", {})
        return {**own, **table, **table.get("ini_options", {})}
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(path, encoding="utf-8")
    sections = (name for name in ("pytest", "tool:pytest") if parser.has_section(name))
    return {key: value for name in sections for key, value in parser[name].items()}


def _known_variants(project: Path) -> dict[str, Variant]:
    known = {name: builtin_variant(name) for name in BUILTIN_VARIANTS}
    if not project.is_file():
        return known
    try:
        tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{project}: not TOML ({error})") from error
    table = dict(_table(tool.get("quantcheck", {}), f"{project}: [tool.quantcheck]"))
    place = f"{project}: [tool.quantcheck.variants]"
    variants = _table(table.pop("variants", {}), place)
    for key in table:
        raise UsageError(
            f"{project}: [tool.quantcheck] has an unknown key {key!r}; known: variants. Other "
            "settings are pytest's: quant_… in [tool.pytest.ini_options]"
        )
    for name, declared in variants.items():
        place = f"{project}: [tool.quantcheck.variants.{name}]"
        known[name] = _declared(name, _table(declared, place), place)
    return known


def _table(value: object, place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UsageError(f"{place}: found {value!r}, expected a table")
    return value


def _declared(name: str, options: dict[str, object], place: str) -> Variant:
    for key in options:
        if key not in _VARIANT_KEYS:
            raise UsageError(f"{place}: unknown key {key!r}; {suggestion(key, _VARIANT_KEYS)}")
    precision, backend = options.get("precision", name), options.get("backend")
    for key, value in (("precision", precision), ("backend", backend)):
        if value is not None and not isinstance(value, str):
            raise UsageError(f"{place}: {key}={value!r}: expected a string")
    skipped = options.get("skip_modules", [])
    if not isinstance(skipped, list) or not all(isinstance(part, str) for part in skipped):
        raise UsageError(f"{place}: skip_modules={skipped!r}: expected a list of module names")
    if backend is None and precision not in BUILTIN_VARIANTS:
        raise UsageError(
            f"{place}: precision={precision!r}: {suggestion(str(precision), BUILTIN_VARIANTS)}"
        )
    if backend is None:
        base = builtin_variant(str(precision))
        precision, backend = base.precision, base.backend
    return Variant(
        name=name,
        precision=str(precision),
        backend=str(backend),
        skip_modules=tuple(skipped),
    )
