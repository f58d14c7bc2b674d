"""How variants are loaded, one module a library: `transformers`, `bitsandbytes`, `checkpoint`.

A backend has the two methods of `Backend` in `measure/protocols.py`. Those of models that
transformers forwards take the same steps: open the checkpoint (`loading`; `access` says where it
comes from, `compatible` whether it is one of the model under test), read how its weights are stored
before anything else touches them, put an adapter beside them (`adapters`), choose what it computes
in, and hand it over (`kinds`). Quantized weights are kept between runs (`keeping`, in a
`quantized_store`); `footprint` estimates what they will take.
"""

from __future__ import annotations

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.measure.engine import ENGINE_VERSION

BUILTIN_BACKENDS = {
    name: BackendSpec(name=name, target=f"{__name__}.{name}:{kind}", version=str(ENGINE_VERSION))
    for name, kind in (
        ("transformers", "TransformersBackend"),
        ("checkpoint", "CheckpointBackend"),
        ("bitsandbytes", "BitsandbytesBackend"),
    )
}
"""By name."""
