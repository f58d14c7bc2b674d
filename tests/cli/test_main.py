"""The command itself: version, help, errors, and what it costs to start."""

import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_quantcheck.cli.main import COMMANDS, main

HEAVY = {"numpy", "scipy", "tabulate", "torch", "transformers", "bitsandbytes", "pytest"}
ROOT = Path(__file__).parent.parent.parent


def test_the_script_of_the_package_is_this_command():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["scripts"]["quantcheck"].partition(":")

    assert getattr(import_module(module), name) is main


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])

    assert stop.value.code == 0
    assert capsys.readouterr().out == f"quantcheck {version('pytest-quantcheck')}\n"


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "pytest_quantcheck", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == f"quantcheck {version('pytest-quantcheck')}\n"


def test_help_names_every_subcommand(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])

    assert stop.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, command in COMMANDS.items():
        assert f"{name} {command.SUMMARY}" in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_a_subcommand_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])

    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: quantcheck {name} ")
    assert COMMANDS[name].__doc__.splitlines()[0] in printed


def test_no_subcommand_and_a_wrong_one_are_refused(refused):
    assert "the following arguments are required: COMMAND" in refused()
    assert "invalid choice: 'sugest'" in refused("sugest")
    assert "unrecognized arguments: --loud" in refused("suggest-budgets", "run.json", "--loud")


def test_what_a_file_holds_gives_no_orders(tmp_path, refused):
    path = tmp_path / "run.json"
    path.write_text('{"schema_version": "a\\n::add-mask::e ##[add-mask]e"}', encoding="utf-8")

    said = refused("report", path)

    assert "add-mask" in said
    assert "##[" not in said
    assert not any(line.lstrip().startswith("::") for line in said.split("\n"))


def test_starting_it_loads_no_numerics_and_no_pytest():
    code = (
        "import sys, pytest_quantcheck.cli.main as m; m._parser()\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not HEAVY & set(done.stdout.split())
