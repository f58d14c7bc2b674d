"""What was written for each setting: on the command line, or else in pytest's ini file."""

from __future__ import annotations

import configparser
import tomllib
from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.options import FLAGS, OF_A_RUN, OPTIONS, key_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum
    from pathlib import Path

NumberT = TypeVar("NumberT", int, float)
ChoiceT = TypeVar("ChoiceT", bound="Enum")


class Written:
    """Values as they were written, each read as what it should be.

    Parameters
    ----------
    config : Config
        Of the session.

    Raises
    ------
    UsageError
        The ini file has a key `quant_…` that no setting has; and of each method, that a value
        is wrong.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._ini_file = _ini_table(config.inipath) if config.inipath else {}
        for key in self._ini_file:
            _check_known(key, config.inipath)

    def is_option(self, name: str) -> bool:
        """Whether the command line has a setting."""
        return self._config.getoption(key_of(name)) is not None

    def place(self, name: str) -> str:
        """Return how a setting is called where it is written."""
        return f"--quant-{name}" if self.is_option(name) else key_of(name)

    def string(self, name: str) -> str | None:
        """Return a setting; None where it is not set, or to nothing."""
        value = self._value(name)
        return str(value).strip() or None if value is not None else None

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list, with commas between its entries on the command line."""
        value = self._value(name)
        parts = value.split(",") if isinstance(value, str) else list(value or ())  # type: ignore[call-overload]  # a list of strings
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def flag(self, name: str) -> bool:
        """Return a switch, off where it is not set."""
        return bool(self._value(name))

    def number(
        self, name: str, default: NumberT, expected: str, holds: Callable[[NumberT], bool]
    ) -> NumberT:
        """Return a number of the type of `default` that has to hold something."""
        text = self.string(name)
        if text is None:
            return default
        try:
            number = type(default)(text)
        except ValueError:
            number = None
        if number is None or not holds(number):
            raise UsageError(f"{self.place(name)}={text!r}: expected {expected}")
        return number

    def count(self, name: str) -> int | None:
        """Return a whole number from 1 on; None for `auto`, and where it is not set."""
        if self.string(name) in {None, "auto"}:
            return None
        return self.number(name, 1, "a whole number, at least 1", lambda number: number >= 1)

    def choice(self, name: str, kind: type[ChoiceT]) -> ChoiceT | None:
        """Return one of a few words; None where it is not set."""
        text = self.string(name)
        known = [member.value for member in kind]
        if text is not None and text not in known:
            expected = ", ".join(known)
            raise UsageError(f"{self.place(name)}={text!r}: expected one of {expected}")
        return kind(text) if text is not None else None

    def _value(self, name: str) -> object:
        key = key_of(name)
        return self._config.getoption(key) if self.is_option(name) else self._ini(key)

    def _ini(self, key: str) -> object:
        """Return an ini setting; TOML that keeps types may state numbers as such."""
        try:
            return self._config.getini(key)
        except (TypeError, ValueError, pytest.UsageError) as error:
            value = self._ini_file.get(key)
            if type(value) in {int, float} and key not in map(key_of, FLAGS):
                return value
            raise UsageError(f"{key}: {error}") from None


def _check_known(key: str, path: Path | None) -> None:
    """Raise UsageError for a `quant_…` key of the ini file that no setting has."""
    known = [key_of(name) for name in (*OPTIONS, *FLAGS)]
    if not key.startswith("quant_") or key in known:
        return
    option = next((name for name in OF_A_RUN if key_of(name) == key), None)
    if option is not None:
        raise UsageError(
            f"{path}: {key} is no setting of a project; write --quant-{option} on the command "
            "line, or in addopts"
        )
    raise UsageError(f"{path}: unknown setting {key!r}; {suggestion(key, known)}")


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
