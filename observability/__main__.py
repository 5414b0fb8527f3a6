"""`python -m observability …`: the command line (observability/cli.py)."""

import sys

from observability.cli import main

sys.exit(main(sys.argv[1:]))
