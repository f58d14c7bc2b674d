"""Time a whole suite, from loading to verdicts, against lm-evaluation-harness run three times.

usage: suite_cost.py --model FOLDER --data FOLDER [--limit N] [--device auto] [--phases …]
                     [--seconds 110] [--json FILE]

The suite has 3 workloads (HellaSwag, ARC-Easy, BoolQ) and 2 variants (int8, nf4), and runs through
pytest: cold (nothing stored), warm (the reference's results stored), and both with early stopping.
lm-evaluation-harness scores the same examples in fp16, int8 and nf4, in batches of 64. All of it
happens in one process that has imported everything before, so that seconds are those of loading
models, scoring and deciding; a second table says which. No phase begins after --seconds. DATA holds
hellaswag.jsonl, arc_easy.jsonl and boolq.jsonl (`id context choices gold`).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from common.peer import LARGEST_BATCH, peer_version, quiet
from common.phases import show_phases, timed_phases
from common.plain import load_plain
from common.plugin import plugin_options

from pytest_quantcheck.measure.device import choose_device

WORKLOADS = ("hellaswag", "arc_easy", "boolq")
VARIANTS = ("fp16", "int8", "nf4")
PHASES = ("harness", "cold", "warm", "cold early", "warm early")
_WARM_UP_ITEMS = 8
_SUITE = """
import pytest
from pytest_quantcheck import MultipleChoice

{workloads}

@pytest.mark.quant_budget("int8", workload=hellaswag, max_accuracy_drop=0.05)
@pytest.mark.quant_budget("nf4", workload=hellaswag, max_accuracy_drop=0.05)
def test_hellaswag(quant): ...


@pytest.mark.quant_budget("int8", workload=arc_easy, max_accuracy_drop=0.10)
@pytest.mark.quant_budget("nf4", workload=arc_easy, max_accuracy_drop=0.20)
def test_arc_easy(quant): ...


