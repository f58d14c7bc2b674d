"""A GPU that somebody fills in the middle of a suite."""

from __future__ import annotations

import pytest
import scarce_memory

pytestmark = pytest.mark.gpu


def test_a_gpu_filled_in_the_middle_of_a_suite_changes_no_verdict(checkpoint, tmp_path):
    model = checkpoint("llama").model
    ample, scarce = (
        scarce_memory.run_suite(tmp_path / name, model, device="cuda", n=4000, filled=filled)
        for name, filled in (("ample", False), ("scarce", True))
    )

    assert len(scarce_memory.verdicts(ample)) == 7
    assert scarce_memory.verdicts(scarce) == scarce_memory.verdicts(ample)
    said = [one for one in scarce["warnings"] if "memory ran out" in one]
    assert len([one for one in said if one.startswith("after,")]) == 2
    assert not any("memory ran out" in one for one in ample["warnings"])
