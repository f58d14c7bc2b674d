"""Measures many small workloads on a slow reference, and prints what it found.

usage: measuring.py STORE
"""

from __future__ import annotations

import json
import sys
import uuid
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "fakes"))

from quantcheck_fake import VERSIONED

from pytest_quantcheck import MultipleChoice
from pytest_quantcheck.core.variant import Variant
from pytest_quantcheck.measure.archive import Archive
from pytest_quantcheck.measure.course import Portion
from pytest_quantcheck.measure.identity import identity_of
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.store.disk import Store
from pytest_quantcheck.store.files import FileDigests

N_WORKLOADS = 30
N_PARTS = 3
REFERENCE = Variant(name="fp16", precision="slow-2", backend="fake")


def workload(name: str, n: int) -> MultipleChoice:
    """Return questions that no other workload asks."""
    rows = [
        {"context": f"{name} {number}:", "choices": [" right", " wrong"], "answer": 0}
        for number in range(n)
    ]
    return MultipleChoice.from_examples(rows, name=name)


def main(folder: Path) -> None:
    """Measure everything, keep it in `folder`, and print the scores."""
    (spec,) = VERSIONED
    source = ModelSource(model=str(folder.parent), device="cpu")
    identify = partial(identity_of, source=source, backend=spec, files=FileDigests(None))
    archive = Archive(
        Store(folder),
        identify=lambda variant: identify(variant) if variant == REFERENCE else None,
        environment={"device": "a CPU"},
        run=uuid.uuid4().hex,
    )
    pool = Pool({"fake": spec}, source, 1.0)
    portion = Portion(batched_from=2 * N_PARTS, batch_ends=lambda *_: (2, 4, 6))
    runner = Runner(pool, reference=REFERENCE, archive=archive, portion=portion)
    found = {}
    for one in [
        *(workload(f"w{i}", 1) for i in range(N_WORKLOADS)),
        workload("parts", 2 * N_PARTS),
    ]:
        measured = runner.measure(REFERENCE, one)
        scores = {name: each.values.tolist() for name, each in measured.scores.items()}
        found[one.name] = [scores, [output.margin for output in measured.outputs]]
    weights = runner.weights(REFERENCE).stored_bytes
    result = {"found": found, "weights": weights, "notices": [*archive.notices]}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