@pytest.mark.quant_budget("int8", workload=boolq, max_flip_rate=0.20)
@pytest.mark.quant_budget("nf4", workload=boolq, max_flip_rate=0.10)
def test_boolq(quant): ...
"""
_SETTINGS = """
[tool.pytest.ini_options]
quant_model = "{model}"
quant_variants = ["int8", "nf4"]
quant_reference = "fp16"
"""


def write_suite(folder: Path, model: Path, data: Path, limit: int | None) -> None:
    """Write a suite as a user would, its data beside it."""
    for name in WORKLOADS:
        lines = (data / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:limit]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    made = [
        f'{name} = MultipleChoice.from_jsonl("{name}.jsonl", fields={{"answer": "gold"}})'
        for name in WORKLOADS
    ]
    text = _SUITE.format(workloads="\n".join(made))
    (folder / "test_suite.py").write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(_SETTINGS.format(model=model), encoding="utf-8")


class Suite:
    """Runs the suite in this process, again and again.

    Parameters
    ----------
    folder : Path
        Where it is.
    options : sequence of str
        For every run.
    """

    def __init__(self, folder: Path, options: list[str]) -> None:
        self._folder = folder
        self._options = options

    def run(self, name: str, *options: str) -> dict[str, Any]:
        """Return the seconds, by phase too, and verdicts of one run."""
        record = self._folder / f"{name.replace(' ', '-')}.json"
        shown = io.StringIO()
        started = time.perf_counter()
        with (
            timed_phases() as phases,
            contextlib.redirect_stdout(shown),
            contextlib.redirect_stderr(shown),
        ):
            status = pytest.main(
                [
                    str(self._folder),
                    f"--rootdir={self._folder}",
                    "-c",
                    str(self._folder / "pyproject.toml"),
                    "-p",
                    "no:cacheprovider",
                    "--import-mode=importlib",
                    "-q",
                    *plugin_options(),
                    f"--quant-json={record}",
                    *self._options,
                    *options,
                ]
            )
            by_phase = phases.stop()
        seconds = time.perf_counter() - started
        _free()
        if not record.exists():
            raise RuntimeError(
                f"pytest wrote no record (exit status {status}):\n{shown.getvalue()}"
            )
        checks = json.loads(record.read_text(encoding="utf-8"))["checks"]
        if len(checks) < len(WORKLOADS) * (len(VARIANTS) - 1):
            print(f"{name}: not every budget got a verdict\n{shown.getvalue()}", flush=True)
        return {
            "seconds": seconds,
            "by_phase": by_phase,
            "status": int(status),
            "verdicts": {_key(one): one["outcome"] for one in checks},
            "examples": {_key(one): one.get("n") for one in checks},
        }


def _key(check: dict[str, Any]) -> str:
    return f"{check['variant']} {check['workload']} {check['keyword']}"


def harness(model: str, data: Path, device: str) -> dict[str, Any]:
    """Return what lm-evaluation-harness takes for all variants, loading included."""
    found: dict[str, Any] = {"seconds": 0.0, "accuracy": {}, "by_variant": {}}
    works = {name: _read(data / f"{name}.jsonl") for name in WORKLOADS}
    for variant in VARIANTS:
        started = time.perf_counter()
        scorer = _load(model, variant, device)
        for name, items in works.items():
            found["accuracy"][f"{variant} {name}"] = _accuracy(scorer, items)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        found["by_variant"][variant] = time.perf_counter() - started
        found["seconds"] += found["by_variant"][variant]
        del scorer
        _free()
    return found


def _read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _load(folder: str, variant: str, device: str) -> Any:  # noqa: ANN401 - no types
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = load_plain(folder, variant, device)
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=LARGEST_BATCH, device=device)


def _accuracy(scorer: Any, items: list[dict[str, Any]]) -> float:  # noqa: ANN401
    from lm_eval.api.instance import Instance

    asked = [
        Instance(
            request_type="loglikelihood", doc={}, arguments=(item["context"], choice), idx=place
        )
        for item in items
        for place, choice in enumerate(item["choices"])
    ]
    nats = iter(scorer.loglikelihood(asked, disable_tqdm=True))
    right = 0
    for item in items:
        mine = [next(nats)[0] for _ in item["choices"]]
        right += int(np.argmax(mine)) == item["gold"]
    return right / len(items)


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of every phase."""
    device = choose_device(arguments.device)
    found: dict[str, Any] = {"device": device.name, "lm_eval": peer_version(), "phases": {}}
    model = arguments.model.resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_suite(folder, model, arguments.data.resolve(), arguments.limit)
        suite = Suite(folder, [f"--quant-device={arguments.device}"])
        suite.run("warm-up", f"--quant-limit={_WARM_UP_ITEMS}", "--quant-no-store")
        if peer_version():
            import_module("lm_eval.models.huggingface")
        started = time.perf_counter()
        for phase in arguments.phases.split(","):
            if time.perf_counter() - started > arguments.seconds:
                print(f"no time for {phase}", flush=True)
            elif phase != "harness":
                found["phases"][phase] = suite.run(phase, *_options(phase, folder))
            elif peer_version():
                with quiet():
                    found["phases"][phase] = harness(str(model), folder, device.device)
            if phase in found["phases"]:
                print(f"{phase}: {json.dumps(found['phases'][phase])}", flush=True)
                _write(found, arguments.json)
    return found


def _options(phase: str, folder: Path) -> tuple[str, str]:
    """Return a store that early stopping shares with early stopping only, and whether to stop."""
    is_early = phase.endswith("early")
    store = folder / ("store-early" if is_early else "store")
    return f"--quant-store={store}", f"--quant-sequential={'on' if is_early else 'off'}"


def _write(found: dict[str, Any], out: Path | None) -> None:
    if out:
        out.write_text(json.dumps(found, indent=1), encoding="utf-8")


def show(found: dict[str, Any]) -> None:
    """Print a Markdown table of the phases, and whether verdicts agree."""
    phases = found["phases"]
    theirs = phases.get("harness")
    print("\n| run | seconds | lm-eval three times, over it | verdicts as with all examples |")
    print("| --- | --- | --- | --- |")
    for phase, row in phases.items():
        ratio = f"{theirs['seconds'] / row['seconds']:.1f}" if theirs else "absent"
        print(f"| {phase} | {row['seconds']:.2f} | {ratio} | {_agreement(row, phases)} |")
    show_phases({name: row["by_phase"] for name, row in phases.items() if "by_phase" in row})


def _agreement(row: dict[str, Any], phases: dict[str, Any]) -> str:
    if "verdicts" not in row or "cold" not in phases:
        return ""
    whole = phases["cold"]["verdicts"]
    same = sum(row["verdicts"].get(key) == outcome for key, outcome in whole.items())
    return f"{same} of {len(whole)}"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="the first lines of each file only")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--seconds", type=float, default=110)
    parser.add_argument("--json", type=Path)
    show(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
