"""Frames with the annotations of one project, and the findings about them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from observability.analyzers.data.labels import ANALYZER
from observability.core.analyzer import NO_VERSION, Context
from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.simulation.labelling_project import label_price_records

END = datetime(2026, 5, 1)
START = END - timedelta(days=7)
COLUMNS = ["project", "item", "annotator", "at", "label"]


def context(**settings) -> Context:
    model = Model(1, "loan", "binary", ("no", "yes"), settings=ModelSettings(**settings))
    window = Window("loan", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
    return Context(model, NO_VERSION, window, window.end, 0.0007)


def frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS).astype({"at": "datetime64[us]"})


def said(annotated: pd.DataFrame, assigned: pd.DataFrame | None = None, prices: pd.DataFrame | None = None, **settings) -> list[Finding]:
    given = annotated[COLUMNS[:4]].iloc[:0] if assigned is None else assigned
    now = annotated["at"] >= START
    frames = {
        "annotated": annotated[now], "past annotated": annotated[~now & (annotated["at"] >= START - timedelta(days=28))], "assigned": given,
        "done": annotated[COLUMNS[:4]], "prices": label_price_records([], "EUR", "loan") if prices is None else prices,
    }  # fmt: skip
    return ANALYZER.analyze(frames, context(**settings))


def labelled(days: int = 35, a_day: int = 12, wrong: float = 0.05, late: float = 0.05, seed: int = 0, people: str = "abcd") -> pd.DataFrame:
    """Items with one of three labels, annotated by four people. wrong, late: the share of wrong labels before the window, and in it."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(days):
        for place in range(a_day):
            at, truth = END - timedelta(days=days - day, hours=-10), int(rng.integers(0, 3))
            for who in rng.choice(list(people), min(3, len(people)), replace=False):
                share = late if at >= START else wrong
                said = int(rng.integers(0, 3)) if rng.random() < share else truth
                rows.append(("loan", f"{day}-{place}", str(who), at + timedelta(minutes=int(rng.integers(0, 300))), said))
    return frame(rows)
