"""Is anything lost or stored twice when writers, the loader and the owner are killed again and again?

`python tests/benchmarks/bench_kills.py [--kills 500] [--events 1000000] [--pause 0.6]` kills processes (SIGKILL) at random moments, the
given number of times, while the given number of records is logged with the SDK and posted over HTTP. Then it compares the store with the
acknowledged records.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main(kills: int, events: int, pause: float, writers: int) -> None:
    """Kill, load, compare. Ends with an error if a record is lost or stored twice."""
    from tests.support.killing import compared, killed_again_and_again, seed_of_today

    seed, begun = seed_of_today(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        found = killed_again_and_again(home, kills, events, pause, writers, seed)
        took = time.monotonic() - begun
        outcome = compared(home, found.acknowledged)
    total = sum(kind.acknowledged for kind in outcome.values())
    lost, twice = sum(len(kind.lost) for kind in outcome.values()), sum(kind.twice for kind in outcome.values())
    named = ", ".join(f"{count} {kind}s" for kind, count in sorted(found.kills.items()))
    print(f"{found.kills.total()} kills ({named}) in {took:.0f} s, {total:,} records acknowledged: {lost} lost, {twice} twice")
    print(f"{found.loads} of the kills came while or after something was loaded; seed {seed}, load {os.getloadavg()[0]:.1f}")
    assert lost == twice == 0, [kind.lost[:5] for kind in outcome.values()]
    assert total >= events * 0.9


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--pause", type=float, default=0.6, help="seconds between two kills, on average")
    parser.add_argument("--writers", type=int, default=3)
    main(**vars(parser.parse_args()))
