"""Per-example records: what each variant scored on every example, in a file beside the run's.

One line of JSON a measurement, after a first line with the version, compressed by gzip. A line is
named by its digest, so that what is measured twice is kept once.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_quantcheck.core.plain import from_builtins, to_builtins
from pytest_quantcheck.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_quantcheck.core.fingerprint import Plain

EXAMPLES_VERSION = 1
LONGEST_OUTPUT = 2_000
"""Characters kept of an output; of a longer one the middle is left out."""

_CONTENT = "quantcheck examples"
_KEY_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresRecord:
    """What one variant scored for one metric, in rows."""

    metric: str
    values: list[float]
    """(n,) 0 or 1; a score; or the summed negative log-likelihood in nats."""
    weights: list[float] | None
    """(n,) tokens behind each value; None: each 1."""
    ids: list[str] | None
    """(n,) None: those of the examples, whose clusters hold too. Long documents are scored in
    parts: `id#1`, `id#2`."""
    clusters: list[int] | None
    """(n,) where `ids` are given; None: each stands alone."""
    bounds: list[float] | None
    """Lowest and highest possible value; None if unbounded."""
    observations: list[list[float]] | None
    """(n,) what each value stands for, one number a token, where a quantile of all counts."""
    is_identical: bool
    """Whether everything behind the values equals the reference's bit for bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRecord:
    """What was known of the examples of budgets before the first was measured."""

    slice: str | None
    """None: the whole workload."""
    n: int
    n_clusters: int | None
    """None where no two examples share one."""
    largest_cluster: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRecord:
    """How a workload was measured that may be measured in part."""

    batches: list[int]
    """(n,) number of the batch each example came in; verdicts may fall after each."""
    drawn: list[DrawnRecord]
    """Of the workload, and of each of its slices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamplesRecord:
    """What one variant scored and answered on every example of one workload."""

    model: str
    """As in its `EnvironmentRecord`."""
    workload: str
    variant: str
    variant_label: str
    kind: str
    """Class of the workload: `MultipleChoice`."""
    fingerprint: str
    """Digest of the examples and of how they are scored."""
    reference: str | None
    """Key of the reference's record on the same examples; None: it is one."""
    n_planned: int
    """Examples of the workload; more than were measured where measuring stopped early."""
    ids: list[str]
    """(n,) of the examples, in the order they were read."""
    clusters: list[int] | None
    """(n,) label of the cluster each belongs to; None if each stands alone."""
    slices: list[str | None] | None
    """(n,) None where the data names none."""
    course: CourseRecord | None
    """None where all was measured at once, and in the reference's line."""
    scores: list[ScoresRecord]
    """By metric; the first stands in tables."""
    outputs: list[str]
    """(n,) the choice or label, the generated text, the beginning of a document; at most 2,000
    characters each."""
    prompts: list[str | None] | None
    """(n,) what was asked where a score differs from the reference's, at most 2,000 characters
    each; None elsewhere, of documents, and in the reference's line."""
    expected: list[str | None] | None
    """(n,) the right answers of the same examples."""
    margins: list[float | None] | None
    """(n,) nats by which the right choice leads; None where there is none."""
    n_tokens: list[int | None] | None
    """(n,) tokens generated; None where nothing was."""
    first_divergence: list[int | None] | None
    """(n,) index of the first token in which the output differs from the reference's; None where
    none does, and where this is the reference."""

    def rows_of(self, metric: str) -> ScoresRecord | None:
        """Return the scores for `metric` with ids, clusters and weights filled in, if measured."""
        found = next((scores for scores in self.scores if scores.metric == metric), None)
        if found is None:
            return None
        if found.ids is None:
            found = replace(found, ids=self.ids, clusters=self.clusters)
        return replace(found, weights=found.weights or [1.0] * len(found.values))


def to_line(record: ExamplesRecord) -> str:
    """Return a record as one line of ASCII JSON; infinite numbers are the strings `inf -inf`."""
    return json.dumps(strict(to_builtins(record)), separators=(",", ":"), allow_nan=False)


def strict(value: Plain) -> Plain:
    """Return what strict JSON can hold: infinities and NaN as the strings `inf -inf nan`."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [strict(item) for item in value]
    if isinstance(value, dict):
        return {name: strict(item) for name, item in value.items()}
    return value


def key_of(line: str) -> str:
    """Return the name of a line: the beginning of its sha256."""
    return hashlib.sha256(line.encode()).hexdigest()[:_KEY_DIGITS]


def read_line(line: str) -> tuple[str, ExamplesRecord]:
    """Return the key and the record of a line."""
    return key_of(line), from_builtins(ExamplesRecord, json.loads(line))


def pack(lines: Iterable[str]) -> bytes:
    """Return the file that holds `lines`: the same bytes for the same lines in any order."""
    header = json.dumps({"content": _CONTENT, "schema_version": EXAMPLES_VERSION})
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=6, mtime=0) as file:
        file.writelines(f"{line}\n".encode() for line in (header, *sorted(set(lines))))
    return buffer.getvalue()


class AlteredError(UsageError):
    """A file is not the one that its run names."""


def unpack(data: bytes, *, sha256: str | None, place: str) -> dict[str, ExamplesRecord]:
    """Return the records of a file, by key.

    Parameters
    ----------
    data : bytes
        The whole file.
    sha256 : str or None
        What the run says its digest is; None takes any.
    place : str
        How errors name it.

    Raises
    ------
    AlteredError
        It is another file.
    UsageError
        It is no such file, or another version wrote it.
    """
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise AlteredError(
            f"{place}: its sha256 is {found[:12]}…, and the run names {sha256[:12]}…: it was "
            "changed, or belongs to another run; take both files of one run"
        )
    try:
        header, *lines = gzip.decompress(data).decode().splitlines()
        about = json.loads(header)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UsageError(f"{place}: expected lines of JSON, compressed by gzip: {error}") from error
    if about != {"content": _CONTENT, "schema_version": EXAMPLES_VERSION}:
        raise UsageError(
            f"{place}: expected {_CONTENT} of version {EXAMPLES_VERSION}, found {header[:100]}; "
            "read it with the version of pytest-quantcheck that wrote it"
        )
    return dict(map(read_line, lines))
