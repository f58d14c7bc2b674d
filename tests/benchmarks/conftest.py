"""Benchmarks are scripts: they and what they share are found where they are."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "benchmarks"))
