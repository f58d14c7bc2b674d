"""Where models live: device, backends, pool and runner, made when the first test needs them."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from pytest_quantcheck.core.budget import Target
from pytest_quantcheck.core.record import EnvironmentRecord
from pytest_quantcheck.core.variant import AS_STORED
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.measure.backends.quantized_store import quantized_store
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.identity import installed
from pytest_quantcheck.measure.latency.conditions import conditions_of
from pytest_quantcheck.measure.latency.meter import LatencyMeter
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.residents import Residents
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.measure.shared import Shared
from pytest_quantcheck.plugin.alone import check_alone, check_own_gpu
from pytest_quantcheck.plugin.progress import progress_for
from pytest_quantcheck.plugin.sources import options_of, planned_variants, sources_of
from pytest_quantcheck.plugin.storing import Shelves
from pytest_quantcheck.plugin.timing import Timings
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.sequential.schedule import batch_ends
from pytest_quantcheck.workloads.latency import Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from pytest_quantcheck.core.model import ModelUnderTest
    from pytest_quantcheck.core.protocols import BackendSpec
    from pytest_quantcheck.core.supplements import SourceRecord
    from pytest_quantcheck.core.variant import Variant
    from pytest_quantcheck.core.verdict import Levels
    from pytest_quantcheck.measure.archive import Archive
    from pytest_quantcheck.measure.handle import Handle
    from pytest_quantcheck.plugin.collect import ItemPlan
    from pytest_quantcheck.plugin.session import QuantcheckSession

_NO_GPU = (
    "there is no CUDA device, so models ran on the CPU ({}); quant_device=cpu says that it is meant"
)
_VERSIONS = (
    "pytest-quantcheck",
    "torch",
    "transformers",
    "bitsandbytes",
    "compressed-tensors",
    "peft",
    "numpy",
    "scipy",
)


class Laboratories:
    """Where the models of one session live: one laboratory a model, all on one device.

    Raises
    ------
    UsageError
        There is no such device, or it is a GPU that workers of pytest-xdist would share; or two
        plugins offer a backend of one name.
    """

    def __init__(self, config: pytest.Config, session: QuantcheckSession) -> None:
        settings = session.settings
        self.session = session
        self.config = config
        self.device = choose_device(settings.device, require_gpu=settings.require_gpu)
        check_own_gpu(config, self.device.device, asked=settings.device)
        self.progress = progress_for(config)
        self._backends = backends_of(config)
        self._residents = Residents()
        self._shelves = Shelves(config, settings, backends=self._backends, device=self.device)
        self.files, self.options = self._shelves.files, options_of(config)
        self.quantized = quantized_store() if settings.keeps_reference else None
        self._shared = Shared()
        self._made: dict[ModelUnderTest, Laboratory] = {}

    def of(self, model: ModelUnderTest) -> Laboratory:
        """Return the laboratory of one model, made when first asked for."""
        if model not in self._made:
            self._made[model] = Laboratory(self, model)
        return self._made[model]

    def pool(self, model: ModelUnderTest) -> Pool:
        """Return a pool for one model that shares the device's memory with the others."""
        settings = self.session.settings
        source = ModelSource(
            model=model.model,
            device=self.device.device,
            others=self.device.others,
            trust_remote_code=settings.trust_remote_code,
            revision=model.revision,
            adapter=model.adapter,
            merges_adapter=model.merges_adapter,
            quantized=self.quantized,
            shared=self._shared,
        )
        return Pool(
            self._backends,
            source,
            memory_fraction=settings.memory_fraction,
            residents=self._residents,
        )

    def archive(self, source: ModelSource) -> Archive | None:
        """Return where a model's reference is kept between runs; None where it is not."""
        return self._shelves.archive(source)

    def close(self) -> None:
        """Free every model."""
        for laboratory in self._made.values():
            laboratory.close()


