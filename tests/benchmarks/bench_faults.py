"""Each n-th write, sync, rename, open and truncate of writer, loader and owner process fails, once or permanently: is any acknowledged
record lost?

`python tests/benchmarks/bench_faults.py [--stride 1] [--parts writer,loader,owner]` lets the first call of each kind fail, then the second,
and so on until a run makes fewer calls, and counts the outcomes. Without arguments it takes only every 25th call.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main(stride: int, parts: list[str], seconds: float) -> None:
    """Test each part, and print a line for each kind of call. Ends with an error if a record was lost, stored twice or lost without a
    report."""
    from tests.support import faults

    if not (shutil.which("gcc") or shutil.which("cc")):
        print("skipped: the shim that makes calls fail needs a C compiler (gcc or cc)")
        return
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        shim, home = faults.compiled_shim(folder), folder / "home"
        ids = faults.waiting_home(folder / "empty", store=True)
        faults.waiting_home(folder / "new", store=False)
        runs: dict[str, list[tuple[str, Callable[[float], list[str]]]]] = {
            "writer": [(fsync, partial(faults.writer_command, home, fsync)) for fsync in ("always", "background")],
            "loader": [(kind, lambda _: faults.loader_command()) for kind in ("empty", "new")],
            "owner": [("new home", partial(faults.owner_command, home))],
        }
        for part in parts:
            for kind, command in runs[part]:
                for call in faults.CALLS:
                    begun, done, acknowledged, at = time.monotonic(), 0, 0, 1
                    reached = True
                    while reached and time.monotonic() - begun < seconds:
                        for forever in (False, True):
                            faults.without_marks(home)
                            if part == "loader":
                                shutil.copytree(folder / kind, home)
                            before = ids if part == "loader" else set()
                            fault = faults.Fault(call, at, forever)
                            found = faults.run_under_fault(shim, home, fault, command(1 if forever else 20), before)
                            done += found.reached
                            acknowledged += found.acknowledged if found.reached else 0
                            wrong += [
                                f"{part} {kind} {call} {at} {'for ever' if forever else 'once'}: {problem}" for problem in found.problems
                            ]
                            reached = found.reached
                        at += stride
                    end = "all" if not reached else f"up to the {at}th, time is over"
                    print(f"{part:<7}{kind:<11}{call:<9}{done:4d} faults ({end}), {acknowledged:,} records acknowledged", flush=True)
    print("\n".join(wrong) or "0 lost, 0 twice, every exit code told")
    assert not wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stride", type=int, default=25)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["writer", "loader", "owner"])
    parser.add_argument("--seconds", type=float, default=1e9, help="at most so long for each kind of call")
    main(**vars(parser.parse_args()))
