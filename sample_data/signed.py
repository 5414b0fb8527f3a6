"""The audit that a risk owner accepted. `python -m sample_data.signed`

The record is of kind `signature`, as the form on the page *Audits* saves it. The person, the words and the day are invented; the accepted
figure is that of the real audit.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE, AUTHOR, DAYS = "signatures.jsonl", "Mara (sample)", 90
MODEL, VERSION, AUDIT = "employment", "1", "robustness"
NOTE = "{:.0f} % of rows keep a correct prediction at a cost of 0.25. Accepted until the next audit."


def make(out: Path) -> None:
    """Write the signature of the newest robustness audit of employment, dated two days after it."""
    audits = [json.loads(line) for line in (out / "audits.jsonl").read_text(encoding="utf-8").splitlines()]
    newest = max(
        (each for each in audits if (each["model"], each["version"], each["audit"]) == (MODEL, VERSION, AUDIT)), key=lambda each: each["at"]
    )
    at = datetime.fromisoformat(newest["at"]).astimezone(UTC) + timedelta(days=2, hours=3)
    until = (at + timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    record = {"kind": "signature", "at": at.isoformat(), "received_at": at.isoformat(), "author": AUTHOR, "model": MODEL}
    record |= {
        "subject": f"{AUDIT} audit of version {VERSION}",
        "until": until.isoformat(),
        "note": NOTE.format(100 * newest["results"]["headline"]["value"]),
        "source": "simulated",
    }
    (out / FILE).write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(HERE)
