"""Make the second version of flights-late. `python sample_data/challenger.py`

It is trained for real, on the flights of January to May 2013. In the environment `shadow` it answers for the real flights of two stretches
of two weeks: the last of June and the last of December. It answers under the ids of version 1, so that both versions are compared on the
same rows. Its reference is cross-fitted like that of version 1, from every sixth flight. The labels are those of version 1's requests,
because a label counts for each prediction of its id.
"""

import sys
import tempfile
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data import collecting, flights, serving, sources, training
from sample_data.spec import FOLDS, Rows, Spec, folds, hashes

HERE = Path(__file__).resolve().parent
TRAINED_BEFORE = "2013-06-01"
STRETCHES = (("2013-06-17", "2013-06-30"), ("2013-12-18", "2013-12-31"))
"""First and last local day of each stretch that the version answers for."""
REFERENCE_ONE_IN = 6


def challenger_rows(every: pd.DataFrame) -> Rows:
    """Rows to train on (flights that landed before June), those of them in the reference, and the rows to answer.

    every: the table of flights that `flights.flights` returns.
    """
    spec = flights.CHALLENGER
    table = every.rename(columns={spec.label: "label"})
    train = table[(table["day"] < TRAINED_BEFORE) & table["label"].notna()].reset_index(drop=True)
    train["fold"] = folds(train["day"].dt.strftime("%Y-%m-%d") + train["origin"])
    reference = pd.Series([each % REFERENCE_ONE_IN == 0 for each in hashes(train["id"])], index=train.index)
    answered = pd.concat([table["day"].between(first, last) for first, last in STRETCHES], axis=1).any(axis=1)
    columns = ["id", "at", "label", *spec.features]
    return Rows(train[[*columns, "fold"]], reference, table.loc[answered & table["served"], [*columns, "label_at", "batch"]])


def collect(home: Path, spec: Spec, out: Path) -> None:
    """Writes the file of predictions from what was logged."""
    rows = []
    for record in collecting.logged(home):
        if record.pop("kind") == "prediction":
            features = record.pop("features")
            rows.append({**record, **features})
    found = pd.DataFrame(rows)
    collecting.write_table(found, out / f"{spec.stem}.predictions.parquet", spec.together)


def fit(spec: Spec, inputs: pd.DataFrame, label: pd.Series) -> lightgbm.Booster:
    """A booster with the settings and the seed of version 1, trained on one thread."""
    data = lightgbm.Dataset(inputs, label.astype(float), free_raw_data=False)
    return lightgbm.train({**spec.params, **training.REPEATS, "num_threads": 1}, data, num_boost_round=spec.rounds)


def cross_fitted(spec: Spec, rows: Rows, inputs: pd.DataFrame) -> pd.Series:
    """The scores of the reference; each comes from a model fitted without the fold of its row."""
    scores = pd.Series(float("nan"), index=rows.train.index[rows.in_reference])
    for fold in range(FOLDS):
        out = rows.train["fold"] == fold
        asked = out & rows.in_reference
        booster = fit(spec, inputs[~out], rows.train.loc[~out, "label"])
        scores[asked[asked].index] = np.asarray(booster.predict(inputs[asked])).round(spec.digits)
    return scores


def make(published: dict[str, pd.DataFrame], out: Path) -> None:
    """Trains, serves and writes the files of the version. published: the tables of the source."""
    write(flights.CHALLENGER, challenger_rows(flights.flights(published)), out)


def write(spec: Spec, rows: Rows, out: Path) -> None:
    """Does the same as `make` for any further version, given its rows."""
    inputs = training.model_input(spec, rows.train)
    fit(spec, inputs, rows.train["label"]).save_model(out / spec.artifact)
    reference = rows.train[rows.in_reference].assign(score=cross_fitted(spec, rows, inputs))
    collecting.write_table(reference[["id", "at", "score", "label", *spec.features]].copy(), out / spec.reference)
    with tempfile.TemporaryDirectory(prefix="sample-challenger-") as home:
        serving.serve(spec, rows.serve, {serving.SHIPPED: out / spec.artifact}, Path(home))
        collect(Path(home), spec, out)


if __name__ == "__main__":
    make(sources.read_flights(Path(tempfile.gettempdir()) / "observability-sample-data"), HERE)
