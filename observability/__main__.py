"""The command line: `python -m observability …`, or `observability …` where the package is installed."""

import os
import sys

from observability.cli.main import main


def run() -> int:
    """Run the command line of this process and return its exit code."""
    # Matrices here are small: with several linear-algebra threads, which wait for each other, computing takes more than twice the time of
    # one thread.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
