"""How does a store survive damaged files: flipped bits, truncated or missing files?

`python tests/benchmarks/bench_damage.py [--log-flips 150] [--cuts 60] [--store-flips 60] [--backups without,with]` damages copies of a home
in each way, the given number of times, without and with a backup. It opens each copy, loads waiting records and compares every row. No row
may be wrong without a report.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main(log_flips: int, cuts: int, store_flips: int, backups: list[str], seed: int) -> None:
    """Damage, open, compare; ends with an error if anything is silently wrong."""
    from tests.support.damage import DAMAGES, crashed_home, damaged_home, rows_of

    times = {"bit of the log": log_flips, "log cut": cuts, "bit of the store": store_flips, "store cut": cuts}
    silent, pick = [], random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for backup in backups:
            place = Path(folder) / backup
            home = crashed_home(place, backup == "with")
            expected = rows_of(shutil.copytree(home, place / "whole"))
            for name, (file, damage) in DAMAGES.items():
                found: Counter[str] = Counter()
                for _ in range(times.get(name, 1)):
                    copy = shutil.copytree(home, place / "damaged")
                    damage(copy / file, pick)
                    became = damaged_home(copy, expected)
                    found[became.outcome] += 1
                    silent += [f"{name}: {became.detail}"] if became.outcome == "silent" else []
                    shutil.rmtree(copy)
                told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
                print(f"{backup + ' backup':<16}{name:<18}{told}", flush=True)
    print(f"seed {seed}; {len(silent)} silent")
    assert not silent, silent


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log-flips", type=int, default=6)
    parser.add_argument("--cuts", type=int, default=4)
    parser.add_argument("--store-flips", type=int, default=6)
    parser.add_argument("--backups", type=lambda text: text.split(","), default=["without", "with"])
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    main(**vars(parser.parse_args()))
