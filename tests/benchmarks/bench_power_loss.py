"""Is any record lost that was acknowledged as on disk, if the power fails under load?

`python tests/benchmarks/bench_power_loss.py [--cuts 300] [--seconds 20]` puts a home under load (services that sync every record, batches
over HTTP, entries by people, checkpoints, restarts of the owner process) and records all calls to its files. It then cuts the power at the
given number of random calls, and opens what is left. In every second cut all unsynced data are lost; in the other cuts chance decides for
each part.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main(cuts: int, seconds: float, restarts: int, seed: int) -> None:
    """Record, cut and count. Ends with an error if an acknowledged record is lost."""
    from tests.support.power_load import cut_again_and_again, recorded_load

    if not (shutil.which("gcc") or shutil.which("cc")):
        print("skipped: the shim that records calls needs a C compiler (gcc or cc)")
        return
    with tempfile.TemporaryDirectory() as folder:
        recorded = recorded_load(Path(folder), seconds, restarts)
        kinds = Counter(call.call for call in recorded.calls())
        print(f"{sum(kinds.values()):,} calls recorded, {kinds['S']:,} syncs, {kinds['R']:,} renames; seed {seed}")
        begun = time.monotonic()
        found = cut_again_and_again(recorded, Path(folder) / "work", cuts, seed)
    lost, twice = sum(len(cut.lost) for cut in found), sum(len(cut.twice) for cut in found)
    mended = Counter(what[:60] for cut in found for what in cut.repairs)
    print(f"{len(found)} cuts, {max(cut.acknowledged for cut in found):,} records acknowledged by the last: {lost} lost, {twice} twice")
    print(f"repairs: {dict(mended) or 'none'}; {(time.monotonic() - begun) / len(found):.2f} s to build, open and compare one")
    assert lost == twice == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--restarts", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    main(**vars(parser.parse_args()))
