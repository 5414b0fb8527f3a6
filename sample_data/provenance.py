"""The training rows of the models, and the rules in this folder's code that drop or change rows.

A dataset is the training rows of a model as they were known when the model began to serve; its checksum is computed from their content. A
cleaning is one rule as the code applies it, counted where it is applied: once on the training rows of flights; week by week on the served
flights, a day after the week ended, when all of them had landed; and day by day where the weather is looked up. All rows of the survey and
all texts are used: no rule drops one.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from observability import Logger
from sample_data import employment, flights, sentiment
from sample_data.deliveries import A_DAY, utc
from sample_data.sources import EMPLOYMENT, FLIGHTS, TWEETS, Source
from sample_data.spec import VERSION, Spec

FILE = "data.jsonl"
SERVED = "flights that are served"
GROUPS = ("carrier", "origin")
WEATHER = [f"hourly weather at {station}" for station in ("EWR", "JFK", "LGA")]
"""Sources of the batches (deliveries.py) whose columns are used in the training rows of flights."""
LAST_DAY = pd.Timestamp("2013-12-31", tz=flights.NEW_YORK)
"""The last day in the source."""


def log_data(tables: dict[str, pd.DataFrame], people: pd.DataFrame, tweets: pd.DataFrame, log: Logger) -> None:
    """Logs the datasets and the cleanings. tables: of flights, as published; people: of the survey; tweets: with their ratings."""
    every = flights.flights(tables)
    for each in (*published(tables, people, tweets), *datasets(every, people, tweets), *cleanings(every)):
        kind = log.dataset if "columns" in each else log.cleaning
        kind(**each, received_at=each["at"])


def published(tables: dict[str, pd.DataFrame], people: pd.DataFrame, tweets: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The packages that the training rows come from: number and columns of the published rows, and the SHA-256 of the archive. Each is
    dated like the first rows that need it.
    """
    for source, rows, spec in (
        (FLIGHTS, tables["flights"], flights.DELAY),
        (EMPLOYMENT, people, employment.EMPLOYMENT),
        (TWEETS, tweets, sentiment.SENTIMENT),
    ):
        yield {
            "dataset": source.package,
            "version": source.version,
            "at": utc(pd.Timestamp(spec.deployed)),
            "rows": len(rows),
            "columns": {name: {"null_share": round(float(share), 4)} for name, share in rows.isna().mean().items()},
            "checksum": f"sha256:{source.sha256}",
        }


def datasets(every: pd.DataFrame, people: pd.DataFrame, tweets: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The training rows of the models. The two flight models learn from the same flights, each with its own label: one dataset holds both
    labels.
    """
    both = [flights.rows_for(spec, every).train.rename(columns={"label": spec.label}) for spec in (flights.DELAY, flights.LATE)]
    yield dataset(flights.DELAY, both[0].assign(late=both[1]["late"]).drop(columns="fold"), FLIGHTS) | {"sources": WEATHER}
    persons = employment.rows_for(employment.EMPLOYMENT, people).train
    yield dataset(employment.EMPLOYMENT, persons.drop(columns="fold"), EMPLOYMENT)
    rated = sentiment.rows_for(tweets)
    yield dataset(sentiment.SENTIMENT, rated[rated["fold"] >= 0].drop(columns=["fold", "label_at"]), TWEETS)


def dataset(spec: Spec, rows: pd.DataFrame, source: Source) -> dict[str, Any]:
    """The record of one dataset, under the name that the training runs use. The checksum is the SHA-256 of the rows as CSV, in the order of
    time.
    """
    text = rows.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%SZ")
    return {
        "dataset": spec.trained_on,
        "version": VERSION,
        "at": utc(pd.Timestamp(spec.deployed)),
        "rows": len(rows),
        "columns": {name: {"null_share": round(float(share), 4)} for name, share in rows.isna().mean().items()},
        "parents": [f"{source.package}@{source.version}"],
        "checksum": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
    }


def cleanings(every: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """What each rule did. every: one row per flight, as `flights.flights` returns it."""
    learned = every[every["day"] < flights.SERVES_FROM]
    trained = {"dataset": flights.DELAY.trained_on, "version": VERSION, "at": utc(pd.Timestamp(flights.DELAY.deployed))}
    yield changed(
        "time zone of an airport that the table lacks", learned, learned["destination"].isin(list(flights.NOT_IN_AIRPORTS)), trained
    )
    yield changed("lands after midnight: a day is added", learned, learned["next_day"], trained)
    yield changed("no observation: no weather", learned, unobserved(learned), trained)
    yield dropped("never landed: no label", learned, learned["arrival_delay"].isna(), trained, GROUPS)
    later = every[every["day"] >= flights.SERVES_FROM]
    for week, rows in later.groupby(later["day"].dt.strftime("%G-W%V"), sort=True):
        of_week = {"dataset": SERVED, "version": week, "at": known(rows["day"].max())}
        served = rows[rows["served"]]
        yield dropped("one flight in three, by the hash of its id", rows, ~rows["served"], of_week, GROUPS[1:])
        yield dropped("never landed: no label", served, served["arrival_delay"].isna(), of_week, GROUPS)
    for name, rows in later[later["served"]].groupby(later["day"].dt.strftime("%Y-%m-%d"), sort=True):
        midnight = pd.Timestamp(str(name), tz=flights.NEW_YORK)
        of_day = {"dataset": SERVED, "version": name, "at": utc(midnight + A_DAY)}
        yield changed("no observation: no weather", rows, unobserved(rows), of_day)


def known(last: pd.Timestamp) -> Any:
    """The time by which all flights of a week had landed: a day after the week or the source ended."""
    day = last.tz_localize(flights.NEW_YORK)
    sunday = day + pd.DateOffset(days=6 - day.weekday())
    return utc(min(sunday, LAST_DAY) + 2 * A_DAY)


def unobserved(rows: pd.DataFrame) -> pd.Series:
    """Whether a flight has no weather at all, because the station has no row of the hour."""
    return rows[list(flights.WEATHER.values())].isna().all(axis=1)


def changed(rule: str, rows: pd.DataFrame, hits: pd.Series, of: dict[str, Any]) -> dict[str, Any]:
    """The record of a rule that changes rows."""
    return {"rule": rule, **of, "rows_in": len(rows), "rows_changed": int(hits.sum()), "rows_dropped": 0}


def dropped(rule: str, rows: pd.DataFrame, hits: pd.Series, of: dict[str, Any], groups: tuple[str, ...]) -> dict[str, Any]:
    """The record of a rule that drops rows, with the number dropped from each group."""
    counted = {
        name: {str(level): {"in": int(part.size), "dropped": int(part.sum())} for level, part in hits.groupby(rows[name], sort=True)}
        for name in groups
    }
    return {"rule": rule, **of, "rows_in": len(rows), "rows_changed": 0, "rows_dropped": int(hits.sum()), "groups": counted}


def write(records: list[dict[str, Any]], out: Path) -> None:
    """Writes the logged records, in the order of time."""
    records = sorted(records, key=lambda each: each["at"])
    text = "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in records)
    (out / FILE).write_text(text, encoding="utf-8")
