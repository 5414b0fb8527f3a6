"""`python -m observability …`: the command line (observability/cli/main.py)."""

import os
import sys

from observability.cli.main import main

# Matrices here are small: threads of the linear algebra that wait for each other cost more than twice the time of one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.exit(main(sys.argv[1:]))
