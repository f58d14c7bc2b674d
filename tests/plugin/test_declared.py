"""Variants and adapters of `[tool.quantcheck]`, as the user's file states them."""

import pytest

from pytest_quantcheck.core.variant import AS_STORED, builtin_variant
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.plugin.declared import read_declared

USAGE = 4


@pytest.fixture
def declare(tmp_path):
    """Return what reads a pyproject.toml of these lines."""
    (tmp_path / "models").mkdir()

    def read(*lines):
        path = tmp_path / "pyproject.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return read_declared(path)

    return read


def test_without_a_file_there_are_the_built_in_variants(tmp_path):
    declared = read_declared(tmp_path / "pyproject.toml")

    assert declared.variants["int4"] == builtin_variant("int4")
    assert not declared.merges_adapter


def test_options_skips_and_checkpoints_are_kept(declare, tmp_path):
    found = declare(
        "[tool.quantcheck.adapter]",
        "merge = true",
        "[tool.quantcheck.variants.small]",
        'precision = "nf4"',
        "bnb_4bit_use_double_quant = true",
        'skip_modules = ["down_proj"]',
        "[tool.quantcheck.variants.awq]",
        'checkpoint = "acme/desk-awq"',
        'revision = "v2"',
        "[tool.quantcheck.variants.release-1]",
        'checkpoint = "models"',
        'precision = "fp16"',
    )

    small, awq, release = (found.variants[name] for name in ("small", "awq", "release-1"))
    assert found.merges_adapter
    assert small.label == "small (nf4, double quant)"
    assert small.skip_modules == ("down_proj",)
    assert (awq.precision, awq.backend, awq.is_quantized) == (AS_STORED, "checkpoint", True)
    assert (awq.checkpoint, awq.revision) == ("acme/desk-awq", "v2")
    assert (release.backend, release.is_quantized) == ("transformers", False)
    assert release.checkpoint == str(tmp_path / "models")


X = "[tool.quantcheck.variants.x]\n"
WRONG = {
    "key": (
        X + "precison = 'nf4'",
        "unknown key 'precison'; did you mean",
    ),
    "option": (
        "[tool.quantcheck.variants.nf4]\nbnb_4bit_quant = 1",
        "unknown key 'bnb_4bit_qu",
    ),
    "value": ("[tool.quantcheck.variants.int8]\nllm_int8_threshold = 'x'", "expected a number"),
    "said": (
        X + "load_in_4bit = true",
        "load_in_4bit is said by precision",
    ),
    "absent": (X + "checkpoint = './no'", "checkpoint='./no': no such"),
    "empty": (X + "checkpoint = ''", "checkpoint='': expected a string"),
    "number": (X + "checkpoint = 3", "checkpoint=3: expected a string"),
    "pin": ("[tool.quantcheck.variants.int8]\nrevision = 'v1'", "revision pins a checkpoint"),
    "folder": (
        X + "checkpoint = 'models'\nrevision = 'v1'",
        "revision pins a hub id, and 'models' is a folder",
    ),
    "adapter": (
        "[tool.quantcheck.adapter]\nmerged = true",
        "unknown key 'merged'; did you",
    ),
    "merge": ("[tool.quantcheck.adapter]\nmerge = 'yes'", "merge='yes': expected true or false"),
    "table": ("[tool.quantcheck]\nadapter = 'tone'", "[tool.quantcheck.adapter]: found 'tone'"),
    "unknown": ("[tool.quantcheck]\nmodel = 'x'", "unknown key 'model'; known: adapter, variants"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_declaration_names_its_table(declare, text, message):
    with pytest.raises(UsageError, match=r"pyproject\.toml: \[tool\.quantcheck") as caught:
        declare(text)
    assert message in str(caught.value)


def test_a_wrong_option_stops_the_run_before_anything_is_collected(project, how):
    project.settings(
        tables="[tool.quantcheck.variants.x]\nprecision = 'nf4'\nbnb_4bit_use_double_quant = 'no'"
    )
    project.tests("raise AssertionError")

    result = project.run(*how)

    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*bnb_4bit_use_double_quant='no': expected true or false*"])
