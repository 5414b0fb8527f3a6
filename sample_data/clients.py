"""The clients of flights-late in December, and people's actions on its answers. `python sample_data/clients.py`

All of this is simulated: twelve invented clients, one of whom sent each request from 1 December on (`subject`), and the class on which the
client's people then acted (`action`). If they override the model, they are right more often than the model. A thirteenth client searches
the decision boundary in the last week (clients.predictions.parquet): it asks again and again about copies of eight real flights, with
slightly different weather. The shipped model answers these requests; no such flight exists, so they have no label.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
FILE, FIRST_DAY = "clients.predictions.parquet", "20131201"
CLIENTS, SEARCHER = tuple(f"client-{number:02}" for number in range(1, 13)), "client-13"
WEIGHTS = np.array([16, 14, 12, 10, 9, 8, 7, 6, 6, 5, 4, 3], np.float64)
FOLLOWED_RIGHT, FOLLOWED_WRONG = 0.92, 0.71
"""Share of the right and of the wrong answers that people follow; an answer without a label counts as right."""
SEARCHED_DAYS = ("20131227", "20131228", "20131229", "20131230")
SEARCHED, COPIES, SECONDS = 8, 7, 20
"""Number of flights that are copied, number of requests about each, and seconds between these requests."""
VARIED = ("temperature_f", "humidity_percent", "wind_speed_mph", "pressure_mb")
STEP = 0.004
"""Differences between the copies of a flight, in standard deviations."""


def asked_by(ids: pd.Series) -> pd.Series:
    """The client of each request, drawn by the hash of the request's id."""
    from sample_data.spec import hashes

    places = np.array(hashes(f"client {name}" for name in ids), np.float64) / 2.0**64
    return pd.Series(np.array(CLIENTS, dtype=object)[np.searchsorted(np.cumsum(WEIGHTS) / WEIGHTS.sum(), places)], index=ids.index)


def actions(ids: pd.Series, decisions: pd.Series, labels: pd.Series) -> pd.Series:
    """The class that people acted on: the model's class where they followed the model, else the other class. labels: NaN where none
    came.
    """
    from sample_data.spec import hashes

    drawn = np.array(hashes(f"action {name}" for name in ids), np.float64) / 2.0**64
    followed = drawn < np.where(labels.notna() & (labels != decisions), FOLLOWED_WRONG, FOLLOWED_RIGHT)
    return pd.Series(np.where(followed, decisions, 1 - decisions), index=ids.index).astype(str)


def with_clients(served: pd.DataFrame, labels: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """The served rows with `subject` and `action`, declared simulated; both are null before FIRST_DAY."""
    recent = served["id"].str.slice(stop=8) >= FIRST_DAY
    own = served[recent]
    found = own["id"].map(labels.set_index("id")["value"])
    told = {"subject": asked_by(own["id"]), "action": actions(own["id"], (own["score"] >= threshold).astype(int), found)}
    told |= {f"{name}_source": pd.Series("simulated", index=own.index) for name in tuple(told)}
    joined = served.drop(columns=list(told), errors="ignore").assign(**told)
    return joined.assign(**{name: joined[name].astype(object).where(joined[name].notna(), None) for name in told})


def searches(served: pd.DataFrame, threshold: float, answer: Any) -> pd.DataFrame:
    """The requests of the client that searches the boundary. answer: a function that returns the score of given features."""
    from sample_data.flights import LATE

    days = served["id"].str.slice(stop=8)
    known = served[days.isin(SEARCHED_DAYS) & served[list(VARIED)].notna().all(axis=1)]
    margin = (known["score"] - threshold).abs()
    near = known.loc[margin.sort_values(kind="stable").index].head(SEARCHED)
    scale = served[list(VARIED)].std()
    rows = []
    for flight in near.sort_values(["at", "id"]).to_dict("records"):
        for copy in range(COPIES):
            features = {name: None if flight[name] != flight[name] else flight[name] for name in LATE.features}
            features |= {name: round(flight[name] + STEP * copy * scale[name], 4) for name in VARIED}
            at = flight["at"] + pd.Timedelta(seconds=SECONDS * (copy + 1))
            about = {"id": f"simulated-{flight['id']}-{copy + 1}", "model": LATE.name, "version": LATE.version, "at": at}
            rows.append(
                {**about, "score": answer(features), "subject": SEARCHER, "subject_source": "simulated", "received_at": at, **features}
            )
    return pd.DataFrame(rows)


def make(out: Path) -> None:
    """Writes clients and actions into the served rows of flights-late, and clients.predictions.parquet."""
    from sample_data import collecting
    from sample_data.flights import LATE
    from sample_data.serving import Service

    path, threshold = out / f"{LATE.name}.predictions.parquet", float(LATE.settings["threshold"])
    served = pd.read_parquet(path)
    labels = pd.read_parquet(out / f"{LATE.name}.labels.parquet", columns=["id", "value"])
    collecting.write_table(with_clients(served, labels, threshold), path, LATE.together)
    service = Service(LATE, out / LATE.artifact)
    collecting.write_table(searches(served, threshold, lambda features: service.answer(features)[1]), out / FILE)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    make(HERE)
