"""Two tiny models and a LoRA adapter in one suite, loaded for real on the CPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest
import tiny_checkpoints
import tiny_models
from other_process import plugin_options

from pytest_quantcheck import Documents
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.measure.backends import BUILTIN_BACKENDS
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.stats.scores import metric_level

pytest.importorskip("peft", reason="builds the adapter")

TEXTS = [f"the thing number {i} and then the {'in' * (i % 3)} other" for i in range(24)]
PYPROJECT = """
[tool.pytest.ini_options]
quant_model = "desk"
quant_variants = ["int8", "nf4"]
quant_device = "cpu"

[tool.quantcheck.variants.release-1]
checkpoint = "other"
precision = "fp16"

[tool.quantcheck.variants.saved]
checkpoint = "saved"

[tool.quantcheck.variants.awq]
checkpoint = "awq"
"""
CONFTEST = """
import gc, json
import torch, transformers

seen = []

def pytest_quantcheck_record(record):
    gc.collect()
    alive = [o for o in gc.get_objects() if issubclass(type(o), transformers.PreTrainedModel)]
    tops = [m for m in alive if type(m).__name__ == "LlamaForCausalLM"]
    tops = [m for m in tops if type(m.model).__name__ == "LlamaModel"]  # a head alone is small
    tops = [m for m in tops if m.device.type != "meta"]  # names and shapes take nothing
    size = sum(p.numel() * p.element_size() for m in tops for p in m.parameters())
    seen.append([record.model, record.variant, len(tops), size])

def pytest_unconfigure():
    with open("memory.json", "w") as file:
        json.dump(seen, file)
"""
SUITE = f"""
import pytest
from pytest_quantcheck import Documents

manual = Documents.from_examples([{{"text": text}} for text in {TEXTS!r}], name="manual")
budget = pytest.mark.quant_budget(workload=manual, max_perplexity_ratio=9.0)

@budget
def test_desk(quant): ...

@pytest.mark.quant_model("other")
@budget
def test_other(quant): ...

