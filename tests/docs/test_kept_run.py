"""The example's run is kept, and verified: as it is, and with whatever may change changed."""

import altered_examples
import pytest
from shown import ROOT, example

from pytest_quantcheck.cli.main import main

KEPT = ROOT / "example_project" / "report" / "run.json"
LARGEST_BYTES = 1_000_000


@pytest.fixture
def verify(capsys):
    def verify(*arguments):
        status = main(["verify", *map(str, arguments)])
        return status, capsys.readouterr().out.splitlines()

    return verify


def one_score(record):
    """Turn the first right answer of int4 on the tickets."""
    if (record["workload"], record["variant"]) == ("triage", "int4"):
        values = record["scores"][0]["values"]
        values[values.index(1.0)] = 0.0


def test_the_kept_run_is_small_and_verified(verify):
    assert sum(path.stat().st_size for path in KEPT.parent.glob("run.*")) < LARGEST_BYTES

    status, printed = verify(KEPT, "--root", KEPT.parent.parent)

    assert (status, printed[-1]) == (0, "quantcheck verify: verified"), "\n".join(printed)


def test_each_change_is_found_and_named(verify, tmp_path):
    project = example(tmp_path, is_tutorial=False)
    run = project / "report" / "run.json"
    altered_examples.rewrite(run, one_score, is_signed=True)
    weights = project / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    shelf = project / "data" / "shelf.jsonl"
    first, rest = shelf.read_text(encoding="utf-8").split("\n", 1)
    shelf.write_text(first.replace('"context": "', '"context": "A') + "\n" + rest, encoding="utf-8")
    tests = project / "tests" / "test_helpdesk.py"
    text = tests.read_text(encoding="utf-8")
    tests.write_text(text.replace("max_perplexity_ratio=1.06", "max_perplexity_ratio=1.07"))

    status, printed = verify(run, "--root", project)

    assert status == 1
    found = [line for line in printed if not line.startswith("note: ")]
    place = "tests/test_helpdesk.py::"
    drop = f"verdict: {place}test_triage[int4]: max_accuracy_drop on triage: value "
    assert any(line.startswith(drop) for line in found)
    assert {line.partition(": ")[0] for line in found[:-4]} == {"verdict"}
    assert found[-4].startswith(
        f"budget: {place}test_manual[int4]: max_perplexity_ratio on manual: limit was 1.06 when it "
        "was decided, it is 1.07 at tests/test_helpdesk.py:"
    )
    assert found[-3].startswith("examples: shelf: its examples, or how they are scored, are not")
    assert found[-2] == "model: model: model.safetensors is not the file that was measured"
