"""A suite whose variant `slower` says that it takes 130 % of the reference's time and memory.

Each run takes one percent more or less, so that each figure is known.
"""

from __future__ import annotations

TABLES = """
[tool.quantcheck.variants.slower]
backend = "fake"
precision = "tempo-130"

[tool.quantcheck.variants.faster]
backend = "fake"
precision = "tempo-80"

[tool.quantcheck.variants.unmetered]
backend = "fake"
precision = "unmetered"
"""
SUITE = """
from pytest_quantcheck import Latency
chat = Latency(prompt_tokens=32, new_tokens=5, repeats=450, name="chat")
brief = Latency(prompt_tokens=32, new_tokens=5, name="brief")
sizes = Latency(prompt_tokens=32, new_tokens=5, batch_size=(1, 4), name="sizes")
"""


def budget(body="...", variant="slower", name="test_chat", **limits):
    """Return a test with a marker; a workload is written as it stands."""
    stated = ", ".join(
        f"{key}={value if key == 'workload' else repr(value)}" for key, value in limits.items()
    )
    return f"@pytest.mark.quant_budget({variant!r}, {stated})\ndef {name}(quant):\n    {body}\n\n"
