"""What all workloads share: identity, examples read once, a seeded subset, a fingerprint."""

from __future__ import annotations

import hashlib
import sys
from abc import abstractmethod
from collections import defaultdict
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from pytest_quantcheck.core.fingerprint import Plain, digest
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.workloads.example import COPIES, Example, ItemT_co
from pytest_quantcheck.workloads.source import (
    JsonlSource,
    MemorySource,
    checked_renames,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from pytest_quantcheck.workloads.source import Row, Source

SHARED_FIELDS = ("id", "cluster", "slice")


class Workload(Generic[ItemT_co]):
    """A named set of examples; two workloads are equal only if they are the same object.

    Parameters
    ----------
    source : Source
        Where the rows come from; not read before `examples` is called.
    name : str
        Short name, as shown in tables.
    max_examples : int, optional
        Size of a seeded subset, stratified by slice; never the first ones.
    """

    metrics: ClassVar[tuple[str, ...]]
    """Metrics it reports; the first is the one shown in tables."""
    item_fields: ClassVar[tuple[str, ...]]
    """Fields of a row that make the item."""
    template_fields: tuple[str, ...] = ()
    """Others that the prompt shows."""

    def __init__(self, source: Source, *, name: str, max_examples: int | None = None) -> None:
        self.name = checked_name(name)
        if max_examples is not None and (type(max_examples) is not int or max_examples < 1):
            raise UsageError(
                f"limit={max_examples!r} of workload {name}: expected a whole number of "
                "examples, at least 1"
            )
        self._source = source
        self._max_examples = max_examples
        self._loaded: tuple[Example[ItemT_co], ...] | None = None

    @classmethod
    def from_jsonl(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        limit: int | None = None,
        fields: Mapping[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - what the constructor of each workload takes
    ) -> Self:
        """Return the workload of a file with one example a line.

        Parameters
        ----------
        path : str or Path
            Relative paths start at the folder of the calling file. Not read before a test that
            uses the workload runs.
        name : str, optional
            Defaults to the file's stem.
        limit : int, optional
            Size of a seeded subset, stratified by slice.
        fields : mapping, optional
            Our field name to the file's: `{"answer": "gold"}`.
        **options
            Passed on to the workload.

        Raises
        ------
        UsageError
            An argument is wrong.
        """
        renames = checked_renames(fields, {*SHARED_FIELDS, *cls.item_fields})
        # Paths start at the calling file, as people write them beside their tests.
        caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001 - no public way
        where = resolve(path, caller)
        source = JsonlSource(path=where, fields=renames)
        placed = cls._placed(options, caller, renames)
        return cls(source, name=name or where.stem, max_examples=limit, **placed)

    @classmethod
    def from_examples(
        cls,
        examples: Sequence[Mapping[str, Plain]],
        *,
        name: str,
        limit: int | None = None,
        **options: Any,  # noqa: ANN401 - what the constructor of each workload takes
    ) -> Self:
        """Return the workload of mappings with the same fields as the lines of a file."""
        caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001 - no public way
        placed = cls._placed(options, caller, {})
        return cls(MemorySource(examples=examples), name=name, max_examples=limit, **placed)

    @classmethod
    def _placed(
        cls, options: Mapping[str, Any], caller: str, fields: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return options whose paths start at the folder of the file `caller`.

        `fields` renames the fields of files that options name, as it does those of the source.
        """
        del caller, fields
        return dict(options)

    def __repr__(self) -> str:
        """Return a name short enough for a test id or a traceback."""
        return f"{type(self).__name__}({self.name!r})"

    @abstractmethod
    def item(self, row: Row) -> ItemT_co:
        """Return the item of one row, or raise MeasurementError with its place."""

    def scoring(self) -> dict[str, Plain]:
        """Return what besides the examples decides the scores."""
        return {}

    @property
    def has_digest(self) -> bool:
        """Whether the fingerprint says all; a workload without one equals itself alone."""
        return True

    def claim(self, examples: Sequence[Example[ItemT_co]]) -> str | None:
        """Return what stands for callables beside the fingerprint; None where nothing does.

        Scores of a workload without a claim are not kept between runs.
        """
        del examples
        return ""

    def examples(
        self, *, max_examples: int | None = None, seed: int = 0
    ) -> tuple[Example[ItemT_co], ...]:
        """Return the examples, at most `max_examples` of them.

        Raises
        ------
        MeasurementError
            The source cannot be read, is empty, has a bad row or the same id twice.
        """
        if self._loaded is None:
            self._loaded = _cluster_equal_items(self._read())
        caps = [cap for cap in (self._max_examples, max_examples) if cap is not None]
        return subset(self._loaded, min(caps), seed=seed) if caps else self._loaded

    def fingerprint(self, examples: Sequence[Example[ItemT_co]]) -> str:
        """Return the digest of these examples and of how they are scored."""
        rows: list[Plain] = [
            [example.id, example.cluster, example.slice, _plain(example.item)]
            for example in examples
        ]
        return digest({"kind": type(self).__name__, "scoring": self.scoring(), "examples": rows})

    def _read(self) -> tuple[Example[ItemT_co], ...]:
        self._prepare()
        seen: dict[str, str] = {}
        examples = []
        for row in self._source.rows():
            example = self._example(row)
            if example.id in seen:
                raise MeasurementError(
                    f"{row.place}: id {example.id!r} was already used at {seen[example.id]}; "
                    "ids must be unique within a workload"
                )
            seen[example.id] = row.place
            examples.append(example)
        if not examples:
            raise MeasurementError(
                f"workload {self.name}: nothing in {self._source.place}; expected examples"
            )
        return tuple(examples)

    def _prepare(self) -> None:
        """Read what examples need besides their rows."""

    def _example(self, row: Row) -> Example[ItemT_co]:
        item = self.item(row)
        known = {*SHARED_FIELDS, *self.item_fields, *self.template_fields}
        return Example(
            id=label(row, "id") or f"{row.number}",
            item=item,
            cluster=label(row, "cluster"),
            slice=label(row, "slice"),
            extra={name: value for name, value in row.fields.items() if name not in known},
        )


def checked_name(name: object) -> str:
    """Return the name of a workload, or raise UsageError if it does not fit into a line."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(f"workload name: found {name!r}, expected a non-empty string on one line")
    return str.__str__(name)  # an enum that is a str must not get into a record


def label(row: Row, name: str) -> str | None:
    """Return a field that names something: a string, or a number written as one."""
    value = row.fields.get(name)
    if value is None:
        return None
    if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
        return str(value)
    raise row.refusal(name, "a non-empty string or a whole number")


def text(row: Row, name: str) -> str:
    """Return a field that must be a string with something in it."""
    value = row.fields.get(name)
    if isinstance(value, str) and value:
        return value
    raise row.refusal(name, "a non-empty string")


def subset(
    examples: Sequence[Example[ItemT_co]], max_examples: int, *, seed: int
) -> tuple[Example[ItemT_co], ...]:
    """Return a seeded subset in the original order, each slice by its share.

    Which examples are taken depends on their ids and the seed alone, so that adding one example
    moves at most one other.
    """
    if max_examples >= len(examples):
        return tuple(examples)
    strata: dict[str, list[Example[ItemT_co]]] = defaultdict(list)
    for example in examples:
        strata[example.slice or ""].append(example)
    quotas = _quotas({name: len(rows) for name, rows in strata.items()}, max_examples)
    chosen: set[str] = set()
    for name, rows in strata.items():
        rows.sort(key=lambda example: _draw(seed, example.id))
        chosen.update(example.id for example in rows[: quotas[name]])
    return tuple(example for example in examples if example.id in chosen)


def _quotas(sizes: dict[str, int], total: int) -> dict[str, int]:
    """Share `total` in proportion to `sizes`, by largest remainder."""
    everything = sum(sizes.values())
    quotas = {name: total * size // everything for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(total * sizes[name] % everything), name))
    for name in by_remainder[: total - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def _draw(seed: int, example_id: str) -> str:
    return hashlib.sha256(f"{seed}\0{example_id}".encode()).hexdigest()


def _plain(item: object) -> Plain:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(item).items()  # type: ignore[call-overload]  # items are dataclasses
    }


def _cluster_equal_items(
    examples: tuple[Example[ItemT_co], ...],
) -> tuple[Example[ItemT_co], ...]:
    """Put examples with equal content into one cluster: they carry the evidence of one."""
    groups: dict[object, list[Example[ItemT_co]]] = defaultdict(list)
    for example in examples:
        groups[example.item].append(example)
    twins = {
        example.id: f"{COPIES}{group[0].id}"
        for group in groups.values()
        if len(group) > 1
        for example in group
        if example.cluster is None
    }
    return tuple(
        replace(example, cluster=twins[example.id]) if example.id in twins else example
        for example in examples
    )
