"""Audits by `audit-data` that compare the references of two models with rows that these models serve later.

The product's own commands `register` and `audit-data` run in a temporary home. They compare the shipped references with held-out rows: rows
of the first weeks in production. Seeds are fixed, so the audits repeat exactly.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from sample_data.deliveries import utc
from sample_data.employment import EMPLOYMENT
from sample_data.flights import LATE
from sample_data.spec import VERSION, Spec
from sample_data.stored import command, rescored

HERE = Path(__file__).resolve().parent
FILE = "data_audits.jsonl"
HELD_OUT = 5_000
"""Number of production rows that each reference is compared with: the first rows that have a label."""
GROUPS = {"flights-late": "origin", "employment": "SEX"}


def make(specs: list[Spec], out: Path) -> None:
    """Write the audit records of each reference, dated at the time when its model began to serve."""
    records = [record for spec in specs for record in audited(spec, out)]
    (out / FILE).write_text(
        "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in records), encoding="utf-8"
    )


def audited(spec: Spec, out: Path) -> list[dict[str, Any]]:
    """The audit records of one reference, without its audit of leakage, because `audits.jsonl` already has one."""
    with tempfile.TemporaryDirectory(prefix="sample-audit-") as home:
        named = ("--model", spec.name, "--version", VERSION)
        told = ("--task", spec.task, "--label", "label", "--score", "score", "--at", "at", "--features", ",".join(spec.features))
        reference, held = Path(home) / spec.reference, Path(home) / "held-out.parquet"
        rescored(spec, out).to_parquet(reference)
        served_with_labels(spec, out).head(HELD_OUT).to_parquet(held)
        command(home, "register", *named, *told, "--reference", str(reference), "--settings", str(out / spec.settings_file))
        how = ("--held-out", str(held), "--label", "label", "--group", GROUPS[spec.name], "--data-version", f"{VERSION} as audited")
        records: list[dict[str, Any]] = command(home, "audit-data", *named, *how, "--dry-run")["records"]
    at = utc(pd.Timestamp(spec.deployed)).isoformat()
    records[0]["parents"] = [f"{spec.trained_on}@{VERSION}"]
    return [record | {"at": at, "received_at": at} for record in records if record["kind"] != "audit"]


def served_with_labels(spec: Spec, out: Path) -> pd.DataFrame:
    """The served rows of a model that have a label, the earliest first."""
    served = pd.read_parquet(out / f"{spec.name}.predictions.parquet")
    if "label" not in served:
        labels = pd.read_parquet(out / f"{spec.name}.labels.parquet").rename(columns={"value": "label"})
        served = served.merge(labels[["id", "label"]], on="id")
    return served.sort_values(["at", "id"], kind="stable", ignore_index=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Audits the references of the sample fleet as datasets.")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of this file)")
    make([LATE, EMPLOYMENT], parser.parse_args().out)
