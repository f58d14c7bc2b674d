"""`quantcheck doctor`: what is missing is named, with what mends it, and nothing makes it fail."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest

import pytest_quantcheck
from pytest_quantcheck.cli.checkup import Machine, State, examine
from pytest_quantcheck.cli.main import main

H100 = {"name": "NVIDIA H100", "capability": "9.0", "bytes": 80 * 2**30}
WORKS = {"int8 on cpu": "", "int4 on cpu": ""}


def machine(tmp_path, *, devices=(), cuda=None, driver="", works=WORKS, **fields):
    """Return a machine whose torch says this, under a driver or none."""
    said = {"cuda": cuda, "devices": [*devices], "bitsandbytes": works}
    (tmp_path / "driver").write_text(f"{driver}\nGCC version", encoding="utf-8")
    environment = dict(os.environ) | {"QUANTCHECK_CACHE": str(tmp_path / "a" / "b")}
    environment.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD", None)
    given = {
        "environment": environment | fields.pop("environment", {}),
        "driver": tmp_path / ("driver" if driver else "none"),
        "probe": (sys.executable, "-c", f"print({json.dumps(json.dumps(said))})"),
    }
    return Machine(**given | fields)


def found(machine, *, require_gpu=False):
    return {one.name: one for one in examine(machine, require_gpu=require_gpu)}


def test_a_machine_with_a_gpu_is_ready(tmp_path):
    both = WORKS | {"int8 on cuda": "", "int4 on cuda": ""}
    seen = found(machine(tmp_path, devices=[H100], cuda="12.6", driver="NVRM 570", works=both))

    assert seen["gpu"].text == "NVIDIA H100, 80 GiB, compute capability 9.0"
    assert seen["int4 on cuda"].text == "quantizes and runs"
    assert {"torch", "transformers", "bitsandbytes", "pytest", "numpy"} <= set(seen)
    assert "ruff" not in seen
    assert all(one.state is not State.WRONG for one in seen.values())
    assert " GiB free" in seen["cache"].text


def test_no_gpu_is_a_fault_only_where_one_is_asked_for(tmp_path):
    here = machine(tmp_path)

    assert found(here)["gpu"].state is State.ABSENT
    assert found(here, require_gpu=True)["gpu"].state is State.WRONG


def test_torch_for_the_cpu_under_a_driver_is_a_fault(tmp_path):
    gpu = found(machine(tmp_path, driver="NVRM version: 570"))["gpu"]

    assert gpu.state is State.WRONG
    assert gpu.text == "there is a driver (NVRM version: 570), and torch is built for the CPU alone"
    assert gpu.mend == "pip install --force-reinstall torch"


def test_a_driver_that_torch_cannot_use_is_a_fault(tmp_path):
    gpu = found(machine(tmp_path, driver="NVRM version: 470", cuda="12.6"))["gpu"]

    assert gpu.state is State.WRONG
    assert "torch for CUDA 12.6 finds none under the driver" in gpu.text
    assert "update the NVIDIA driver" in gpu.mend


def test_a_precision_that_does_not_run_is_a_fault(tmp_path):
    works = WORKS | {"int8 on cpu": "RuntimeError: no kernel"}

    int8 = found(machine(tmp_path, works=works))["int8 on cpu"]

    assert (int8.state, int8.text) == (State.WRONG, "RuntimeError: no kernel")
    assert int8.mend == "pip install --upgrade bitsandbytes"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise ImportError('libcudart.so.12: cannot open')", "ImportError: libcudart.so.12"),
        ("import os; os.abort()", "exit status -6"),
        ("print('hello')", "JSONDecodeError"),
        ("pass", "IndexError"),
    ],
)
def test_a_torch_that_is_broken_is_an_observation(tmp_path, code, said):
    torch = found(machine(tmp_path, probe=(sys.executable, "-c", code)))["torch"]

    assert torch.state is State.WRONG
    assert said in torch.text
    assert torch.mend.startswith("pip install --force-reinstall torch")


def test_packages_that_are_missing_or_old_are_named_with_their_command(tmp_path):
    needed = (
        "imaginary>=2",
        "numpy>=99",
        "pytest>=9.0",
        'gone>=1; extra == "html"',
        'none-of-it; extra == "peft"',
        "unseen; extra == 'test'",
    )

    seen = found(machine(tmp_path, requirements=needed))

    assert (seen["imaginary"].state, seen["imaginary"].mend) == (
        State.WRONG,
        "pip install 'imaginary>=2'",
    )
    assert "but >=99 is needed" in seen["numpy"].text
    assert seen["pytest"].state is State.FINE
    assert (seen["gone"].state, seen["gone"].mend) == (
        State.ABSENT,
        "pip install 'pytest-quantcheck[html]'",
    )
    assert seen["gone"].text == "not installed; needed for: the page of --quant-html"
    assert seen["none-of-it"].text == "not installed; needed for: LoRA adapters"
    assert "unseen" not in seen
    assert seen["device"].text == "not looked at while a package is missing"


def test_of_each_extra_it_is_known_whether_users_need_it_and_what_for(tmp_path):
    project = Path(__file__).parents[2] / "pyproject.toml"
    extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    needed = tuple(f'missing-{extra}; extra == "{extra}"' for extra in extras)

    seen = found(machine(tmp_path, requirements=needed))

    absent = {name.removeprefix("missing-") for name in seen if name.startswith("missing-")}
    assert absent == extras.keys() - {"dev", "docs", "lint", "test"}
    assert not [one.text for one in seen.values() if "the extra" in one.text]


def test_a_plugin_that_pytest_does_not_load_is_a_fault(tmp_path):
    off = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    plugin = found(machine(tmp_path, environment=off))["plugin"]

    assert plugin.state is State.WRONG
    assert "pytest -p pytest_quantcheck.plugin" in plugin.mend


def test_a_package_that_is_only_on_the_path_is_a_fault(tmp_path, monkeypatch):
    discover = Distribution.discover
    monkeypatch.setattr(
        Distribution,
        "discover",
        lambda **about: (one for one in discover(**about) if one.name != "pytest-quantcheck"),
    )

    seen = found(machine(tmp_path))

    assert (seen["plugin"].state, seen["plugin"].mend) == (
        State.WRONG,
        "pip install pytest-quantcheck",
    )
    assert "is not installed, only on the path" in seen["plugin"].text
    assert seen["int4 on cpu"].state is State.FINE


def test_it_needs_no_package_but_itself(tmp_path):
    (tmp_path / "pytest_quantcheck").symlink_to(Path(pytest_quantcheck.__file__).parent)
    code = (
        "from pytest_quantcheck.cli import checkup; import sys;"
        "here = checkup.Machine(environment={}, probe=(sys.executable, '-Sc', 'import torch'));"
        "print(*(one.text for one in checkup.examine(here, require_gpu=False)), sep='\\n')"
    )
    for command in (["-m", "pytest_quantcheck", "doctor", "--help"], ["-c", code]):
        done = subprocess.run(
            [sys.executable, "-S", *command],
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )

    assert "the package is not installed, only on the path" in done.stdout
    assert "cannot be used: " in done.stdout
    assert "No module named 'torch'" in done.stdout


def test_a_cache_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    off = {"QUANTCHECK_CACHE": str(tmp_path / "file" / "below")}

    cache = found(machine(tmp_path, environment=off))["cache"]

    assert cache.state is State.ABSENT
    assert "weights are quantized anew in every run" in cache.text


def test_on_this_machine_it_ends_well(capsys):
    status = main(["doctor"])

    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "\n ok int4 on cpu         quantizes and runs\n" in printed
    assert printed.endswith("quantcheck doctor: ready\n")