class Laboratory:
    """Measures one model for one session."""

    def __init__(self, shared: Laboratories, model: ModelUnderTest) -> None:
        settings = shared.session.settings
        self._session = shared.session
        self.model = model
        self.progress = shared.progress
        self.device = shared.device
        self.pool = shared.pool(model)
        self.reference = self._reference(self.pool.source)
        self._archive = shared.archive(self.pool.source)
        self._files, self._options = shared.files, shared.options
        self.runner = Runner(
            self.pool,
            reference=self.reference,
            portion=Portion(
                max_examples=settings.max_examples,
                seed=settings.seed,
                batched_from=settings.sequential.smallest,
                batch_ends=batch_ends,
            ),
            archive=self._archive,
            progress=shared.progress,
        )
        self.runner.compare_predictions(shared.session.collection.compared)  # type: ignore[arg-type]  # ours
        self._is_prefetched = False
        self.check_alone = partial(check_alone, shared.config, self.device.device)
        self.timings = Timings(
            meter=LatencyMeter(
                self.pool,
                reference=self.reference,
                conditions=conditions_of,
                seed=settings.seed,
                progress=shared.progress,
            ),
            may_stop=settings.may_stop(Target.POPULATION),
            progress=shared.progress,
        )

    @property
    def _is_cpu(self) -> bool:
        return self.device.device == "cpu"

    @property
    def gpu_hour_cost(self) -> float | None:
        """Price of an hour of this device, where it is a GPU and one is stated."""
        return None if self._is_cpu else self._session.settings.gpu_hour_cost

    @property
    def levels(self) -> Levels:
        """Error rates of each decision of this run."""
        return levels(self._session.settings.alpha, self._session.collection.family_size)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the reader of a report should know of the device, and of what earlier runs kept."""
        found = [_NO_GPU.format(self.device.name)] if self.device.is_stand_in else []
        kept = (self._archive, self.pool.source.quantized)
        return (*found, *(text for one in kept if one for text in one.notices))

    def variant(self, name: str) -> Variant:
        """Return the variant called `name`."""
        return self._session.settings.known_variants[name]

    def handle(self, name: str | None) -> Handle:
        """Return the handle of a variant; None is the reference."""
        variant = self.reference if name is None else self.variant(name)
        return self.runner.handle(variant)

    def label(self, variant: Variant) -> str:
        """Return the variant's name with what it really is on this device."""
        is_half = variant.precision in {"fp16", "bf16"}
        method = self.runner.weights(variant).method if variant.precision == AS_STORED else ""
        return variant.labelled(
            method, compute="float32 compute" if is_half and self._is_cpu else ""
        )

    def prefetch(self, plans: Sequence[ItemPlan]) -> None:
        """Score the reference on everything at once, if it cannot stay beside a variant."""
        if not self._is_prefetched:
            self._is_prefetched = True
            budgets = [(plan.variant, budget) for plan in plans for budget in plan.budgets]
            self.timings.foresee((self.variant(name), budget) for name, budget in budgets)
            workloads = dict.fromkeys(
                one for plan in plans for one in plan.workloads if not isinstance(one, Latency)
            )
            first = self.variant(plans[0].variant) if plans else None
            asks = self._session.settings.noise_floor
            self.runner.prefetch_reference(workloads, variant=first, with_noise=asks)  # type: ignore[arg-type]

    def environment(self) -> EnvironmentRecord:
        """Return where and how this session measures."""
        session, collection = self._session, self._session.collection
        return EnvironmentRecord(
            model=self.model.label,
            revision=self.runner.weights(self.reference).revision,
            reference_label=self.label(self.reference),
            device=self.device.device,
            device_name=self.device.name,
            alpha=session.settings.alpha,
            family_size=collection.family_size,
            checks_collected=collection.n_budgets,
            budgets_collected=collection.budgets_of(self.model),
            redact=session.settings.redact.value,
            versions=installed(_VERSIONS),
            options=self._options,
            sources=self._sources if session.settings.json_path else [],
        )

    @cached_property
    def _sources(self) -> list[SourceRecord]:
        variants = planned_variants(self._session.collection.plans, self._session.settings)
        return sources_of(self.model, variants, files=self._files)

    def close(self) -> None:
        """Free every model."""
        self.runner.close()

    def _reference(self, source: ModelSource) -> Variant:
        name = self._session.settings.reference
        if name != "auto":
            return self.variant(name)
        from pytest_quantcheck.measure.reference import native_precision

        return self.variant(native_precision(source))


def backends_of(config: pytest.Config) -> dict[str, BackendSpec]:
    """Return every backend that plugins offer, our own among them, by name.

    Raises
    ------
    UsageError
        Two have one name.
    """
    found: dict[str, BackendSpec] = {}
    for specs in config.hook.pytest_quantcheck_backends():
        for spec in specs:
            if spec.name in found:
                raise UsageError(
                    f"two backends are named {spec.name!r}: {found[spec.name].target} and "
                    f"{spec.target}; rename one"
                )
            found[spec.name] = spec
    return found
