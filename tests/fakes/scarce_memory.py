"""Backends with large packs whose memory runs out in the middle of a suite.

On a GPU a tensor really fills it; on a CPU a pass over the tokens of more than three sequences
fails from then on, as torch fails.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import torch
from other_process import plugin_options

from pytest_quantcheck.core.protocols import BackendSpec
from pytest_quantcheck.measure.backends.bitsandbytes import BitsandbytesBackend
from pytest_quantcheck.measure.backends.transformers import TransformersBackend
from pytest_quantcheck.measure.engine.causal import CausalModel
from pytest_quantcheck.measure.engine.loaded import Loaded
from pytest_quantcheck.measure.engine.plan import Limits

MIB = 2**20
LEFT_MIB = 160
ROOM = 3 * 75
"""Tokens; sequences have more than 70."""
LARGE = Limits(batch_tokens=2**22, logits=2**31)
SPECS = [
    BackendSpec(name=name, target=f"scarce_memory:{name.capitalize()}")
    for name in ("plain", "bits")
]
FILLED: list = []


def fill() -> None:
    """Take all memory but a little."""
    if not torch.cuda.is_available():
        FILLED.append("from now on")
        return
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    FILLED.append(torch.empty(free - LEFT_MIB * MIB, dtype=torch.uint8, device="cuda"))


def _scarce(loaded: CausalModel) -> CausalModel:
    """Return the same model in large packs, with memory that can run out."""
    model = loaded.model
    body = model.base_model
    forward = body.forward

    @functools.wraps(forward)
    def forward_or_fail(input_ids: torch.Tensor, *args: object, **options: object) -> object:
        if FILLED == ["from now on"] and input_ids.numel() > ROOM:
            raise torch.OutOfMemoryError("filled")
        return forward(input_ids, *args, **options)

    body.forward = forward_or_fail
    parts = Loaded(
        model=model,
        tokenizer=loaded.tokenizer,
        device=loaded.device,
        compute_dtype=loaded.compute_dtype,
        weights=loaded.weights,
    )
    return CausalModel(parts, limits=LARGE)


class Plain(TransformersBackend):
    """An unquantized variant."""

    def load(self, variant: object, source: object) -> CausalModel:
        return _scarce(super().load(variant, source))


class Bits(BitsandbytesBackend):
    """A quantized variant."""

    def load(self, variant: object, source: object) -> CausalModel:
        return _scarce(super().load(variant, source))


PYPROJECT = """\
[tool.pytest.ini_options]
quant_variants = ["nf4"]
quant_reference = "fp16"
quant_sequential = "off"
[tool.quantcheck.variants.fp16]
backend = "plain"
precision = "fp16"
[tool.quantcheck.variants.nf4]
backend = "bits"
precision = "nf4"
"""
CONFTEST = "import scarce_memory\ndef pytest_quantcheck_backends(): return scarce_memory.SPECS\n"
SUITE = """
import os, random
import pytest, scarce_memory
from pytest_quantcheck import Generation, MultipleChoice, regex

N = int(os.environ["EXAMPLES"])

def digits(i):
    return "".join(random.Random(i).choices("0123456789", k=70))

def quiz(name, n):
    return MultipleChoice.from_examples(
        [{"context": digits(f"{name}{i}"), "choices": [" 1", " 2"], "answer": i % 2}
         for i in range(n)], name=name)

before, after = quiz("before", 40), quiz("after", N)

def essay(name, n):
    return Generation.from_examples(
        [{"prompt": digits(f"{name}{i}")} for i in range(n)], name=name, max_new_tokens=8,
        score=regex("[a-m]"))

note, letter = essay("note", 4), essay("letter", 40)

@pytest.mark.quant_budget(workload=before, max_accuracy_drop=0.4, max_flip_rate=0.01)
@pytest.mark.quant_budget(workload=note, max_regex_match_drop=0.4)
def test_before(quant): ...

def test_fill():
    if os.environ["FILL"] == "1":
        scarce_memory.fill()

@pytest.mark.quant_budget(workload=after, max_accuracy_drop=0.4, max_flip_rate=0.01)
def test_after(quant): ...

@pytest.mark.quant_budget(workload=letter, max_regex_match_drop=0.4, max_flip_rate=0.01)
def test_letter(quant): ...
"""


def run_suite(folder: Path, model: str, *, device: str, n: int, filled: bool) -> dict:
    """Return the run of the suite as JSON, with memory filled after its first test or not."""
    folder.mkdir()
    for name, text in (
        ("pyproject.toml", PYPROJECT),
        ("conftest.py", CONFTEST),
        ("test_suite.py", SUITE),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    root = Path(__file__).parent.parent.parent
    paths = [str(Path(__file__).parent), str(root), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin_options(), "-p", "no:randomly",
         "-p", "no:cacheprovider", f"--quant-model={model}", f"--quant-device={device}",
         "--quant-json=run.json"],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {
            "PYTHONPATH": os.pathsep.join(paths), "FILL": str(int(filled)), "EXAMPLES": str(n),
        },
    )  # fmt: skip
    sys.stdout.write(done.stdout[-6000:] + done.stderr[-2000:])
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def verdicts(run: dict) -> dict[tuple[str, str], str]:
    """Return the outcome of every budget."""
    return {(one["nodeid"], one["keyword"]): one["outcome"] for one in run["checks"]}
