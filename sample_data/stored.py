"""Audits of the references as stored data: file sizes, effects of lower precision on the models' answers, and identifiable people. `python
-m sample_data.stored`

The product's own commands `register` and `audit-storage` measure the shipped references with the shipped model files, in a temporary home.
They also measure the crew's labels, whose rows name the annotator. Sizes, changes and groups repeat exactly; encoding times are measured
anew.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import lightgbm
import pandas as pd

from sample_data import crew, training
from sample_data.deliveries import utc
from sample_data.spec import VERSION, Spec

FILE = "storage.jsonl"
TAGS = {"employment": ("--quasi", "AGEP,SEX,RAC1P", "--sensitive", "DIS,ANC,DEAR,DEYE,DREM")}
"""Columns that together could identify a person, and columns about disability or ancestry; flights have none."""
LABELS = "labels of the crew"


def make(specs: list[Spec], out: Path) -> None:
    """Writes an audit record of each reference, dated when its model began to serve, and one of the crew's labels."""
    records = [*(audited(spec, out) for spec in specs), audited_labels(out)]
    (out / FILE).write_text(
        "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in records), encoding="utf-8"
    )


def audited(spec: Spec, out: Path) -> dict[str, Any]:
    """The audit record of one reference. Its parent is the dataset of training rows that it is part of."""
    with tempfile.TemporaryDirectory(prefix="sample-storage-") as home:
        named = ("--model", spec.name, "--version", VERSION)
        told = ("--task", spec.task, "--label", "label", "--score", "score", "--at", "at", "--features", ",".join(spec.features))
        path = Path(home) / spec.reference
        rescored(spec, out).to_parquet(path)
        files = ("--reference", str(path), "--artifact", str(out / spec.artifact), "--settings", str(out / spec.settings_file))
        command(home, "register", *named, *told, *files)
        record: dict[str, Any] = command(home, "audit-storage", *named, "--data-version", VERSION, "--dry-run", *TAGS.get(spec.name, ()))
    at = utc(pd.Timestamp(spec.deployed))
    return record | {"at": at.isoformat(), "received_at": at.isoformat(), "parents": [f"{spec.trained_on}@{VERSION}"]}


def audited_labels(out: Path) -> dict[str, Any]:
    """The audit record of the crew's labels, dated at the last label. The column `annotator` names a person."""
    path = out / crew.ANNOTATIONS
    about = ("--dataset", LABELS, "--data-version", VERSION, "--personal", "annotator", "--dry-run")
    with tempfile.TemporaryDirectory(prefix="sample-storage-") as home:
        record: dict[str, Any] = command(home, "audit-storage", str(path), *about)
    at = pd.read_parquet(path, columns=["at"])["at"].max()
    return record | {"at": at.isoformat(), "received_at": at.isoformat(), "source": "simulated"}


def rescored(spec: Spec, out: Path) -> pd.DataFrame:
    """The reference with the scores of the shipped file. `register` refuses a file whose scores differ from the reference, and the
    reference's scores were cross-fitted.
    """
    table = pd.read_parquet(out / spec.reference)
    booster = lightgbm.Booster(model_file=out / spec.artifact)
    return table.assign(score=booster.predict(training.model_input(spec, table)))


def command(home: str, *arguments: str) -> Any:
    """The JSON output of a command."""
    root = Path(__file__).resolve().parents[1]
    run = [sys.executable, "-m", "observability", *arguments, "--json"]
    done = subprocess.run(run, cwd=root, env={**os.environ, "OBSERVABILITY_HOME": home}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:3])} ended with {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


if __name__ == "__main__":
    from sample_data.employment import EMPLOYMENT
    from sample_data.flights import LATE

    make([LATE, EMPLOYMENT], Path(__file__).resolve().parent)
