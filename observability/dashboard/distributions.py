"""Frames of distributions: one column in the reference and now, and the share of missing values by day.

Overlays use the same aggregate as the findings about drift.
"""

import itertools
import re
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observability.core import formatting
from observability.core.catalog import Edges, Model, Version
from observability.core.questions import ABSENT, NAN, NULL, SPECIAL_BINS, UNSEEN, WRONG_TYPE, Aggregate, Bucket
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import clicks, load
from observability.dashboard.frame import ModelPage
from observability.stats.edges import atom_bins
from observability.stats.scores import SCORE_EDGES

STEPS = 25
"""Number of drawn steps. It is half the number of equal-width bins in stored edges (stats/edges.py), so that each step ends at a stored
edge.
"""
MAX_LEVELS = 15
MISSING = (NULL, NAN, ABSENT, WRONG_TYPE)


def column_histograms(window: Window, columns: tuple[str, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the counts by bin (column, bin, n, w) of the window, and of the reference of its version."""
    current = load.ask_store(Aggregate("predictions", keys=(Bucket("day"),), histogram=columns), window)
    return current, load.ask_store(Aggregate("predictions", histogram=columns), window.reference())


def finding_column(model: Model, name: str) -> str:
    """Return the column reference for a finding's subject: `score`, a feature, or else a group."""
    if name == "score" and not model.column("feature.score"):
        return "score"
    return f"feature.{name}" if model.column(f"feature.{name}") else f"group.{name}"


def column_edges(version: Version, column: str) -> Edges | None:
    """Return the stored edges of a column. For the score of a classifier without stored edges they are fixed; None if there are none."""
    found = version.edges.get(column)
    if found is None and column == "score":
        return Edges(edges=tuple(float(edge) for edge in SCORE_EDGES))
    return found


def overlay_frame(edges: Edges, current: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Both sides of a column for charts/overlay.py: by level for a category, by step for a number."""
    return (level_shares_frame if edges.levels else histogram_frame)(edges, current, reference)


def histogram_frame(edges: Edges, current: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Both sides of a number on the same few steps: step (in words), low, high, reference, current (shares of the values), n_reference,
    n_current.

    A step joins whole stored bins, so no count is split. For a number with many values, steps have equal width between the 0.5 % and 99.5 %
    points of the reference. An outer step on each side has all values beyond them and is drawn as wide as the others.
    """
    cuts, group, outer = drawn_steps(edges)
    names = [f"{formatting.format_number(low)} to {formatting.format_number(high)}" for low, high in itertools.pairwise(cuts)]
    if outer:
        names[0], names[-1] = f"below {formatting.format_number(cuts[1])}", f"{formatting.format_number(cuts[-2])} and above"
    frame = pd.DataFrame({"step": names, "low": cuts[:-1], "high": cuts[1:]})
    counts = {}
    for name, rows in (("reference", reference), ("current", current)):
        inside = rows[rows["bin"] >= 0]
        counts[name] = np.zeros(cuts.size - 1)
        np.add.at(counts[name], group[np.minimum(inside["bin"].to_numpy(np.int64), group.size - 1)], inside["w"].to_numpy(np.float64))
        frame[name] = counts[name] / max(counts[name].sum(), 1.0)
    for name, found in counts.items():
        frame[f"n_{name}"] = found.round().astype(int)
    return frame


def drawn_steps(edges: Edges) -> tuple[NDArray[np.float64], NDArray[np.int64], bool]:
    """Return the ends of the drawn steps, the step of each stored bin, and whether the outer steps have all values beyond the ends.

    A column with few different values has a bin for each value; its steps end half way between two values.
    """
    at = np.asarray(edges.edges, np.float64)
    atoms = np.flatnonzero(atom_bins(at))
    lower = np.concatenate([[-np.inf], at])
    if at.size > 1 and atoms.size <= STEPS and 2 * atoms.size >= at.size - 1:
        values = at[atoms - 1]
        half = float(np.min(np.diff(values))) / 2 if values.size > 1 else 0.5
        cuts = np.concatenate([[values[0] - half], (values[1:] + values[:-1]) / 2, [values[-1] + half]])
        return cuts, np.clip(np.searchsorted(cuts, lower, side="right") - 1, 0, cuts.size - 2), False
    low = edges.low if edges.low is not None else float(at[0])
    high = edges.high if edges.high is not None else float(at[-1])
    if not low < high:
        low, high = float(at[0]), max(float(at[-1]), float(at[0]) + 1.0)
    wanted = np.linspace(low, high, STEPS + 1)
    right = np.clip(np.searchsorted(at, wanted), 1, at.size - 1)
    near = np.where(np.abs(at[right] - wanted) < np.abs(at[right - 1] - wanted), at[right], at[right - 1])
    inner = np.unique(near)
    inner = inner if inner.size > 1 else np.array([low, high])
    width = float(np.median(np.diff(inner)))
    cuts = np.concatenate([[inner[0] - width], inner, [inner[-1] + width]])
    return cuts, np.searchsorted(inner, lower, side="right"), True


def cases_of_overlay(here: ModelPage, point: clicks.Point, twin: pd.DataFrame, column: str) -> clicks.CaseQuery | None:
    """Return the query for the predictions of a clicked step or level of `overlay_frame`."""
    return (cases_of_level if "level" in twin else cases_of_step)(here, point, twin, column)


def cases_of_step(here: ModelPage, point: clicks.Point, twin: pd.DataFrame, column: str) -> clicks.CaseQuery | None:
    """Return the query for the predictions between the ends of a clicked step of `histogram_frame`; an outer step has only one end."""
    at = point.get("x")
    middles = (twin["low"] + twin["high"]).to_numpy(np.float64) / 2
    if not isinstance(at, int | float) or not middles.size:
        return None
    step = twin.iloc[int(np.abs(middles - at).argmin())]
    low = None if str(step["step"]).startswith("below ") else float(step["low"])
    high = None if str(step["step"]).endswith(" and above") else float(step["high"])
    q = clicks.range_condition(column, low, high)
    return clicks.CaseQuery(here.scope, q, clicks.LARGEST) if q else None


def cases_of_level(here: ModelPage, point: clicks.Point, twin: pd.DataFrame, column: str) -> clicks.CaseQuery | None:
    """Return the query for the predictions of a clicked level of `level_shares_frame`; None for a row of unseen or NaN values, or one that
    joins several levels.
    """
    number = clicks.row_of_mark(point, "x", len(twin))
    level = None if number is None else str(twin["level"].iloc[number])
    if level is None or level in (SPECIAL_BINS[UNSEEN], SPECIAL_BINS[NAN]) or re.fullmatch(r"\d+ others", level):
        return None
    q = (
        clicks.missing_condition(column)
        if level in [SPECIAL_BINS[special] for special in MISSING]
        else clicks.equality_condition(column, level)
    )
    return clicks.CaseQuery(here.scope, q, clicks.LARGEST) if q else None


def level_shares_frame(edges: Edges, current: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Both sides of a category: level, reference, current (shares of all rows), n_reference, n_current.

    The rows are the levels that are most frequent on either side, one row for all other levels, and then unseen levels and each kind of
    missing value that occurs.
    """
    table = pd.DataFrame(
        {name: frame.groupby("bin")["w"].sum() for name, frame in (("reference", reference), ("current", current))}
    ).fillna(0.0)
    ordinary = table[table.index >= 0].copy()
    ordinary.index = pd.Index([edges.levels[int(place)] if int(place) < len(edges.levels) else "?" for place in ordinary.index])
    ordinary = ordinary.loc[ordinary.max(axis=1).sort_values(ascending=False, kind="stable").index]
    kept, rest = ordinary.head(MAX_LEVELS), ordinary.iloc[MAX_LEVELS:]
    if len(rest):
        kept = pd.concat([kept, pd.DataFrame([rest.sum()], index=[f"{len(rest)} others"])])
    special = table[table.index < 0].copy()
    special.index = pd.Index([SPECIAL_BINS[int(place)] for place in special.index])
    both = pd.concat([kept, special])
    both = both[both.sum(axis=1) > 0]
    total = {side: max(float(table[side].sum()), 1.0) for side in ("reference", "current")}
    frame = pd.DataFrame({"level": both.index, **{side: both[side].to_numpy() / total[side] for side in total}})
    return frame.assign(**{f"n_{side}": both[side].round().astype(int).to_numpy() for side in total})


def special_value_shares(rows: pd.DataFrame) -> dict[str, float]:
    """Return the share of all rows of one side that are null, NaN, absent, of a wrong type or unseen; only kinds that occur are
    included.
    """
    total = float(rows["w"].sum())
    by_bin = rows.groupby("bin")["w"].sum()
    return {
        SPECIAL_BINS[special]: float(by_bin[special]) / total for special in (*MISSING, UNSEEN) if special in by_bin.index and total > 0
    }


def missing_share_by_day(window: Window, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return the share of predictions with a null, NaN, absent or wrongly typed value by day: subject, day, value, n. The column with the
    largest share is first.
    """
    rows = load.ask_store(Aggregate("predictions", keys=(Bucket("day"),), histogram=columns), window)
    if rows.empty:
        return pd.DataFrame(columns=["subject", "day", "value", "n"])
    bad = rows.assign(bad=rows["w"].where(rows["bin"].isin(MISSING), 0))
    frame = bad.groupby(["column", "period"], sort=False)[["n", "w", "bad"]].sum().reset_index()
    frame["value"] = frame["bad"] / frame["w"]
    frame["subject"] = frame["column"].str.partition(".")[2]
    worst = frame.groupby("subject")["value"].max().rename("worst")
    frame = frame.join(worst, on="subject").sort_values(["worst", "subject", "period"], ascending=[False, True, True], kind="stable")
    return frame.rename(columns={"period": "day"})[["subject", "day", "value", "n"]].reset_index(drop=True)


def analyzed_version(model: Model, window: Window, name: str | None) -> tuple[Version | None, Window]:
    """The version whose distributions are drawn, and the window of this version alone. It is the named version, else the window's version,
    else the newest registered version that answered in the window's environment, else the newest registered one.
    """
    chosen = model.version(name or window.version) or newest_answering_version(model, window)
    return chosen, replace(window, version=chosen.name) if chosen else window


def newest_answering_version(model: Model, window: Window) -> Version | None:
    """Return the version that was registered last among those with predictions in the window's dates and environment. If there is none,
    versions with predictions in the environment are considered, then all. None if no version is registered.
    """
    seen = load.stream_activity()
    seen = seen[(seen["model"] == model.name) & (seen["environment"] == window.environment)]
    inside = seen[(seen["first"] < naive_utc(window.end)) & (seen["last"] >= naive_utc(window.start))]
    registered = sorted(
        (version for version in model.versions if version.registered_at), key=lambda version: version.registered_at or EPOCH
    )
    for names in (set(inside["version"]), set(seen["version"])):
        if found := [version for version in registered if version.name in names]:
            return found[-1]
    return registered[-1] if registered else None


def compared_windows(model: Model, window: Window) -> tuple[Window, Window | None]:
    """Return the window of the analyzed version, and the window of its reference; None for the second if it has no reference rows."""
    version, own = analyzed_version(model, window, window.version)
    return own, own.reference() if version is not None and version.reference_rows else None
