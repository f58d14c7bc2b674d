"""Single lines below the tables."""

from pytest_quantcheck.core.supplements import HolmRecord
from pytest_quantcheck.report.asides import also_failing


def test_holms_line_has_the_p_value_alone_and_that_over_the_family():
    found = HolmRecord(
        nodeid="test_a.py::test_triage[int4]",
        model="models/helpdesk",
        variant_label="int4 (nf4)",
        workload="triage",
        slice="refunds",
        keyword="max_flip_rate",
        p_fail=0.004,
        p_adjusted=0.032,
    )

    assert also_failing(found) == (
        "also failing (Holm): test_a.py::test_triage[int4]: max_flip_rate of int4 (nf4) on "
        "triage[refunds], p 0.004, 0.032 over the family"
    )
