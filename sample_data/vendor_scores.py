"""Forty nights of the same invented vendor, asked for a score: the answers are numbers. `python sample_data/vendor_scores.py`

The questions are those of vendor.py. The score is the probability of `positive` minus that of `negative` by the fleet's own sentiment
model, with a little noise each night. From night 33 on all scores are a little higher; the declared version stays the same. The known
answer of a text is the mean of people's ratings from -4 to 4, divided by 4. Everything but the texts and these ratings is simulated, and
each record states this.
"""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sample_data import vendor

SET, FILE = "sixty scores", "vendor.scores.parquet"
NIGHTS, NOISE, SHIFT, SHIFTED_FROM = vendor.NIGHTS, 0.01, 0.015, 32
MAX_RATED = 4
"""The largest possible rating of a text; the smallest is its negative."""


def balance(folder: Path, items: pd.Series) -> "pd.Series[float]":
    """For each text, the probability of positive minus that of negative, by the fleet's own model."""
    served = pd.read_parquet(folder / "sentiment.predictions.parquet", columns=["id", "environment", "score"])
    score = served[served["environment"] == "production"].set_index("id")["score"].loc[items]
    return score.map(lambda by_class: by_class["positive"] - by_class["negative"])


def rated(folder: Path, items: pd.Series) -> list[str]:
    """The mean rating of each text by its raters, scaled to -1 to 1."""
    labels = pd.read_parquet(folder / "sentiment.labels.parquet", columns=["id", "rating_mean"]).set_index("id")["rating_mean"]
    return [f"{mean / MAX_RATED:.3f}" for mean in labels.loc[items]]


def score_nights(folder: Path) -> list[dict[str, Any]]:
    """The records of all nights."""
    from observability.probing.ask import probe_record
    from observability.probing.http_adapter import ProbeAnswer
    from observability.probing.probe_file import parse_probe_set

    asked = vendor.questions(folder)
    probe = parse_probe_set(
        {
            "probe": {
                "model": vendor.MODEL,
                "set": SET,
                "url": "https://vendor.invalid/v1/score",
                "body": {"text": "{question}"},
                "numbers": True,
                "read": {"answer": "/score"},
                "request_price": 0.0001,
                "currency": "USD",
            },
            "item": [
                {"item": row.item, "question": row.text, "expected": known}
                for row, known in zip(asked.itertuples(), rated(folder, asked["item"]), strict=True)
            ],
        },
        "scores.toml",
    )
    rng, found = np.random.default_rng(72), []
    usual = balance(folder, asked["item"]).to_numpy()
    for night in range(NIGHTS):
        at = vendor.FIRST + timedelta(days=night, hours=1)
        answers = usual + SHIFT * (night >= SHIFTED_FROM) + rng.normal(0, NOISE, len(usual))
        for item, answer in zip(probe.items, answers, strict=True):
            latency = round(float(180 * rng.lognormal(0, 0.25)))
            at += timedelta(milliseconds=latency)
            values = {"version": vendor.VERSION, "input_tokens": 9 + len(item.question) // 4, "output_tokens": 2}
            given = ProbeAnswer("ok", latency, f"{answer:.3f}", None, values)
            record = probe_record(probe, item, given, at, f"score-night-{night:02}")
            found.append({**record, "source": "simulated", "received_at": at.isoformat()})
    return found


def make(out: Path) -> None:
    """Write vendor.scores.parquet."""
    rows = pd.DataFrame(score_nights(out))
    features = pd.DataFrame(rows.pop("features").tolist())
    for name in ("at", "received_at"):
        rows[name] = pd.to_datetime(rows[name], utc=True, format="ISO8601")
    rows.drop(columns="kind").assign(**features).to_parquet(out / FILE, index=False, compression="zstd")


if __name__ == "__main__":
    make(vendor.HERE)
