"""Rows, earlier rows and findings for the analyzer of drift."""

import numpy as np
import pandas as pd

from observability.analyzers.serving.drift import ANALYZER
from tests.support.analyzer_worlds import context_for, frames_for, spread

FEATURES = ("age", "income", "region")


def rows(n: int, seed: int, *, age: float = 0.0, regions: tuple[float, ...] = (0.5, 0.3, 0.2), days: int = 7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "at": spread(n, days),
        "age": rng.normal(40 + 10 * age, 10, n),
        "income": rng.lognormal(10, 0.6, n),
        "region": pd.Series(rng.choice(["north", "south", "east"], n, p=regions), dtype=object),
        "score": rng.beta(2, 5, n),
        "label": np.nan,
    })  # fmt: skip


def findings(current: pd.DataFrame, reference: pd.DataFrame | None, past: pd.DataFrame | None = None, **options) -> dict:
    context = context_for(reference, features=FEATURES, **options)
    said = ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference, past), context)
    return {each.subject: each for each in said if each.metric == "psi"}


def before(n: int, seed: int, days: int = 28, **options) -> pd.DataFrame:
    """Rows of the days before the window."""
    frame = rows(n, seed, days=days, **options)
    return frame.assign(at=frame["at"] - pd.Timedelta(days=days))
