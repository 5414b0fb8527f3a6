"""Tables of a controller for charts: regret by day, quantiles of both sides, predicted against actual outcomes, what steered, and how
often the decisions were better than those of the old rule.
"""

from typing import TYPE_CHECKING

import numpy as np

from observability.metrics.controllers import HEURISTIC, MODEL, STEERERS, ControllerDecisions, block_codes
from observability.stats.blocks import MIN_BLOCKS, block_ratio, estimate_quotient, tail_quantile

if TYPE_CHECKING:
    from pandas import DataFrame

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
GROUPS = 10
MIN_GROUP = 20
"""Minimum number of decisions in each tenth of the predicted outcomes. If a tenth would have fewer, there are fewer groups."""
SAME = 1e-9
"""Two outcomes count as the same if their relative difference is below this."""


def regret_by_day(found: ControllerDecisions) -> "DataFrame":
    """Return the regret on each day with its 95 % interval, computed like that of the finding about all days.

    Parameters
    ----------
    found : ControllerDecisions
        Earlier days that are known are included.

    Returns
    -------
    DataFrame
        day, value, low, high, n (decisions of the model), evaluated. Days that cannot be compared are left out.
    """
    import pandas as pd

    paired = found.pairs["block"].nunique() >= MIN_BLOCKS
    rows = pd.concat([found.past.assign(evaluated=False), found.rows.assign(evaluated=True)], ignore_index=True)
    rows = rows[rows["outcome"].notna() & rows["by"].isin((MODEL,) if paired else (MODEL, HEURISTIC))]
    rows = rows[rows["baseline_outcome"].notna()] if paired else rows
    lines = []
    for day, part in rows.groupby(rows["at"].dt.floor("D")):
        codes = block_codes(part["at"], part["by"])
        if paired:
            estimate = block_ratio(part["outcome"], part["baseline_outcome"], codes)
        else:
            own = (part["by"] == MODEL).to_numpy()
            sides = [block_ratio(part["outcome"][mask], np.ones(int(mask.sum())), codes[mask]) for mask in (own, ~own)]
            estimate = estimate_quotient(sides[0], sides[1]) if sides[0] and sides[1] else None
        if estimate is not None:
            ends = estimate.shifted(-1.0).interval()
            n = int((part["by"] == MODEL).sum())
            lines.append({"day": day, **ends.fields, "n": n, "evaluated": bool(part["evaluated"].any())})
    return pd.DataFrame(lines, columns=["day", "value", "low", "high", "n", "evaluated"])


def outcome_quantiles(found: ControllerDecisions) -> "DataFrame":
    """Return quantiles of the outcome under the model and under the heuristic, each with its interval.

    Parameters
    ----------
    found : ControllerDecisions
        Of pairs where there are any in enough blocks, else of each side's share of the time.

    Returns
    -------
    DataFrame
        side, quantile, value, low, high (NaN if too few decisions bound it), n.
    """
    import pandas as pd

    pairs = found.pairs
    model, heuristic = pairs[["outcome", "block"]], pairs[["baseline_outcome", "block"]].set_axis(["outcome", "block"], axis=1)
    if pairs["block"].nunique() < MIN_BLOCKS:
        model, heuristic = found.outcomes(MODEL), found.outcomes(HEURISTIC)
    lines = []
    for side, rows in ((MODEL, model), (HEURISTIC, heuristic)):
        for q in QUANTILES if len(rows) else ():
            ends = tail_quantile(rows["outcome"], q, rows["block"])
            lines.append({"side": side, "quantile": q, **ends.fields, "n": len(rows)})
    return pd.DataFrame(lines, columns=["side", "quantile", "value", "low", "high", "n"])


def predicted_against_actual(found: ControllerDecisions) -> "DataFrame":
    """Return the mean actual outcome in groups of equal size by predicted outcome, with its interval over blocks of time.

    Parameters
    ----------
    found : ControllerDecisions
        Its own decisions with a predicted and an actual outcome count.

    Returns
    -------
    DataFrame
        score (mean predicted), rate (mean actual), low, high, n; at most ten rows.
    """
    import pandas as pd

    rows = found.outcomes(MODEL)
    rows = rows[rows["predicted"].notna()]
    groups = min(GROUPS, len(rows) // MIN_GROUP)
    lines = []
    if groups:
        place = pd.qcut(rows["predicted"].rank(method="average"), groups, labels=False, duplicates="drop")
        for _, part in rows.groupby(place):
            estimate = block_ratio(part["outcome"], np.ones(len(part)), part["block"])
            low, high = estimate.interval().triple[1:] if estimate else (None, None)
            line = {"score": float(part["predicted"].mean()), "rate": float(part["outcome"].mean())}
            lines.append({**line, "low": low, "high": high, "n": len(part)})
    return pd.DataFrame(lines, columns=["score", "rate", "low", "high", "n"])


def steering_by_day(found: ControllerDecisions) -> "DataFrame":
    """Return the decisions of each day, by what steered (model, heuristic, guardrail or kill switch).

    Parameters
    ----------
    found : ControllerDecisions
        Earlier days that are known are included.

    Returns
    -------
    DataFrame
        day, by (of STEERERS), n, share; every day has a row for each that ever steered.
    """
    import pandas as pd

    rows = pd.concat([found.past, found.rows], ignore_index=True)
    counts = pd.crosstab(rows["at"].dt.floor("D"), rows["by"])
    shares = counts.div(counts.sum(axis=1), axis=0)
    lines = [
        {"day": day, "by": by, "n": int(counts.loc[day, by]), "share": float(shares.loc[day, by])}
        for by in STEERERS
        if by in counts.columns
        for day in counts.index
    ]
    return pd.DataFrame(lines, columns=["day", "by", "n", "share"])


def decisions_against_rule(found: ControllerDecisions) -> "DataFrame":
    """Return how often the model's decision was better or worse than the old rule's, for each pair of their decisions.

    Parameters
    ----------
    found : ControllerDecisions
        Pairs whose old rule's decision is logged count.

    Returns
    -------
    DataFrame
        decision, baseline, n, better, equal, worse, model_mean, heuristic_mean; most frequent first.
    """
    import pandas as pd

    pairs = found.pairs
    pairs = pairs[pairs["baseline"].notna() & pairs["decision"].notna()]
    gap = pairs["outcome"] - pairs["baseline_outcome"]
    near = SAME * pairs[["outcome", "baseline_outcome"]].abs().max(axis=1)
    table = pairs.assign(better=(gap < -near), equal=(gap.abs() <= near), worse=(gap > near))
    columns = ["decision", "baseline", "n", "better", "equal", "worse", "model_mean", "heuristic_mean"]
    if table.empty:
        return pd.DataFrame(columns=columns)
    found_rows = table.groupby(["decision", "baseline"], as_index=False).agg(
        n=("outcome", "size"), better=("better", "sum"), equal=("equal", "sum"), worse=("worse", "sum"),
        model_mean=("outcome", "mean"), heuristic_mean=("baseline_outcome", "mean"),
    )  # fmt: skip
    return found_rows.sort_values(["n", "decision", "baseline"], ascending=[False, True, True]).reset_index(drop=True)[columns]
