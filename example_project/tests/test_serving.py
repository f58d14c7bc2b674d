# ruff: noqa: ANN001, ANN201 - tests as a user writes them
"""What smaller weights may cost in time: one ticket at a time, on the device that runs the tests.

Kernels of 8 and 4 bits unpack weights as they go, so a small model gets slower. The limits on times
are wide enough for any CPU. On the GPU that serves, write what users would notice, such as 1.3, and
time the default of 60 pairs.
"""

import pytest

from pytest_quantcheck import Latency

ticket = Latency(prompt_tokens=64, new_tokens=8, batch_size=1, repeats=12, name="ticket")


@pytest.mark.quant_budget("int8", max_ttft_ratio=8, max_tpot_ratio=8, max_weight_memory_ratio=0.70)
@pytest.mark.quant_budget("int4", max_ttft_ratio=5, max_tpot_ratio=5, max_weight_memory_ratio=0.55)
def test_serving(quant):
    quant.measure(ticket)
