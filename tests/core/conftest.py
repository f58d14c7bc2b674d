"""What tests of several rooms share is found here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "fakes"))
