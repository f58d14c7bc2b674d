"""Templates: a text with fields of the row in braces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING

from pytest_quantcheck.errors import MeasurementError, UsageError

if TYPE_CHECKING:
    from pytest_quantcheck.workloads.source import Row

_PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A parsed template."""

    text: str
    """As it was written."""
    parts: tuple[tuple[str, str | None], ...]
    """(literal text, name of the field after it or None)."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields, each once, in order of appearance."""
        return tuple(dict.fromkeys(name for _, name in self.parts if name is not None))

    def render(self, row: Row) -> str:
        """Return the text with the fields of a row.

        Raises
        ------
        MeasurementError
            A field is missing, or is neither a string nor a number.
        """
        return "".join(
            literal + ("" if name is None else _value(row, name)) for literal, name in self.parts
        )


def parse_template(text: object) -> Template:
    """Return the template that `text` writes: `{name}` is a field, `{{` and `}}` are braces.

    Raises
    ------
    UsageError
        Braces do not match, or something else than the plain name of a field is in them.

    Examples
    --------
    >>> parse_template("Question: {question}").fields
    ('question',)
    """
    if not isinstance(text, str) or not text:
        raise UsageError(f"template={text!r}: expected a text with fields such as {{question}}")
    parts: list[tuple[str, str | None]] = []
    try:
        for literal, name, form, conversion in Formatter().parse(text):
            if name is not None and (form or conversion or not _PLAIN_NAME.fullmatch(name)):
                shown = (
                    name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                )
                raise UsageError(
                    f"template={text!r}: found {{{shown}}}, expected the plain name of a field, "
                    "such as {question}; write {{ and }} for braces"
                )
            parts.append((literal, name))
    except ValueError as error:
        raise UsageError(
            f"template={text!r}: {error}; write {{{{ and }}}} for braces that stand for themselves"
        ) from error
    return Template(text=text, parts=tuple(parts))


def _value(row: Row, name: str) -> str:
    value = row.fields.get(name)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    found = f"found {value!r}" if name in row.fields else "it is missing"
    raise MeasurementError(
        f"{row.place}: template field {name!r}: {found}, expected a string or a number (fields "
        f"here: {', '.join(sorted(row.fields)) or 'none'})"
    )
