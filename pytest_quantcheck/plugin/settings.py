"""Settings: command line over ini over default, and the project's own variants."""

from __future__ import annotations

import configparser
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_quantcheck.core.batches import Sequential
from pytest_quantcheck.core.budget import Gate, Target
from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.core.parse import parse_gate, parse_redact, parse_sequential, parse_target
from pytest_quantcheck.core.redaction import Redact
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin import FLAGS, OPTIONS
from pytest_quantcheck.plugin.declared import read_declared
from pytest_quantcheck.plugin.github import GitHub, read_github
from pytest_quantcheck.plugin.models import folders_of, model_under_test
from pytest_quantcheck.report.html import check_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.model import ModelUnderTest
    from pytest_quantcheck.core.variant import Variant

_LARGEST_ALPHA = 0.5
NumberT = TypeVar("NumberT", int, float)
_FLAG_KEYS = tuple("quant_" + name.replace("-", "_") for name in FLAGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run was asked for, checked."""

    model: ModelUnderTest | None
    """Of tests whose markers and fixtures name none."""
    merges_adapter: bool
    """Whether adapters are merged where a marker does not say."""
    variants: tuple[str, ...]
    reference: str
    """`auto`, or the name of a variant."""
    device: str
    alpha: float
    gate: Gate
    target: Target
    max_examples: int | None
    sequential: Sequential
    family_size: int | None
    """None: counted."""
    redact: Redact
    """What is left out of every report."""
    seed: int
    memory_fraction: float
    gpu_hour_cost: float | None
    """Price of an hour, in whatever currency; None: no cost is stated."""
    noise_floor: bool
    require_gpu: bool
    trust_remote_code: bool
    keeps_reference: bool
    """Whether the reference's scores are kept between runs."""
    store_folder: Path | None
    """Where; None: in pytest's cache."""
    updates_reference: bool
    json_path: Path | None
    html_path: Path | None
    github: GitHub | None
    known_variants: Mapping[str, Variant] = field(repr=False)
    """Built-in and declared, by name."""

    @property
    def keeps_examples(self) -> bool:
        """Whether a report asks for per-example records."""
        return self.json_path is not None or self.html_path is not None

    def target_of(self, budget: Budget) -> Target:
        """Return what a verdict on `budget` is a claim about: runs are no given examples."""
        if budget.limit.is_of_serving:
            return Target.POPULATION
        return budget.target or self.target

    def may_stop(self, target: Target) -> bool:
        """Whether verdicts may come early; claims about given examples only where asked for."""
        if target is Target.DATASET:
            return self.sequential is Sequential.ON
        return self.sequential is not Sequential.OFF


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of this run.

    Raises
    ------
    UsageError
        A value is wrong, or a key of `[tool.quantcheck]` unknown.
    """
    declared = read_declared(config.rootpath / "pyproject.toml")
    known = declared.variants
    _refuse_unknown_ini(config)
    raw = _Raw(config)
    reference = raw.string("reference") or "auto"
    if reference != "auto":
        _check_variant(reference, "quant_reference", known)
    variants = tuple(dict.fromkeys(raw.names("variants")))
    for name in variants:
        _check_variant(name, "quant_variants", known)
    gate = parse_gate(raw.string("gate"), "quant_gate")
    redact = parse_redact(raw.string("redact"), "quant_redact")
    return Settings(
        model=_model(raw, config, merges_adapter=declared.merges_adapter),
        merges_adapter=declared.merges_adapter,
        variants=variants,
        reference=reference,
        device=raw.string("device") or "auto",
        alpha=raw.number("alpha", 0.05, "a number between 0 and 0.5", _is_alpha),
        gate=gate or Gate.REGRESSION,
        target=parse_target(raw.string("target"), "quant_target") or Target.POPULATION,
        max_examples=raw.optional("limit"),
        sequential=parse_sequential(raw.string("sequential"), "quant_sequential")
        or Sequential.AUTO,
        family_size=raw.optional("family_size"),
        redact=redact or Redact.OFF,
        seed=raw.number("seed", 0, "a whole number, at least 0", lambda number: number >= 0),
        memory_fraction=raw.number("vram_fraction", 0.85, "above 0, at most 1", _is_fraction),
        gpu_hour_cost=raw.number("gpu_hour_cost", 0.0, "a price above 0", _is_price) or None,
        noise_floor=raw.flag("noise_floor"),
        require_gpu=raw.flag("require_gpu"),
        trust_remote_code=raw.flag("trust_remote_code"),
        **_store(raw, config),
        json_path=_report_path("json", config),
        html_path=_html_path(config),
        github=read_github(config, redact),
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


def _is_price(number: float) -> bool:
    return 0 < number < math.inf


def _model(raw: _Raw, config: pytest.Config, *, merges_adapter: bool) -> ModelUnderTest | None:
    """Return the model that settings name, if any."""
    model, revision, adapter = map(raw.string, ("model", "revision", "adapter"))
    if model is None:
        for name, value in (("revision", revision), ("adapter", adapter)):
            if value is not None:
                raise UsageError(f"quant_{name}={value!r} belongs to quant_model, and none is set")
        return None
    is_option = {key: config.getoption(f"quant_{key}") is not None for key in ("model", "adapter")}
    return model_under_test(
        model,
        revision=revision,
        adapter=adapter,
        merges_adapter=merges_adapter,
        folders={key: folders_of(config, is_option=given) for key, given in is_option.items()},
    )


def _store(raw: _Raw, config: pytest.Config) -> dict[str, Any]:
    """Return whether, where and how the reference's scores are kept."""
    folder, is_option = raw.string("store"), config.getoption("quant_store") is not None
    is_off = raw.flag("no_store") and (config.getoption("quant_no_store") or not is_option)
    if is_option and config.getoption("quant_no_store"):
        raise UsageError(f"--quant-store={folder} and --quant-no-store: give one of them")
    has_place = folder is not None or getattr(config, "cache", None) is not None
    updates = raw.flag("update_reference")
    if updates and (is_off or not has_place):
        raise UsageError(
            "quant_update_reference replaces what is kept of the reference, and nothing is: "
            f"{'quant_no_store is on' if is_off else 'pytest has no cache here'}; drop it, or name "
            "a folder with --quant-store"
        )
    path = None
    if folder is not None:
        path = folders_of(config, is_option=is_option)[0] / Path(folder).expanduser()
        if not next(above for above in (path, *path.parents) if above.exists()).is_dir():
            raise UsageError(f"quant_store={folder!r}: expected a folder, or a place for one")
    return {"keeps_reference": not is_off, "store_folder": path, "updates_reference": updates}


def _html_path(config: pytest.Config) -> Path | None:
    """Return where the page is written, refused where it could not be made."""
    path = _report_path("html", config)
    if path is not None:
        check_installed("--quant-html")
    return path


def _report_path(name: str, config: pytest.Config) -> Path | None:
    """Return where a report is written, refused before anything is measured for it."""
    asked = config.getoption(f"quant_{name}")
    if asked is None:
        return None
    path = Path(config.invocation_params.dir / asked)
    parent = next(above for above in path.parents if above.exists())
    if path.is_dir() or not parent.is_dir():
        raise UsageError(f"--quant-{name}={asked}: expected a file that can be written")
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
