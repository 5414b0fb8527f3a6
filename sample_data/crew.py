"""A simulated crew of annotators for the texts that the sentiment model serves: annotations and assignments, declared as simulated.

Six invented people. The texts, the model's answers and the raters' means and spreads are real. Each simulated label is a rating drawn from
a normal distribution, with the mean and the spread of the real raters of that text (and a little spread of the person's own), and cut into
the same three classes as the labels. So people agree as far as single raters really do. From the morning of 22 May on they work by a second
guideline, which shows examples: ratings then lie nearer to the raters' mean (CLOSER). Nobody follows suggestions, tires or guesses. `python
sample_data/crew.py` writes both files again from the fleet's own.
"""

import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd

PROJECT = "sentiment"
ANNOTATIONS, ASSIGNMENTS = "crew.annotations.parquet", "crew.assignments.parquet"
OWN_SPREAD = {"ann-1": 0.1, "ann-2": 0.3, "ann-3": 0.2, "ann-4": 0.5, "ann-5": 0.3, "ann-6": 0.8}
"""Standard deviation of each person's own deviation, added to the real raters' spread; in points of the scale."""
CUT, CLASSES = 0.5, ("negative", "neutral", "positive")
SECOND_FROM, CLOSER = pd.Timestamp("2014-05-21T09:00Z"), 0.7
"""Texts after this moment are labelled by guideline v2; spread of their ratings as a share of the spread before."""
UNSURE, BEGIN_HOUR, PAUSE = 0.6, 9, 25.0
"""Probability of the likeliest class below which three people (else two) label a text; hour (UTC) at which sessions begin; mean seconds
between texts.
"""
SHOWN, SECONDS, SPREAD = 0.65, 7.0, 0.45
"""Share of labels given while the model's suggestion was shown; median seconds of a label; standard deviation of the logarithm of these
seconds.
"""
GOLD_EVERY, SEED = 8, 41


def crew_records(texts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Annotations and assignments in the order of time.

    texts: id, at, text, score ({class: probability}), rating_mean, rating_spread, value.
    """
    rng = np.random.default_rng(SEED)
    people, rows = list(OWN_SPREAD), []
    for each in texts.sort_values("at").to_dict("records"):
        suggested = max(CLASSES, key=lambda name: each["score"][name])
        sure = float(each["score"][suggested])
        audit, guideline = crc32(each["id"].encode()) % 4 == 0, "v2" if each["at"] > SECOND_FROM else "v1"
        reason = "drawn at random" if audit else f"the likeliest class has {100 * sure:.0f} %"
        for who in rng.choice(people, 3 if sure < UNSURE else 2, replace=False):
            spread = np.hypot(each["rating_spread"], OWN_SPREAD[str(who)]) * (CLOSER if guideline == "v2" else 1.0)
            rating = rng.normal(each["rating_mean"], spread)
            rows.append(
                {
                    "item": each["id"], "annotator": str(who), "given": each["at"],
                    "label": CLASSES[1 + int(rating >= CUT) - int(rating <= -CUT)],
                    "seconds": round(float(SECONDS * np.exp(rng.normal(0, SPREAD)) * (0.6 + len(each["text"]) / 150)), 1),
                    "gold": each["value"] if crc32(each["id"].encode()) % GOLD_EVERY == 1 else None,
                    "suggestion": suggested if rng.random() < SHOWN else None, "suggestion_confidence": round(sure, 4),
                    "policy": "random" if audit else "uncertain first", "reason": reason, "score": round(sure, 4), "guideline": guideline,
                }
            )  # fmt: skip
    table = with_sessions(pd.DataFrame(rows), rng, texts["at"].max())
    table["suggestion_confidence"] = table["suggestion_confidence"].where(table["suggestion"].notna())
    given = table[["item", "annotator", "given", "policy", "reason", "score"]].rename(columns={"given": "at"})
    answer = ["label", "seconds", "gold", "suggestion", "suggestion_confidence", "guideline"]
    done = table.loc[table["at"].notna(), ["item", "annotator", "at", *answer]]
    one, other = (
        part.assign(project=PROJECT, received_at=part["at"]).sort_values(["at", "annotator", "item"], ignore_index=True)
        for part in (done, given)
    )
    return one, other


def with_sessions(table: pd.DataFrame, rng: np.random.Generator, end: pd.Timestamp) -> pd.DataFrame:
    """The rows with `at`. Every morning each person labels all waiting texts, one after the other; `at` is missing if it would lie after
    the end.
    """
    morning = (table["given"] - pd.Timedelta(hours=BEGIN_HOUR)).dt.ceil("D") + pd.Timedelta(hours=BEGIN_HOUR)
    pause = rng.exponential(PAUSE, len(table)) + 2
    spent = (table["seconds"] + pause).groupby([table["annotator"], morning]).cumsum()
    at = (morning + pd.to_timedelta(spent, unit="s")).dt.round("ms")
    return table.assign(at=at.where(at <= end))


def make(out: Path) -> None:
    """Writes both files from the predictions and labels of the texts."""
    from sample_data.collecting import write_sorted

    served = pd.read_parquet(out / "sentiment.predictions.parquet", columns=["id", "at", "text", "score", "environment"])
    rated = pd.read_parquet(out / "sentiment.labels.parquet", columns=["id", "value", "rating_mean", "rating_spread"])
    texts = served[served["environment"] == "production"].merge(rated, on="id")
    annotations, assignments = crew_records(texts)
    write_sorted(annotations, out / ANNOTATIONS)
    write_sorted(assignments, out / ASSIGNMENTS)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    make(Path(__file__).resolve().parent)
