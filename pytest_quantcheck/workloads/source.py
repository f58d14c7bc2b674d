"""Where examples come from: a JSONL file or Python objects, read when first needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pytest_quantcheck.errors import MeasurementError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_quantcheck.core.fingerprint import Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record of a source, with the place to name in an error."""

    place: str
    """`data/triage.jsonl:17` or `examples[16]`."""
    number: int
    """Counted from 1."""
    fields: Mapping[str, Plain]

    def refusal(self, name: str, expected: str) -> MeasurementError:
        """Return the error of a field that is missing, or that holds what it cannot."""
        if name in self.fields:
            found, hint = f"found {self.fields[name]!r}", ""
        else:
            here = ", ".join(sorted(self.fields)) or "none"
            found = "it is missing"
            hint = f" (fields here: {here}; from_jsonl renames with fields={{{name!r}: …}})"
        return MeasurementError(f"{self.place}: field {name!r}: {found}, expected {expected}{hint}")


class Source(Protocol):
    """Something that yields rows, read afresh each time."""

    @property
    def place(self) -> str:
        """How errors name it: the path of a file, or what a list is called."""
        ...

    def rows(self) -> Iterator[Row]:
        """Yield every row in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonlSource:
    """One JSON object a line."""

    path: Path
    fields: Mapping[str, str]
    """Our field name to the file's: `{"answer": "gold"}`."""

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    def rows(self) -> Iterator[Row]:
        """Yield every line that is not blank.

        Raises
        ------
        MeasurementError
            The file is missing or not UTF-8, or a line is not a JSON object.
        """
        for number, line in enumerate(self._lines(), start=1):
            if line.strip():
                place = f"{self.path}:{number}"
                yield Row(place=place, number=number, fields=_rename(_parse(line, place), self))

    def _lines(self) -> list[str]:
        try:
            # Not splitlines: JSON strings may hold U+2028 and its kind.
            return self.path.read_text(encoding="utf-8").split("\n")
        except FileNotFoundError as error:
            raise MeasurementError(
                f"{self.path}: no such file; relative paths start at the folder of the file "
                "that calls from_jsonl"
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise MeasurementError(
                f"{self.path}: cannot be read as UTF-8 text ({error}); expected one JSON object "
                "a line"
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySource:
    """Mappings that a test module built itself."""

    examples: Sequence[Mapping[str, Plain]]
    place: str = "examples"

    def rows(self) -> Iterator[Row]:
        """Yield every mapping.

        Raises
        ------
        MeasurementError
            An example is not a mapping.
        """
        for index, example in enumerate(self.examples):
            place = f"{self.place}[{index}]"
            if not hasattr(example, "keys"):
                raise MeasurementError(
                    f"{place}: found {type(example).__name__}, expected a mapping with the "
                    "fields of this workload"
                )
            yield Row(place=place, number=index + 1, fields=dict(example))


def _parse(line: str, place: str) -> dict[str, Plain]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise MeasurementError(
            f"{place}: not JSON ({error.msg} at column {error.colno}), expected one object a line"
        ) from error
    if not isinstance(value, dict):
        raise MeasurementError(f"{place}: found {type(value).__name__}, expected a JSON object")
    try:
        line.encode() if "\\u" not in line else json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MeasurementError(
            f"{place}: half a character ({error.object[error.start]!a}), as where a text is cut "
            "between two \\u escapes; expected whole ones"
        ) from None
    return value


def _rename(fields: dict[str, Plain], source: JsonlSource) -> dict[str, Plain]:
    """Return `fields` under our names; a renamed field hides one the file calls by our name."""
    taken = {*source.fields, *source.fields.values()}
    kept = {name: value for name, value in fields.items() if name not in taken}
    ours = {our: fields[their] for our, their in source.fields.items() if their in fields}
    return kept | ours


def checked_renames(fields: Mapping[str, str] | None, known: Iterable[str]) -> dict[str, str]:
    """Return `fields` if it renames only fields that exist.

    Raises
    ------
    UsageError
        A key is not a field of the workload.
    """
    names = sorted(known)
    if not (fields is None or hasattr(fields, "keys")):
        raise UsageError(f"fields={fields!r}: expected a mapping of our field names to the file's")
    renames = dict(fields or {})
    for name in renames:
        if name not in names:
            raise UsageError(f"fields={{{name!r}: …}}: unknown field; known: {', '.join(names)}")
    return renames


def resolve(path: str | Path, caller: str) -> Path:
    """Return `path`, relative ones taken from the folder of the file `caller`."""
    return Path(caller).parent / Path(path)
