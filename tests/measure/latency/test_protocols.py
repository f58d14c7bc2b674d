"""Shapes and states of devices."""

import subprocess
import sys

from pytest_quantcheck.measure.latency.protocols import DeviceState, Shape
from pytest_quantcheck.measure.latency.throttling import Throttling


def test_a_shape_counts_its_requests():
    assert Shape(prompts=((1, 2), (3, 4), (5, 6)), new_tokens=8, mode="eager").batch_size == 3


def test_a_device_that_says_nothing_is_not_throttled():
    assert not Throttling().is_throttled(DeviceState(), DeviceState())


def test_protocols_import_no_torch():
    module = "pytest_quantcheck.measure.latency.protocols"
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
