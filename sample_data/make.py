"""Make the whole sample fleet again from its sources. `python sample_data/make.py`

Fetches three pinned packages, trains four models and a second version of one, serves them with two workers through the product's own
`Logger`, and writes the files of this folder. Scores repeat exactly with the same versions of LightGBM and numpy; latencies and training
times are measured anew.
"""

import sys
from pathlib import Path


def main() -> None:
    """Makes the fleet, with the project's root on the import path."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from sample_data import fleet

    fleet.main()


if __name__ == "__main__":
    main()
