"""Make the audits of the sample fleet. `python -m sample_data.audits --home HOME`

Audits run for real on the shipped model files, against a home that holds the demo. Only their dates are moved: each audit is dated a fixed
number of days before the model's last served day, and `made_at` in its results is the time when it ran. The references of the LightGBM
models and of the sentiment model are rows that the shipped model was fitted on (training.py), so membership and leakage are audited with
`in_sample`. Version 2 of employment has learned canaries (canaries.py), version 1 has not. In the newest robustness audit of employment,
the attacker pays more for some features and may only raise schooling, because the settings require this since then. It also counts the
slices of SLICES.
"""

import argparse
import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from observability.core.finding import iso
from observability.core.time import aware_utc

HERE = Path(__file__).resolve().parent
FILE = "audits.jsonl"
PLAN = (
    ("employment", "1", "robustness", 0, 70),
    ("employment", "1", "robustness", 1, 12),
    ("employment", "1", "robustness", 2, 5),
    ("employment", "1", "membership", 0, 12),
    ("employment", "1", "explanations", 0, 12),
    ("employment", "1", "fairness", 0, 12),
    ("employment", "1", "leakage", 0, 12),
    ("employment", "2", "membership", 0, 8),
    ("flights-late", "1", "robustness", 0, 40),
    ("flights-late", "1", "membership", 0, 40),
    ("flights-late", "1", "explanations", 0, 130),
    ("flights-late", "1", "fairness", 0, 40),
    ("flights-late", "1", "leakage", 0, 40),
    ("sentiment", "1", "robustness", 0, 20),
    ("sentiment", "1", "explanations", 0, 20),
    ("sentiment", "1", "leakage", 0, 20),
)
"""Model, version, kind, seed, and days before the model's last served day."""
SLICES = {("employment", "1", "robustness", 2): ("MAR=married&SEX=female", "RELP=child")}
"""Slices that are watched while an audit runs; the fleet's own settings watch none."""


def dated(record: dict[str, Any], last: datetime, days_before: int) -> dict[str, Any]:
    """The record, dated the given number of days before the last served day (`at` and `received_at`); `made_at` keeps the time when
    it ran.
    """
    made, until = (datetime.fromisoformat(record[name]) for name in ("at", "expires"))
    at = aware_utc(last).replace(hour=6, minute=0, second=0, microsecond=0) - timedelta(days=days_before)
    results = {**record["results"], "made_at": record["at"]}
    return {**record, "at": iso(at), "received_at": iso(at), "expires": iso(at + (until - made)), "results": results}


def audit_key(record: dict[str, Any]) -> tuple[str, str, str, int]:
    """Model, version, kind and seed of an audit: the key that PLAN uses."""
    return record["model"], record["version"], record["audit"], record["results"]["seed"]


def make(home: Path, out: Path) -> None:
    """Run the audits of PLAN that are not yet in the file, in order, and write the file after each."""
    from observability.enrichment.audit_steps import AuditRequest
    from observability.enrichment.audits import run_audit
    from observability.store.opener import open_store
    from observability.worker.process import Worker

    path = out / FILE
    kept = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    known = set(map(audit_key, kept))
    worker, store = Worker(), open_store(home)
    try:
        activity = store.activity()
        for model, version, kind, seed, days in PLAN:
            if (model, version, kind, seed) in known:
                continue
            request = AuditRequest(model, version, kind, in_sample=kind in ("membership", "leakage"), seed=seed)
            watched = SLICES.get((model, version, kind, seed))
            settings = store.catalog().model(model).settings
            with store.under({model: replace(settings, slices=watched)}) if watched else nullcontext():
                record = run_audit(store, worker, request, lambda *_: None)
            kept.append(dated(record, activity[activity["model"] == model]["last"].max(), days))
            kept.sort(key=lambda each: next(place for place, plan in enumerate(PLAN) if plan[:4] == audit_key(each)))
            path.write_text("".join(json.dumps(each, separators=(",", ":")) + "\n" for each in kept), encoding="utf-8")
            print(f"{model} {version} {kind}: {record['results']['headline']['value']}, {record['results']['seconds']} s", flush=True)
    finally:
        worker.close()
        store.close()


def main() -> None:
    """Makes the file."""
    parser = argparse.ArgumentParser(description="Runs the audits of the sample fleet.")
    parser.add_argument("--home", type=Path, required=True, help="a home that holds the demo")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of this file)")
    options = parser.parse_args()
    make(options.home, options.out)


if __name__ == "__main__":
    main()
