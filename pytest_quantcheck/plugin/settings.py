"""Settings: command line over ini over default, and the project's own variants."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_quantcheck.core.batches import Sequential
from pytest_quantcheck.core.budget import Gate, Target
from pytest_quantcheck.core.grammar import suggestion
from pytest_quantcheck.core.redaction import Redact
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.device import is_device
from pytest_quantcheck.plugin.declared import read_declared
from pytest_quantcheck.plugin.github import GitHub, read_github
from pytest_quantcheck.plugin.models import folders_of, model_under_test
from pytest_quantcheck.plugin.written import Written
from pytest_quantcheck.report.html import check_installed

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from pytest_quantcheck.core.budget import Budget
    from pytest_quantcheck.core.model import ModelUnderTest
    from pytest_quantcheck.core.variant import Variant

_LARGEST_ALPHA = 0.5


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

    def looks_from(self, target: Target) -> int | None:
        """Return the examples of a workload from which on verdicts may; None: they may not."""
        return self.sequential.smallest if self.may_stop(target) else None


def read_settings(config: pytest.Config) -> Settings:
    """Return the settings of this run.

    Raises
    ------
    UsageError
        A value is wrong, or a key of `[tool.quantcheck]` unknown.
    """
    declared = read_declared(config.rootpath / "pyproject.toml")
    written = Written(config)
    reference = written.string("reference") or "auto"
    variants = written.names("variants")
    for setting, names in {"reference": {reference} - {"auto"}, "variants": variants}.items():
        for name in names:
            _check_variant(name, written.place(setting), declared.variants)
    redact = written.choice("redact", Redact)
    return Settings(
        model=_model(written, config, merges_adapter=declared.merges_adapter),
        merges_adapter=declared.merges_adapter,
        variants=variants,
        reference=reference,
        device=_device(written),
        alpha=written.number("alpha", 0.05, "a number between 0 and 0.5", _is_alpha),
        gate=written.choice("gate", Gate) or Gate.REGRESSION,
        target=written.choice("target", Target) or Target.POPULATION,
        max_examples=written.count("limit"),
        sequential=written.choice("sequential", Sequential) or Sequential.AUTO,
        family_size=written.count("family-size"),
        redact=redact or Redact.OFF,
        seed=written.number("seed", 0, "a whole number, at least 0", lambda number: number >= 0),
        memory_fraction=written.number("vram-fraction", 0.85, "above 0, at most 1", _is_fraction),
        gpu_hour_cost=written.number("gpu-hour-cost", 0.0, "a price above 0", _is_price) or None,
        noise_floor=written.flag("noise-floor"),
        require_gpu=written.flag("require-gpu"),
        trust_remote_code=written.flag("trust-remote-code"),
        **_store(written, config),
        json_path=_report_path("json", config),
        html_path=_html_path(config),
        github=read_github(config, redact),
        known_variants=declared.variants,
    )


def _is_alpha(number: float) -> bool:
    return 0 < number < _LARGEST_ALPHA


def _is_fraction(number: float) -> bool:
    return 0 < number <= 1


def _is_price(number: float) -> bool:
    return 0 < number < math.inf


def _device(written: Written) -> str:
    """Return the device to run on; whether there is one is known when it is needed."""
    device = written.string("device") or "auto"
    if not is_device(device):
        raise UsageError(
            f"{written.place('device')}={device!r}: expected auto, cpu, cuda or cuda:N"
        )
    return device


def _model(
    written: Written, config: pytest.Config, *, merges_adapter: bool
) -> ModelUnderTest | None:
    """Return the model that settings name, if any."""
    model, revision, adapter = map(written.string, ("model", "revision", "adapter"))
    if model is None:
        for name, value in (("revision", revision), ("adapter", adapter)):
            if value is not None:
                raise UsageError(
                    f"{written.place(name)}={value!r} belongs to quant_model, and none is set"
                )
        return None
    return model_under_test(
        model,
        revision=revision,
        adapter=adapter,
        merges_adapter=merges_adapter,
        folders={
            name: folders_of(config, is_option=written.is_option(name))
            for name in ("model", "adapter")
        },
    )


def _store(written: Written, config: pytest.Config) -> dict[str, Any]:
    """Return whether, where and how the reference's scores are kept."""
    folder, is_option = written.string("store"), written.is_option("store")
    is_off = written.flag("no-store") and (written.is_option("no-store") or not is_option)
    if is_option and written.is_option("no-store"):
        raise UsageError(f"--quant-store={folder} and --quant-no-store: give one of them")
    has_place = folder is not None or getattr(config, "cache", None) is not None
    updates = written.flag("update-reference")
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
            raise UsageError(
                f"{written.place('store')}={folder!r}: expected a folder, or a place for one"
            )
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
