"""`python -m pytest_quantcheck`: the command where no script of it is installed."""

import sys

from pytest_quantcheck.cli.main import main

sys.exit(main())
