"""Simulated clean labelling records, for a model that has none.

Each day some items are generated. Each item is assigned to three of five annotators, who label it within hours to days. All annotators have
the same accuracy, and correct answers have the class frequencies of the model's own labels. Some items have a known answer (gold), most
labels have a duration, and most annotators see a suggestion but decide independently of it. None of these records is in the store.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.stats.arrays import Array

if TYPE_CHECKING:
    from pandas import DataFrame

DAYS = 56
"""Length of the records in days: four weeks of past, the weeks of the fault, and some earlier days, so that waiting items have an age."""
PEOPLE = ("ann-1", "ann-2", "ann-3", "ann-4", "ann-5")
LABELS_AN_ITEM = 3
RIGHT, EASE = 0.97, 0.03
HOURS, SPREAD = 8.0, 0.8
"""Median hours until an item is labelled, and the standard deviation of the logarithm of these hours."""
TWICE = 0.03
"""Share of the labels that are given a second time later, mostly with the same class."""
PRICE, CURRENCY = 0.4, "EUR"
GOLD, SHOWN, TIMED = 0.25, 0.7, 0.9
"""Share of the items with a known answer, of the labels with a suggestion, and of the labels with a duration."""
SURE = (0.5, 1.0)
"""Range of the suggestions' confidence (uniform). The confidence is calibrated: it is the probability that the suggestion is right."""
SECONDS = 20.0
"""Median seconds for a label; the standard deviation of their logarithm is SPREAD."""


@dataclass(frozen=True)
class LabellingRecords:
    """Labelling records of a project as the store returns them (naive UTC), and the instant at which they end. source_note: where the
    records come from.
    """

    annotated: "DataFrame"
    assigned: "DataFrame"
    prices: "DataFrame"
    end: datetime
    source_note: str


def simulated_labelling_records(name: str, shares: dict[str, float], items_a_day: int, seed: int, end: datetime) -> LabellingRecords:
    """Simulated clean records of one project. shares: frequency of each class. end: the midnight at which the records end, in naive UTC."""
    import pandas as pd

    rng = np.random.default_rng([seed, 29])
    classes, chances = list(shares), np.array(list(shares.values()), float)
    each_day = rng.poisson(items_a_day * np.exp(rng.normal(0, 0.1, DAYS)))
    begin = end - timedelta(days=DAYS)
    day = np.repeat(np.arange(DAYS), each_day)
    n = len(day)
    truth = rng.choice(len(classes), n, p=chances / chances.sum())
    people = np.argsort(rng.random((n, len(PEOPLE))), axis=1)[:, :LABELS_AN_ITEM]
    item = np.repeat(np.arange(n), LABELS_AN_ITEM)
    given_at = np.datetime64(begin, "us") + ((day * 24 + rng.uniform(8, 18, n)) * 3.6e9).astype("timedelta64[us]")
    ease = np.clip(rng.normal(RIGHT, EASE, n), 0.5, 1.0)[item]
    right = rng.random(len(item)) < ease
    said = np.where(right, truth[item], (truth[item] + rng.integers(1, max(len(classes), 2), len(item))) % len(classes))
    took = (HOURS * np.exp(rng.normal(0, SPREAD, len(item))) * 3.6e9).astype("timedelta64[us]")
    rows = pd.DataFrame(
        {
            "project": name, "item": [f"item-{each}" for each in item], "annotator": [PEOPLE[each] for each in people.ravel()],
            "given": given_at[item], "at": given_at[item] + took, "label": [classes[each] for each in said],
        }
    )  # fmt: skip
    rows = _with_assistance(rows, [classes[each] for each in truth[item]], item, classes, np.random.default_rng([seed, 31]))
    again = rows[rng.random(len(rows)) < TWICE].copy()
    again["at"] = again["at"] + pd.to_timedelta(rng.uniform(1, 48, len(again)), unit="h")
    other = rng.random(len(again)) < 0.1
    again["label"] = np.where(other, [classes[each] for each in rng.integers(0, len(classes), len(again))], again["label"])
    annotated = pd.concat([rows, again], ignore_index=True).astype({"at": "datetime64[us]"})
    return LabellingRecords(
        annotated.loc[annotated["at"] < end].drop(columns="given").sort_values("at", ignore_index=True),
        rows[["project", "item", "annotator"]].assign(at=rows["given"]).sort_values("at", ignore_index=True),
        label_price_records([(begin - timedelta(days=30), PRICE)], CURRENCY, name),
        end,
        f"A simulated project of {len(PEOPLE)} people, {items_a_day:,} items per day, three labels per item; "
        "the model has too few labelling records of its own.",
    )


def _with_assistance(rows: "DataFrame", truth: list[str], item: Array, classes: list[str], rng: np.random.Generator) -> "DataFrame":
    """The labels with added columns: the known answer of some items, suggestions with their confidence, and durations.

    item: the index of the item of each row.
    """
    n, answers = int(item.max()) + 1 if len(item) else 0, np.array(truth, object)
    known, sure, others = rng.random(n) < GOLD, rng.uniform(*SURE, n), rng.random(n)
    fails = rng.random(n) >= sure
    place = np.array([classes.index(each) for each in truth], np.int64)
    wrong = (place + 1 + (others[item] * (len(classes) - 1)).astype(np.int64)) % len(classes)
    suggested = np.where(fails[item] & (len(classes) > 1), np.array(classes, object)[wrong], answers)
    shown, timed = rng.random(len(rows)) < SHOWN, rng.random(len(rows)) < TIMED
    took = np.round(SECONDS * np.exp(rng.normal(0, SPREAD, len(rows))), 1)
    return rows.assign(
        seconds=np.where(timed, took, np.nan), gold=_values_where(answers, known[item]), suggestion=_values_where(suggested, shown),
        suggestion_confidence=np.where(shown, np.round(sure[item], 3), np.nan), guideline=_values_where(answers, np.zeros(len(rows), bool)),
    )  # fmt: skip


def _values_where(values: Array, held: Array) -> Array:
    """The values where the mask holds; None elsewhere."""
    found = values.astype(object)
    found[~held] = None
    return found


def label_price_records(steps: "list[tuple[datetime, float]]", currency: str, model: str) -> "DataFrame":
    """Price records of the resource `label`, one for each (begin, amount) in `steps`."""
    import pandas as pd

    from observability.metrics.prices import PRICE_COLUMNS

    rows = pd.DataFrame({name: pd.Series([None] * len(steps), dtype=object) for name in PRICE_COLUMNS})
    rows["from"] = pd.Series([each for each, _ in steps], dtype="datetime64[us]")
    rows["amount"] = [amount for _, amount in steps]
    for name in ("carbon_g_per_kwh", "pue", "embodied_g"):
        rows[name] = rows[name].astype(float)
    return rows.assign(resource="label", currency=currency, model=model)
