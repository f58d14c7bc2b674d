"""A run is read with its examples, or refused with a reason."""

import pytest

from pytest_quantcheck.cli.runs import read_run
from pytest_quantcheck.core.examples import key_of
from pytest_quantcheck.errors import UsageError


def test_a_run_is_read_with_its_examples(saved):
    path = saved.answers().write()

    found = read_run(path)

    assert found.run.checks == saved.run.checks
    assert set(found.examples) == set(map(key_of, saved.lines))


def test_a_run_without_examples_has_none(saved):
    assert read_run(saved.write()).examples == {}


def test_a_missing_file_is_named(saved, tmp_path):
    with pytest.raises(UsageError, match=r"gone\.json: No such file .*pytest --quant-json=run"):
        read_run(tmp_path / "gone.json")
    (tmp_path / "gone.jsonl").touch()
    with pytest.raises(UsageError, match=r"run did not end, or not yet: name .*gone\.jsonl$"):
        read_run(tmp_path / "gone.json")
    path = saved.answers().write()
    path.with_name("run.examples.jsonl.gz").unlink()
    with pytest.raises(UsageError, match=r"run\.examples\.jsonl\.gz: No such file"):
        read_run(path)


def test_a_folder_and_other_bytes_are_refused(tmp_path):
    with pytest.raises(UsageError, match="Is a directory"):
        read_run(tmp_path)
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="expected JSON in UTF-8"):
        read_run(tmp_path / "x")


def test_the_examples_of_another_run_are_refused(saved):
    path = saved.answers().write()
    beside = path.with_name("run.examples.jsonl.gz")
    first = beside.read_bytes()
    saved.documents().write()
    beside.write_bytes(first)

    with pytest.raises(UsageError, match=r"run\.examples\.jsonl\.gz: its sha256 is .* another run"):
        read_run(path)
