"""Audits by `audit-data` of the references of two models, with rows that they serve later.

The product's own commands `register` and `audit-data` audit the shipped references with rows of their first weeks in production as held-out rows, in a home
that is removed afterwards. Seeds are fixed: the audits repeat exactly.
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
"""Rows of production that each reference is compared with, the first that have a label."""
GROUPS = {"flights-late": "origin", "employment": "SEX"}


def make(specs: list[Spec], out: Path) -> None:
    """Write the records of the audit of each reference, dated as its model began to serve."""
    records = [record for spec in specs for record in audited(spec, out)]
    (out / FILE).write_text(
        "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in records), encoding="utf-8"
    )


def audited(spec: Spec, out: Path) -> list[dict[str, Any]]:
    """The records of the audit of one reference; its audit of leakage stands beside those of `audits.jsonl`, and is left out."""
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
