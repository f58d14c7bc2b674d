"""What tests of several rooms share is found here."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent / room) for room in ("fakes", "report")]
