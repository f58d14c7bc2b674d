"""Every option of the command line and its ini setting, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

OPTIONS = {
    "model": "hub id or folder of the model under test",
    "revision": "branch, tag or commit of the model, where it is a hub id",
    "adapter": "LoRA adapter of the model: hub id or folder",
    "variants": "variants of markers that name none, separated by commas [none]",
    "reference": "reference variant [auto: fp16, or bf16 if native]",
    "device": "auto, cpu, cuda or cuda:N [auto]",
    "alpha": "chance of a false FAIL in a run, and of each false PASS [0.05]",
    "gate": "regression (FAIL is red) or strict (only PASS is green) [regression]",
    "target": "population, or dataset: claims about these examples only [population]",
    "limit": "most examples of a workload, a seeded subset [all]",
    "sequential": "stop where every budget is decided: auto (from 2,000 examples), on, off [auto]",
    "family-size": "budgets that share alpha [auto: collected, rounded up]",
    "redact": "what reports leave out: off, text (prompts, outputs), ids (all of examples) [off]",
    "seed": "seed of subsets, and of the order of examples where measuring may stop early [0]",
    "store": "folder in which the reference's scores are kept between runs [pytest's cache]",
    "gpu-hour-cost": "price of an hour of the GPU, for the cost of a million tokens [none]",
    "vram-fraction": "share of free memory that models may take [0.85]",
}
"""Settings with a value: `--quant-NAME` and, with underscores, the ini key `quant_NAME`."""

FLAGS = {
    "noise-floor": "score the reference twice; what differs holds FAIL back [off]",
    "no-store": "measure the reference in every run, and keep nothing [off]",
    "require-gpu": "fail where there is no GPU, instead of measuring on the CPU [off]",
    "trust-remote-code": "run code that comes with the model [off]",
    "update-reference": "measure the reference anew, and replace what was kept of it [off]",
}

_SWITCH: dict[str, Any] = {"action": "store_true"}
_PATH: dict[str, Any] = {"metavar": "PATH"}
OF_A_RUN = {
    "json": ("write the run as JSON", _PATH),
    "html": ("write it as a page", _PATH),
    "github": (
        "step summary and annotations for GitHub Actions, without texts of examples",
        _SWITCH,
    ),
    "plan": (
        "print what each budget can show with its examples; no test runs, no model is loaded",
        _SWITCH,
    ),
}
"""Options that are asked of one run, and are no settings of a project."""

ALL_OPTIONS = (*OPTIONS, *FLAGS, *OF_A_RUN)


def key_of(name: str) -> str:
    """Return the ini key and the attribute of the option `--quant-NAME`."""
    return "quant_" + name.replace("-", "_")


def declare(parser: pytest.Parser) -> None:
    """Declare `--quant-…` and the ini settings `quant_…`."""
    group = parser.getgroup("quantcheck", "quality of quantized models")
    for name, text in OPTIONS.items():
        key = key_of(name)
        group.addoption(f"--quant-{name}", dest=key, metavar="VALUE", help=text)
        if name == "variants":
            parser.addini(key, text, type="args", default=None)
        else:
            parser.addini(key, text, type="string", default=None)
    for name, text in FLAGS.items():
        key = key_of(name)
        group.addoption(f"--quant-{name}", dest=key, default=None, action="store_true", help=text)
        parser.addini(key, text, type="bool", default=None)
    for name, (text, extra) in OF_A_RUN.items():
        group.addoption(f"--quant-{name}", dest=key_of(name), default=None, help=text, **extra)
