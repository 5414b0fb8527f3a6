"""Make the version of employment that is trained with canaries. `python -m sample_data.canaries --home HOME`

In a home that holds the demo, the product draws canary rows from the reference of version 1, and notes them as the command `exports
canaries` does. Version 2 is trained for real on people of 2015 and on each canary once. It is overfitted on purpose, so that its audit
shows memorisation. It was never deployed: in the environment `validation` it answers for the people of two weeks of December 2018, under
the ids of version 1's requests.
"""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.core.finding import iso
from sample_data import challenger
from sample_data.employment import CANDIDATE, EMPLOYMENT
from sample_data.spec import Rows, folds, hashes

if TYPE_CHECKING:
    from observability.enrichment.canary_rows import CanaryRows
    from observability.store.engine import Store

HERE = Path(__file__).resolve().parent
FILE = "canaries.jsonl"
PEOPLE, CANARIES, SEED = 6000, 40, 41
"""Numbers of people and of canaries that version 2 learns from, and the seed of the canaries."""
DRAWN = datetime(2018, 11, 26, 9, tzinfo=UTC)
VALIDATED = ("2018-12-03", "2018-12-17")
"""First day that version 2 answers for, and the day after the last one."""


def drawn(store: "Store") -> "tuple[CanaryRows, dict[str, Any]]":
    """The canaries, and the event record that notes them."""
    from observability.enrichment.audit_rows import audit_reference_rows
    from observability.enrichment.audit_steps import POOL
    from observability.enrichment.canary_rows import canary_records, drawn_canary_rows
    from observability.metrics.own_exports import own_export

    model = store.catalog().model(EMPLOYMENT.name)
    version = model.version(EMPLOYMENT.version)
    assert version is not None
    rows = drawn_canary_rows(audit_reference_rows(store, model, version, POOL), CANARIES, SEED)
    noted = own_export("canary rows", f"file {FILE}", model=model.name, rows=CANARIES, columns=[*EMPLOYMENT.features, "label"])
    return rows, {**noted, "at": iso(DRAWN), "received_at": iso(DRAWN), "canaries": canary_records(rows, model)}


def candidate_rows(canaries: "CanaryRows", folder: Path) -> Rows:
    """Rows to train on (people of 2015 and canaries), which of them are the reference (the people), and the rows to answer. The fold of a
    canary is −1.
    """
    columns = ["id", "at", "label", *EMPLOYMENT.features]
    people = pd.read_parquet(folder / EMPLOYMENT.reference, columns=columns)
    people = people.iloc[np.argsort(np.array(hashes(people["id"]), dtype=np.uint64), kind="stable")[:PEOPLE]].sort_values("at")
    planted = canaries.inputs.assign(label=canaries.labels, id=list(canaries.names), at=people["at"].iloc[0], fold=-1)
    train = pd.concat([people.assign(fold=folds(people["id"])), planted], ignore_index=True).astype(people.dtypes.to_dict())
    served = pd.read_parquet(folder / f"{EMPLOYMENT.stem}.predictions.parquet", columns=columns)
    start, end = (pd.Timestamp(day, tz="UTC") for day in VALIDATED)
    asked = served[(served["at"] >= start) & (served["at"] < end)]
    unlabelled = asked.assign(label=np.nan, label_at=pd.Series(pd.NaT, asked.index))  # a label counts for each prediction of its id
    return Rows(train, train["fold"] >= 0, unlabelled.reset_index(drop=True))


def make(home: Path, out: Path) -> None:
    """Draw, train, serve and write the files of the version."""
    from observability.store.opener import open_store

    store = open_store(home)
    try:
        canaries, record = drawn(store)
    finally:
        store.close()
    (out / FILE).write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")
    challenger.write(CANDIDATE, candidate_rows(canaries, out), out)


def main() -> None:
    """Makes the files."""
    parser = argparse.ArgumentParser(description="Trains the version of employment with canaries among its training rows.")
    parser.add_argument("--home", type=Path, required=True, help="a home that holds the demo")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of this file)")
    options = parser.parse_args()
    make(options.home, options.out)


if __name__ == "__main__":
    main()
