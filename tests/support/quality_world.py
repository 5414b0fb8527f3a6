"""Rows of a model with columns and arrivals that can be made faulty, and the findings of data/quality about them."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from observability.analyzers.data.quality import ANALYZER
from observability.core.analyzer import Context
from observability.core.finding import Finding
from tests.support.analyzer_worlds import START, context_for, frames_for, spread

FEATURES = ("age", "income", "region")
PATTERN = np.concatenate([np.zeros(5), np.linspace(20, 60, 10), np.linspace(60, 10, 9)])
"""The expected number of predictions in each hour of a day: none in five hours of the night."""


def quality_rows(n: int, seed: int, days: int = 7) -> pd.DataFrame:
    """Predictions spread evenly over the window, with columns into which faults can be put."""
    rng = np.random.default_rng(seed)
    income = pd.Series(rng.lognormal(10, 0.6, n), dtype=object).where(rng.random(n) > 0.05, None)
    return pd.DataFrame({
        "at": spread(n, days),
        "age": pd.Series(rng.normal(40, 10, n), dtype=object),
        "income": income,
        "region": pd.Series(rng.choice(["north", "south", "east"], n, p=(0.5, 0.3, 0.2)), dtype=object),
        "score": rng.beta(2, 5, n),
        "label": np.nan,
    })  # fmt: skip


def quality_world(reference: pd.DataFrame | None, features: tuple[str, ...] = FEATURES, **options) -> Context:
    """A context with edges from these reference rows."""
    return context_for(None if reference is None else reference.astype({"age": float, "income": float}), features=features, **options)


def live_stream(days: int, seed: int, start: datetime = START, noise: float = 0.05) -> pd.DataFrame:
    """Event times of a live model: few at night, half the traffic on weekends, and random variation between days."""
    rng = np.random.default_rng(seed)
    at = []
    for day in range(days):
        first = start + timedelta(days=day)
        rate = PATTERN * (0.5 if first.weekday() >= 5 else 1.0) * rng.lognormal(0, noise)
        hours = np.repeat(np.arange(24), rng.poisson(rate))
        at += [first + timedelta(hours=float(each)) for each in hours + rng.random(hours.size)]
    return pd.DataFrame({"at": pd.Series(pd.to_datetime(at, utc=True), dtype="datetime64[us, UTC]")})


def quality_findings(
    context: Context,
    current: pd.DataFrame,
    reference: pd.DataFrame | None,
    past: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
) -> list[Finding]:
    """The analyzer's findings about raw rows. history: event times before the window, for the checks of arrivals."""
    asks = ANALYZER.needs(context)
    frames = frames_for(asks, context, current, reference, past)
    if history is not None:
        frames["past_arrivals"] = frames_for({"only": asks["past_arrivals"]}, context, current, reference, history)["only"]
    return ANALYZER.analyze(frames, context)


def column_quality(current: pd.DataFrame, reference: pd.DataFrame | None, **options) -> dict[tuple[str, str], Finding]:
    """The findings about columns, by subject and metric."""
    return {(each.subject, each.metric): each for each in quality_findings(quality_world(reference, **options), current, reference)}


def arrival_quality(
    current: pd.DataFrame, history: pd.DataFrame, *, now: datetime | None = None, days: int = 7, **options
) -> dict[str, Finding]:
    """The findings about arrivals by metric. They need only event times."""
    context = context_for(None, task="regression", days=days, **options)
    context = replace(context, now=now or context.now)
    return {each.metric: each for each in quality_findings(context, current, None, history=history) if each.subject == "model"}