@pytest.mark.quant_model(adapter="tone")
@budget
def test_tone(quant): ...
"""
MODELS = ("desk", "other", "desk + tone")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Build two models of one architecture, an adapter, and a quantized checkpoint."""
    folder = tmp_path_factory.mktemp("models")
    desk = tiny_models.save(folder / "desk", tiny_models.make_model("llama"))
    tiny_models.save(folder / "other", tiny_models.make_model("llama", seed=5))
    tiny_checkpoints.save_adapter(folder / "tone")
    tiny_checkpoints.save_bitsandbytes(desk, folder / "saved", load_in_8bit=True)
    awq = folder / "awq"
    shutil.copytree(desk, awq)
    config = json.loads((awq / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}
    (awq / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def write_suite(path, models):
    for folder in models.iterdir():
        (path / folder.name).symlink_to(folder)
    for name, text in (
        ("pyproject.toml", PYPROJECT),
        ("conftest.py", CONFTEST),
        ("test_suite.py", SUITE),
    ):
        (path / name).write_text(text, encoding="utf-8")


@pytest.fixture
def suite(pytester, models):
    write_suite(pytester.path, models)
    return pytester


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def run(folder, *args):
    """Return what the suite prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin_options(), "-p", "no:randomly",
         "--quant-json=run.json", *args],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"COLUMNS": "160", "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    sys.stdout.write(done.stdout + done.stderr)
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def whole(models, tmp_path_factory):
    """Run the suite once as it is; return where."""
    folder = tmp_path_factory.mktemp("whole")
    write_suite(folder, models)
    (folder / "printed.txt").write_text("\n".join(run(folder)), encoding="utf-8")
    return folder


def measured_directly(models):
    """Return the perplexity of each variant of each model, without the plugin."""
    workload = Documents.from_examples([{"text": text} for text in TEXTS], name="manual")
    desk = ModelSource(model=str(models / "desk"), device="cpu")
    sources = {
        "desk": desk,
        "other": replace(desk, model=str(models / "other")),
        "desk + tone": replace(desk, adapter=str(models / "tone")),
    }
    found = {}
    for name, source in sources.items():
        runner = Runner(Pool(BUILTIN_BACKENDS, source, 0.9), reference=builtin_variant("fp16"))
        for variant in ("fp16", "int8", "nf4"):
            measurement = runner.measure(builtin_variant(variant), workload)
            found[name, variant] = metric_level(measurement.scores["perplexity"])
        runner.close()
    return found


def test_each_model_is_measured_as_it_is_and_shown_by_itself(whole, models):
    printed = (whole / "printed.txt").read_text(encoding="utf-8").splitlines()
    found = read(whole, "run.json")

    assert pytest.RunResult.parse_summary_nouns(printed) == {"passed": 6}
    levels = {(m["model"], m["variant"]): m["level"] for m in found["measurements"]}
    assert levels == pytest.approx(measured_directly(models), rel=1e-6)
    assert len({round(level, 3) for level in levels.values()}) == 9
    assert [e["model"] for e in found["environments"]] == list(MODELS)
    revisions = {e["model"]: e["revision"] for e in found["environments"]}
    assert revisions["desk"] == revisions["desk + tone"] != revisions["other"]
    pytest.LineMatcher(printed).fnmatch_lines(
        [line for model in MODELS for line in (
            f"*quantcheck * {model} * fp16 (float32 compute) reference *6 budgets*",
            " manual*int8 (LLM.int8)*PASS",
            " manual*nf4*PASS",
            " fp16 (float32 compute)*1.00 *",
        )]
    )  # fmt: skip


def test_memory_of_a_model_is_given_back_when_the_next_one_needs_it(whole, suite):
    ample = read(whole, "memory.json")
    run(suite.path, "--quant-vram-fraction=1e-9", "--quant-no-store")
    tight = read(suite.path, "memory.json")

    order = [(model, variant) for model in MODELS for variant in ("int8", "nf4")]
    assert [(model, variant) for model, variant, _, _ in ample] == order
    assert [count for _, _, count, _ in ample] == [2, 3, 5, 6, 8, 9]
    assert [count for _, _, count, _ in tight] == [1] * 6
    assert max(size for *_, size in tight) < max(size for *_, size in ample) / 5


REFERENCES = {
    "bf16": "bf16 (float32 compute)",
    "release-1": "release-1 (fp16, float32 compute)",
    "int8": "int8 (LLM.int8)",
    "saved": "saved (bitsandbytes LLM.int8)",
}


@pytest.mark.parametrize("name", REFERENCES)
def test_any_variant_is_a_reference_under_its_own_label(suite, name):
    result = suite.runpytest_inprocess(
        "-p", "no:randomly", "-k", "test_desk and nf4", "--quant-json=run.json",
        f"--quant-reference={name}",
    )  # fmt: skip

    result.assert_outcomes(passed=1, deselected=5)
    found = read(suite.path, "run.json")
    (check,) = found["checks"]
    label = REFERENCES[name]
    assert check["reference_label"] == label == found["environment"]["reference_label"]
    (reference,) = [m for m in found["measurements"] if m["is_reference"]]
    assert (reference["variant"], reference["variant_label"]) == (name, label)
    result.stdout.fnmatch_lines([f"* desk * {label} reference *", f" {label} *1.00 *"])


def test_a_saved_checkpoint_is_decided_like_any_variant(suite):
    result = suite.runpytest_inprocess(
        "-p", "no:randomly", "-k", "test_desk", "--quant-json=run.json",
        "--quant-variants=saved,release-1",
    )  # fmt: skip

    checks = {check["variant"]: check for check in read(suite.path, "run.json")["checks"]}
    assert checks["saved"]["variant_label"] == "saved (bitsandbytes LLM.int8)"
    assert checks["saved"]["outcome"] == "pass"
    assert checks["release-1"]["variant_level"] != checks["release-1"]["reference_level"]
    assert result.ret in {0, 1}


@pytest.mark.skipif(find_spec("gptqmodel") is not None, reason="the package is here")
def test_a_checkpoint_whose_kernels_are_missing_is_skipped_and_names_their_package(suite):
    result = suite.runpytest_inprocess(
        "-p", "no:randomly", "-rs", "-k", "test_desk", "--quant-variants=awq"
    )

    result.assert_outcomes(skipped=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED*variant awq (awq 4-bit) needs gptqmodel*pip install*"])
