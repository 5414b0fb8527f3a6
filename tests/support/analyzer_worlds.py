"""Small worlds for the tests of analyzers: raw rows are turned into the frames and the context of an analyzer.

The frames are computed here from raw rows in the slow and obvious way, so that the tests of an analyzer do not depend on the store's
counting.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from observability.core.analyzer import Ask, Context
from observability.core.catalog import Column, Edges, Model, Version
from observability.core.questions import ABSENT, NAN, NULL, UNKNOWN, UNSEEN, WRONG_TYPE, Aggregate, Bucket, Sample
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.stats.edges import category_levels, numeric_edges
from observability.stats.scores import SCORE_EDGES

START = datetime(2026, 3, 2, tzinfo=UTC)
ABSENT_VALUE, WRONG_VALUE = object(), object()
"""Stand-ins in an object column of the raw rows: for an absent feature, and for one of a wrong type."""


def edges_of(values: pd.Series) -> Edges:
    """Edges from raw reference values: numbers or texts."""
    if values.dtype == object or isinstance(values.dtype, pd.StringDtype):
        return Edges(levels=category_levels([each for each in values if isinstance(each, str)]).levels)
    found = numeric_edges(values.to_numpy(float))
    return Edges(
        edges=tuple(found.edges), deciles=tuple(int(each) for each in found.deciles), positions=tuple(found.positions), scale=found.scale,
        low=found.low, high=found.high, lowest=found.lowest, highest=found.highest,
    )  # fmt: skip


def context_for(
    reference: pd.DataFrame | None, *, task: str = "binary", features: tuple[str, ...] = (), settings: ModelSettings | None = None, budget: float = 0.1 / 7,
    days: int = 7,
) -> Context:  # fmt: skip
    """The context of a model with one version, whose edges come from the raw rows of a reference."""
    edges: dict[str, Edges] = {}
    if reference is not None:
        edges = {f"feature.{name}": edges_of(reference[name]) for name in features}
        if task == "regression":
            edges["score"] = edges_of(reference["score"])
            edges["error"] = edges_of(reference["score"] - reference["label"])
    kinds = {name: "category" if edges.get(f"feature.{name}", Edges()).levels else "number" for name in features}
    columns = tuple(Column(i + 1, name, f"f{i + 1}", kinds[name]) for i, name in enumerate(features))
    version = Version("1", START - timedelta(days=60), features, edges, 0 if reference is None else len(reference))
    model = Model(1, "loan", task, ("0", "1") if task == "binary" else (), columns, (version,), settings or ModelSettings())
    window = Window("loan", START, START + timedelta(days=days), version="1")
    return Context(model, version, window, window.end, budget)


def bins_of(values: pd.Series, edges: Edges | None) -> np.ndarray:
    """The bin number of each value, computed by hand."""
    cuts = SCORE_EDGES if edges is None else np.asarray(edges.edges)

    def one(value: object) -> int:
        if value is ABSENT_VALUE:
            return ABSENT
        if value is WRONG_VALUE:
            return WRONG_TYPE
        if value is None or value is pd.NA:
            return NULL
        if edges is not None and edges.levels:
            return edges.levels.index(value) if value in edges.levels else UNSEEN
        if value != value:
            return NAN
        return int(np.searchsorted(cuts, float(value), side="right"))

    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiu" and not (edges is not None and edges.levels):
        found = values.to_numpy(float)
        return np.where(np.isnan(found), NAN, np.searchsorted(cuts, found, side="right"))
    return np.array([one(each) for each in values], int)


def answer(aggregate: Aggregate, rows: pd.DataFrame, context: Context) -> pd.DataFrame:
    """The result of an aggregate over raw rows with the columns at, score, label (NaN: none yet), decision and the features."""
    frame = rows.copy()
    frame["w"] = frame["weight"] if "weight" in frame else 1.0
    keys = {}
    for key in aggregate.keys:
        if isinstance(key, Bucket):
            keys["period"] = frame["at"].dt.floor("D" if key.period == "day" else "h").dt.tz_localize(None)
        elif key.column == "label":
            keys["label"] = (frame["label"].fillna(UNKNOWN) if context.model.task != "regression" else frame["label"].notna() - 1.0).astype(
                int
            )
        elif key.column == "decision":
            keys["decision"] = frame["decision"].astype(int) if "decision" in frame else pd.Series(UNKNOWN, frame.index)
        elif key.column == "score_bin":
            keys["score_bin"] = pd.Series(bins_of(frame["score"], None), frame.index)
        else:
            keys[key.column] = frame[key.column]
    base = pd.DataFrame({**keys, "w": frame["w"]})
    names = list(aggregate.key_names)
    if aggregate.histogram:
        parts = []
        for column in aggregate.histogram:
            name = column.partition(".")[2] or column
            edges = context.version.edges.get(column)
            parts.append(base.assign(column=column, bin=bins_of(frame[name], edges)))
        base = pd.concat(parts, ignore_index=True) if len(frame) else base.assign(column="", bin=0)
    if aggregate.sums:
        error = frame["score"] - frame["label"]
        p = np.where(frame["label"] == 1, frame["score"], 1 - frame["score"]) if context.model.task == "binary" else error
        values = {
            "error": error, "absolute_error": error.abs(), "squared_error": error**2, "label_value": frame["label"],
            "log_loss": pd.Series(-np.log(np.clip(p, 1e-15, 1)), frame.index).where(frame["label"].notna()), "brier": error**2,
        }  # fmt: skip
        values |= {name: finite(frame[name.partition(".")[2] or name]) for name in aggregate.sums if name not in values}
        parts = [base.assign(measure=name, x=values[name])[values[name].notna()] for name in aggregate.sums]
        base = pd.concat(parts, ignore_index=True)
    else:
        base["x"] = 0.0
    base["n"], base["w2"], base["total"], base["squares"] = 1, base["w"] ** 2, base["w"] * base["x"], base["w"] * base["x"] ** 2
    sums = ["n", "w", "w2", "total", "squares"]
    out = base.groupby(names, as_index=False)[sums].sum() if names else base[sums].sum().to_frame().T
    out["low"] = out["high"] = np.nan
    if aggregate.sums and len(out):
        extremes = base.groupby(names)["x"]
        out["low"], out["high"] = extremes.min().to_numpy(), extremes.max().to_numpy()
    return out.astype({"n": "int64"}) if len(out) else out


def finite(values: pd.Series) -> pd.Series:
    """The finite numbers of a column; all other values become NaN."""
    return pd.to_numeric(values, errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)


def frames_for(
    asks: Mapping[str, Ask], context: Context, current: pd.DataFrame, reference: pd.DataFrame | None, past: pd.DataFrame | None = None
) -> dict:
    """The frames that an analyzer asked for."""
    nothing = current.iloc[:0]
    of = {"current": current, "reference": nothing if reference is None else reference, "past": nothing if past is None else past}
    return {
        name: taken(ask.aggregate, of[ask.span]) if isinstance(ask.aggregate, Sample) else counted(ask, of[ask.span], context)
        for name, ask in asks.items()
    }


COUNTED: dict[str, tuple[pd.DataFrame, dict[tuple, pd.DataFrame]]] = {}
"""For each span: the rows of the last query, and the results for these rows by question, task and edges."""


def counted(ask: Ask, rows: pd.DataFrame, context: Context) -> pd.DataFrame:
    """The result of an aggregate. Results for equal rows of one span are cached, because a simulation gives many weeks the same
    reference.
    """
    if ask.span == "current":
        return answer(ask.aggregate, rows, context)
    known, answers = COUNTED.get(ask.span, (None, {}))
    if known is None or not rows.equals(known):
        answers = {}
        COUNTED[ask.span] = (rows.copy(), answers)
    key = (ask.aggregate, context.model.task, tuple(context.version.edges.items()))
    if key not in answers:
        answers[key] = answer(ask.aggregate, rows, context)
    return answers[key].copy()


def taken(sample: Sample, rows: pd.DataFrame) -> pd.DataFrame:
    """The first rows of a sample, as the store would return them; here the hash of a row is its position. Absent values and values of a
    wrong type become missing.
    """
    some = rows.head(sample.rows).reset_index(drop=True)
    columns = {"id": pd.Series([f"p{place:07}" for place in range(len(some))], dtype=object)}
    for reference in sample.columns:
        name = reference.partition(".")[2] or reference
        if name == "at" and name in some:
            columns[name] = some[name].dt.tz_localize(None)
        elif name in some:
            values = some[name].map(lambda each: None if each in (ABSENT_VALUE, WRONG_VALUE) else each)
            texts = any(isinstance(each, str) for each in values)
            columns[reference] = values.astype(object).where(values.notna(), None) if texts else values.astype(float)
    return pd.DataFrame(columns)


def spread(rows: int, days: int = 7) -> pd.Series:
    """Event times of rows, spread evenly over the window."""
    return pd.Series(pd.date_range(START, START + timedelta(days=days), periods=rows + 1)[:-1])
