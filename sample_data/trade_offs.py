"""How are the audits of forms made that the sample fleet brings? `python sample_data/trade_offs.py`, where OBSERVABILITY_HOME holds the fleet.

Each audit is a real run of `observability trade-offs` on the machine that wrote the file, on predictions of the fleet: the shipped model file
with fewer trees and more threads, and a small network in fp32, fp16 and int8. CUDA is asked for too, where there is none, so that the silent
fallback to the processor is seen. Scores repeat exactly under the same libraries; times are those of that machine.
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = "trade_offs.jsonl"
MODELS = ("flights-late", "employment", "sentiment")


def main() -> None:
    """Run the audits and write them. They do not expire, so that the sample stays as it is."""
    lines = []
    for model in MODELS:
        command = [sys.executable, "-m", "observability", "trade-offs", model, "--provider", "cuda", "--json", "--dry-run"]
        record = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        del record["expires"]
        lines.append(json.dumps({**record, "received_at": record["at"]}, separators=(",", ":")))
    (HERE / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
