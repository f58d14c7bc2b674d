"""What a run measured and was asked, in a form that can be compared with a working tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.supplements import SourceRecord
from pytest_quantcheck.measure.identity import ADAPTER_SETTINGS, file_digests, resolved_commit
from pytest_quantcheck.plugin.options import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from pytest_quantcheck.core.model import ModelUnderTest
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.plugin.collect import ItemPlan
    from pytest_quantcheck.plugin.settings import Settings
    from pytest_quantcheck.store.files import FileDigests

_DECISIVE = (
    "model",
    "revision",
    "adapter",
    "variants",
    "reference",
    "alpha",
    "gate",
    "target",
    "limit",
    "sequential",
    "family-size",
    "seed",
)
"""Settings that decide which budgets there are, on which examples, and what they ask."""


def options_of(config: pytest.Config) -> list[str]:
    """Return the decisive settings of the command line, as one would write them again."""
    given = {name: config.getoption(key_of(name)) for name in _DECISIVE}
    return [f"--quant-{name}={value}" for name, value in given.items() if value is not None]


def planned_variants(plans: Iterable[ItemPlan], settings: Settings) -> list[Variant]:
    """Return the variants that tests measure, with the reference where it has a name."""
    names = dict.fromkeys([settings.reference, *(plan.variant for plan in plans)])
    return [settings.known_variants[name] for name in names if name in settings.known_variants]


def sources_of(
    model: ModelUnderTest, variants: Iterable[Variant], *, files: FileDigests
) -> list[SourceRecord]:
    """Return what the model, its adapter and checkpoints of variants are made of.

    Raises
    ------
    OSError
        A file cannot be read.
    """
    found = [_source("model", model.model, model.revision, files=files)]
    if model.adapter is not None:
        found.append(_source("adapter", model.adapter, None, files=files))
    own = {one.name: one for one in variants if one.checkpoint is not None}
    return found + [
        _source(f"variant {name}", one.checkpoint, one.revision, files=files)
        for name, one in sorted(own.items())
        if one.checkpoint is not None
    ]


def _source(name: str, place: str, revision: str | None, *, files: FileDigests) -> SourceRecord:
    settings = ADAPTER_SETTINGS if name == "adapter" else "config.json"
    return SourceRecord(
        name=name,
        commit=resolved_commit(place, revision=revision, settings=settings),
        files=file_digests(place, files),
    )
