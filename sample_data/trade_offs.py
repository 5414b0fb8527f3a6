"""Make the audits of forms of the sample fleet. `python -m sample_data.trade_offs --home HOME`

Each audit is a real run of `observability trade-offs` on the machine that wrote the file, on predictions of the fleet: the shipped model
file with fewer trees and more threads, and a small network in fp32, fp16, bf16 and int8. CUDA is asked for too, although there is none, so
that the silent fallback to the processor is seen. Scores repeat exactly under the same libraries; times are those of that machine. Only
the dates are moved, as those of the other audits (`audits.py`): `made_at` in the results says when it ran.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from sample_data.audits import dated

HERE = Path(__file__).resolve().parent
FILE = "trade_offs.jsonl"
PLAN = (("flights-late", 40), ("employment", 12), ("sentiment", 20))
"""Model, and days before its last served day."""


def make(home: Path, out: Path) -> None:
    """Run the audits on a home that holds the demo, and write the file."""
    from observability.store.opener import open_store

    store = open_store(home)
    activity = store.activity()
    store.close()
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
        environment = os.environ | {"OBSERVABILITY_HOME": str(home)}
        record = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
        lines.append(json.dumps(dated(record, activity[activity["model"] == model]["last"].max(), days), separators=(",", ":")))
    (out / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Makes the file."""
    parser = argparse.ArgumentParser(description="Compares the forms of models of the sample fleet.")
    parser.add_argument("--home", type=Path, required=True, help="a home that holds the demo")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of this file)")
    options = parser.parse_args()
    make(options.home, options.out)


if __name__ == "__main__":
    main()
