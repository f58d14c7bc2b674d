"""Memory that runs out in the middle of a suite changes no verdict."""

from __future__ import annotations

import scarce_memory


def levels(run):
    return {
        (one["nodeid"], one["keyword"]): (
            one["reference_level"],
            one["variant_level"],
            one["value"],
        )
        for one in run["checks"]
    }


def test_out_of_memory_in_the_middle_of_a_suite_changes_no_verdict(checkpoint, tmp_path):
    model = checkpoint("llama").model
    ample, scarce = (
        scarce_memory.run_suite(tmp_path / name, model, device="cpu", n=40, filled=filled)
        for name, filled in (("ample", False), ("scarce", True))
    )

    assert len(scarce_memory.verdicts(ample)) == 7
    assert scarce_memory.verdicts(scarce) == scarce_memory.verdicts(ample)
    assert levels(scarce) == levels(ample)
    said = [one for one in scarce["warnings"] if "memory ran out" in one]
    assert {one.partition(",")[0] for one in said} == {"after", "letter"}
    assert all("packs of at most 2 sequences" in one for one in said)
    assert len(said) == 4  # reference and variant: both in the smaller packs
    assert not any("memory ran out" in one for one in ample["warnings"])
