"""Make the audits of forms of the sample fleet. `python -m sample_data.trade_offs --home HOME [--add FIGURE…]`

Each audit is a real run of `observability trade-offs`, on predictions of the fleet and on the machine that wrote the file. It compares the
shipped model file with fewer trees and more threads, and a small network in fp32, fp16, bf16 and int8. CUDA is requested too, although
there is none, to show the silent fallback to the processor. Decisions repeat exactly with the same libraries (CORE_TYPE); times are those
of that machine. Only the dates are moved, like those of the other audits (`audits.py`): `made_at` in the results is the time when it ran.

`--add kl_divergence memory_peak_mb` runs the forms again and adds these figures to the file. All other figures stay. It refuses a run
whose decisions or score differences differ from the file's.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sample_data.audits import dated

HERE = Path(__file__).resolve().parent
FILE = "trade_offs.jsonl"
PLAN = (("flights-late", 40), ("employment", 12), ("sentiment", 20))
"""Model, and number of days before its last served day."""
CORE_TYPE = "Haswell"
"""The kernels of OpenBLAS that train the network, so that it is the same on every processor with AVX2."""
REPEATED = ("form", "probes", "flips", "parent_flips", "max_delta", "p99_delta")
"""The figures that repeat: counts exactly, differences of scores to the last digits."""


def make(home: Path, out: Path, added: list[str]) -> None:
    """Run the audits on a home that holds the demo, and write the file, or only add some figures to the forms in it."""
    from observability.store.opener import open_store

    store = open_store(home)
    activity = store.activity()
    store.close()
    path = out / FILE
    kept = {each["model"]: each for each in map(json.loads, path.read_text(encoding="utf-8").splitlines())} if added else {}
    lines = []
    for model, days in PLAN:
        command = [
            sys.executable,
            "-m",
            "observability",
            "trade-offs",
            model,
            "--version",
            "1",
            "--provider",
            "cuda",
            "--json",
            "--dry-run",
        ]
        environment = os.environ | {"OBSERVABILITY_HOME": str(home), "OPENBLAS_CORETYPE": CORE_TYPE}
        record = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
        record = dated(record, activity[activity["model"] == model]["last"].max(), days)
        record = with_figures(kept[model], record, added) if added else record
        lines.append(json.dumps(record, separators=(",", ":")))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def with_figures(kept: dict[str, Any], again: dict[str, Any], added: list[str]) -> dict[str, Any]:
    """An audit of the file with some figures of another run of it. Raises ValueError if the runs decided differently."""
    forms = []
    for old, new in zip(kept["results"]["forms"], again["results"]["forms"], strict=True):
        if different := [name for name in REPEATED if not same_figure(old.get(name), new.get(name))]:
            raise ValueError(f"{kept['model']}, {old['form']}: {different[0]} is {new.get(different[0])}, was {old.get(different[0])}")
        forms.append(old | {name: new[name] for name in added if name in new})
    return kept | {"results": kept["results"] | {"forms": forms}}


def same_figure(old: Any, new: Any) -> bool:
    """Whether two figures are equal; for numbers with a fraction, to nine digits."""
    return math.isclose(old, new, rel_tol=1e-9) if isinstance(old, float) and isinstance(new, float) else old == new


def main() -> None:
    """Makes the file."""
    parser = argparse.ArgumentParser(description="Compares the forms of models of the sample fleet.")
    parser.add_argument("--home", type=Path, required=True, help="a home that holds the demo")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of this file)")
    parser.add_argument("--add", nargs="+", default=[], metavar="FIGURE", help="add only these figures to the forms in the file")
    options = parser.parse_args()
    make(options.home, options.out, options.add)


if __name__ == "__main__":
    main()
