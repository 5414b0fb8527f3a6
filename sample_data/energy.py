"""Measure the energy of serving for the sample fleet. `python sample_data/energy.py`, where OBSERVABILITY_HOME holds the fleet.

Each record is a real run of `observability energy measure` on the machine that wrote the file. It measures the processor time of the
shipped model file, of half of its trees and of a small network in fp32 and int8, in batches of four sizes. Joules are that time times 4 W
per busy core (range 2 to 10 W), because the machine has no readable meter; each record states this. Only the date is moved; `made_at` keeps
the time when it ran.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = "energy.jsonl"
AT = "2024-11-29T23:40:00Z"
MODELS = ("flights-late", "flights-delay", "employment", "sentiment")
FORMS = "50 % of the trees,network fp32,network int8"


def main() -> None:
    """Run the measurements and write them."""
    lines = []
    for model in MODELS:
        command = [
            sys.executable,
            "-m",
            "observability",
            "energy",
            "measure",
            model,
            "--version",
            "1",
            "--forms",
            FORMS,
            "--json",
            "--dry-run",
        ]
        record = json.loads(subprocess.run([*command, "--seconds", "4"], check=True, capture_output=True, text=True).stdout)
        results = {**record["results"], "made_at": record["at"]}
        lines.append(json.dumps({**record, "at": AT, "received_at": AT, "results": results}, separators=(",", ":")))
        print(model, flush=True)
    (HERE / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
