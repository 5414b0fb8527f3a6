"""Decisions of models that steer a system: their outcomes, the outcomes of the old rule, and what steered at the time.

A decision is a prediction of environment `controller`. Its score is the predicted outcome and its label the actual one; an outcome is a
cost, so lower is better. Additional fields: `baseline` (what the old rule would have decided), `baseline_outcome` (the outcome of the old
rule, real or hypothetical; logged with the label or with the decision), `steered_by` (model, heuristic), `kill_switch`, `score_low` and
`score_high`, `interval_level`, `unit`, `system`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.questions import CONTROLLER_DECISION, Records
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.stats.blocks import MIN_BLOCKS, BlockEstimate, block_ratio, estimate_quotient, rank_separation, tail_quantile
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame, Series

DECISION_COLUMNS = ("id", "at", "model", "version", "status", "prediction", "score", "features", "label", "extra")
DECISIONS = Records(CONTROLLER_DECISION, DECISION_COLUMNS, ever=True)
MODEL, HEURISTIC, GUARDRAIL, OFF = "model", "heuristic", "guardrail", "off"
"""What steered: the model; the heuristic in its share of the time; a guardrail that stopped the model; the kill switch."""
STEERERS = {MODEL: "model", HEURISTIC: "heuristic's share", GUARDRAIL: "guardrail", OFF: "kill switch"}
BLOCKS = (timedelta(hours=6), timedelta(hours=1), timedelta(minutes=10), timedelta(minutes=1))
"""Possible lengths of a block. The longest one that gives ENOUGH_BLOCKS blocks is used."""
ENOUGH_BLOCKS = 20
TAILS = (0.999, 0.99, 0.95)
PAST_DAYS, LIVE_DAYS = 28, 30
DEFAULT_LEVEL = 0.9
"""Coverage that is assumed for predicted intervals if they state none."""
MAX_LEVELS = 20


@dataclass(frozen=True)
class ControllerDecisions:
    """The decisions of one controller: in the evaluated days, and in the four weeks before them.

    rows, past: results of `decision_rows`. start, end: the evaluated days. unit: unit of the outcome. system: what is steered, such as
    `cache`.
    """

    model: str
    rows: "DataFrame"
    past: "DataFrame"
    start: datetime
    end: datetime
    unit: str
    system: str

    def steered(self, *by: str) -> "DataFrame":
        """The evaluated decisions that certain STEERERS made."""
        return self.rows[self.rows["by"].isin(by)]

    def outcomes(self, by: str) -> "DataFrame":
        """The evaluated decisions that one of STEERERS made and whose outcome is known."""
        rows = self.steered(by)
        return rows[rows["outcome"].notna()]

    @property
    def pairs(self) -> "DataFrame":
        """The decisions of the model for which the outcomes of both the model and the old rule are known."""
        rows = self.outcomes(MODEL)
        return rows[rows["baseline_outcome"].notna()]


@dataclass(frozen=True)
class Comparison:
    """The model compared with the heuristic: the relative difference of mean outcomes. paired: whether both are compared on the same
    decisions; otherwise, each is measured in the part of the time in which it steered.

    model_mean, heuristic_mean: mean outcomes. n: decisions of the model; heuristic_n: decisions of the heuristic.
    """

    estimate: BlockEstimate
    paired: bool
    model_mean: float
    heuristic_mean: float
    n: int
    heuristic_n: int


@dataclass(frozen=True)
class TailComparison:
    """A high quantile of the outcome under the model and under the heuristic, each with its interval."""

    q: float
    model: Interval
    heuristic: Interval
    n: int

    @property
    def ratio(self) -> Interval:
        """The model's quantile divided by the heuristic's quantile. The ends of its interval combine the ends of both intervals, so it is
        wider than a 95 % interval.
        """
        value, base = self.model.value or 0.0, self.heuristic.value or 0.0
        if base <= 0:
            return Interval(None, None, None, self.n)
        if self.model.low is None or self.model.high is None or not self.heuristic.low or not self.heuristic.high:
            return Interval(value / base, None, None, self.n)
        return Interval(value / base, self.model.low / self.heuristic.high, self.model.high / self.heuristic.low, self.n)


def controllers_of(decisions: "DataFrame", window: Window) -> list[ControllerDecisions]:
    """Return the controllers that decided before the end of a window, each with its evaluated days.

    Parameters
    ----------
    decisions : DataFrame
        Answer to DECISIONS.
    window : Window
        As many days as it has are evaluated: the last ones, ending at its end, or at the end of the day of a controller's newest decision
        where that is older than 30 days.

    Returns
    -------
    list of ControllerDecisions
        By name of the controller.
    """
    found = []
    end, days = naive_utc(window.end), window.end - window.start
    for model, own in decisions[decisions["at"] < end].groupby("model", sort=True):
        newest = own["at"].max().to_pydatetime()
        until = end
        if end - newest > timedelta(days=LIVE_DAYS):
            until = min(end, newest.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))
        since = max(until - days, datetime(1970, 1, 1)) if days < timedelta(days=20_000) else datetime(1970, 1, 1)
        rows = decision_rows(own[own["at"] >= since - timedelta(days=PAST_DAYS)] if since > datetime(1970, 2, 1) else own)
        units, systems = rows["unit"].dropna(), rows["system"].dropna()
        now = rows["at"] >= since
        found.append(
            ControllerDecisions(
                str(model),
                rows[now].reset_index(drop=True),
                rows[~now].reset_index(drop=True),
                since,
                until,
                str(units.iloc[-1]) if len(units) else "",
                str(systems.iloc[-1]) if len(systems) else "",
            )
        )
    return found


def decision_rows(decisions: "DataFrame") -> "DataFrame":
    """Return a row for each decision with its outcomes as numbers.

    Parameters
    ----------
    decisions : DataFrame
        Answer to DECISIONS, of one controller.

    Returns
    -------
    DataFrame
        at, version, decision, predicted, low, high, level, outcome, baseline, baseline_outcome, by (see STEERERS), unit, system, features,
        block (an integer). Outcomes that are unknown or not finite are NaN.
    """
    import pandas as pd

    extra = [each if isinstance(each, Mapping) else {} for each in decisions["extra"]]
    label = [each if isinstance(each, Mapping) else {} for each in decisions["label"]]
    kept: dict[str, Any] = {
        "at": pd.to_datetime(decisions["at"]).to_numpy(),
        "version": decisions["version"].astype(str).to_numpy(),
        "decision": [_word(each) for each in decisions["prediction"]],
        "predicted": [_finite(each) for each in decisions["score"]],
        "low": [_finite(each.get("score_low")) for each in extra],
        "high": [_finite(each.get("score_high")) for each in extra],
        "level": [_finite(each.get("interval_level", DEFAULT_LEVEL)) for each in extra],
        "outcome": [_finite(each.get("value")) for each in label],
        "baseline": [_word(each.get("baseline")) for each in extra],
        "baseline_outcome": [_finite(one.get("baseline_outcome", two.get("baseline_outcome"))) for one, two in zip(label, extra)],
        "by": [_steerer(status, each) for status, each in zip(decisions["status"], extra)],
        "unit": [_word(each.get("unit")) for each in extra],
        "system": [_word(each.get("system")) for each in extra],
        "features": list(decisions["features"]),
    }
    rows = pd.DataFrame(kept)
    return rows.assign(block=block_codes(rows["at"], rows["by"]))


def _steerer(status: object, extra: Mapping[str, Any]) -> str:
    """What made a decision: the kill switch, the guardrail, the heuristic or the learned model."""
    if extra.get("kill_switch") is True:
        return OFF
    if _word(status) not in (None, "ok"):
        return GUARDRAIL
    return HEURISTIC if extra.get("steered_by") == HEURISTIC else MODEL


def _finite(value: object) -> float:
    """A number, or a text that states one, if it is finite; else NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return float("nan")
    try:
        number = float(value)
    except ValueError:
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def _word(value: object) -> str | None:
    """A value as text; None if it is missing."""
    return None if value is None or value != value else str(value)


def block_codes(at: "Series[Any]", by: Iterable[str]) -> NDArray[np.int64]:
    """Return for each decision the number of its block. A block is a period of fixed length during which the same one of STEERERS steered.

    Parameters
    ----------
    at : Series
        Naive UTC times.
    by : iterable of str
        Who steered.

    Returns
    -------
    ndarray
        The longest of BLOCKS that gives ENOUGH_BLOCKS; else the shortest.
    """
    import pandas as pd

    who, names = pd.factorize(np.asarray(list(by), dtype=object))
    code = np.zeros(len(who), np.int64)
    seconds = at.astype("datetime64[s]").astype("int64").to_numpy()
    for length in BLOCKS:
        code = pd.factorize(seconds // int(length.total_seconds()) * max(len(names), 1) + who)[0].astype(np.int64)
        if len(code) and code.max() + 1 >= ENOUGH_BLOCKS:
            break
    return code


def compared_outcomes(found: ControllerDecisions) -> Comparison | None:
    """Return how much more the model costs than the heuristic, as a share of the heuristic's cost.

    Parameters
    ----------
    found : ControllerDecisions
        Pairs are used where there are any in enough blocks, because they need no share of the time; else the heuristic's share.

    Returns
    -------
    Comparison or None
        None if neither is logged in MIN_BLOCKS blocks, or if the heuristic's outcomes are not above 0 in sum.
    """
    pairs = found.pairs
    ratio = block_ratio(pairs["outcome"], pairs["baseline_outcome"], pairs["block"])
    if ratio is not None:
        means = float(pairs["outcome"].mean()), float(pairs["baseline_outcome"].mean())
        return Comparison(ratio.shifted(-1.0), True, *means, len(pairs), len(pairs))
    sides = [found.outcomes(MODEL), found.outcomes(HEURISTIC)]
    parts = [block_ratio(side["outcome"], np.ones(len(side)), side["block"]) for side in sides]
    if parts[0] is None or parts[1] is None or (quotient := estimate_quotient(parts[0], parts[1])) is None:
        return None
    return Comparison(quotient.shifted(-1.0), False, parts[0].value, parts[1].value, len(sides[0]), len(sides[1]))


def compared_tails(found: ControllerDecisions, confidence: float = 0.95) -> list[TailComparison]:
    """Return the high quantiles of the outcome under the model and under the heuristic, the highest first.

    Parameters
    ----------
    found : ControllerDecisions
        The heuristic's outcomes come from the pairs if enough blocks have pairs, else from the heuristic's share of the time.
    confidence : float
        Coverage of each interval.

    Returns
    -------
    list of TailComparison
        One for each of TAILS; empty if the heuristic has no outcomes.
    """
    pairs = found.pairs
    model, heuristic = pairs[["outcome", "block"]], pairs[["baseline_outcome", "block"]].set_axis(["outcome", "block"], axis=1)
    if pairs["block"].nunique() < MIN_BLOCKS:
        model, heuristic = found.outcomes(MODEL), found.outcomes(HEURISTIC)
    if not len(model) or not len(heuristic):
        return []
    sides = [[tail_quantile(side["outcome"], q, side["block"], confidence) for side in (model, heuristic)] for q in TAILS]
    return [TailComparison(q, one, other, len(model)) for q, (one, other) in zip(TAILS, sides)]


def steered_share(rows: "DataFrame", by: str, among: Sequence[str] = tuple(STEERERS)) -> BlockEstimate | None:
    """Return the share of one steerer in the decisions that several steerers made.

    Parameters
    ----------
    rows : DataFrame
        Of `decision_rows`.
    by : str
        One of STEERERS.
    among : sequence of str
        Some of STEERERS, `by` among them.

    Returns
    -------
    BlockEstimate or None
        None below MIN_BLOCKS blocks of time.
    """
    part = rows[rows["by"].isin(among)]
    return block_ratio((part["by"] == by).astype(float), np.ones(len(part)), _time_blocks(part))


def _time_blocks(rows: "DataFrame") -> NDArray[np.int64]:
    """The blocks by time alone, whatever steered."""
    return block_codes(rows["at"], [""] * len(rows))


def relative_bias(found: ControllerDecisions) -> BlockEstimate | None:
    """Return (actual - predicted) / actual for the model's decisions; None with fewer than MIN_BLOCKS blocks.

    Parameters
    ----------
    found : ControllerDecisions
        Its decisions with a predicted and an actual outcome count.

    Returns
    -------
    BlockEstimate or None
        Above 0 if outcomes are worse than predicted.
    """
    rows = found.outcomes(MODEL)
    rows = rows[rows["predicted"].notna()]
    return block_ratio(rows["outcome"] - rows["predicted"], rows["outcome"], rows["block"])


def interval_coverage(found: ControllerDecisions) -> tuple[BlockEstimate, float] | None:
    """Return the share of actual outcomes inside the predicted interval, and the share that the intervals state.

    Parameters
    ----------
    found : ControllerDecisions
        Its decisions with an interval and an actual outcome count.

    Returns
    -------
    tuple of BlockEstimate and float, or None
        None below MIN_BLOCKS blocks.
    """
    rows = found.outcomes(MODEL)
    rows = rows[rows["low"].notna() & rows["high"].notna() & rows["level"].between(0.0, 1.0, inclusive="neither")]
    inside = ((rows["outcome"] >= rows["low"]) & (rows["outcome"] <= rows["high"])).astype(float)
    share = block_ratio(inside, np.ones(len(rows)), rows["block"])
    return None if share is None else (share, float(rows["level"].mean()))


def feedback_by_feature(found: ControllerDecisions) -> list[tuple[str, BlockEstimate]]:
    """Return how much each input differs between the periods in which the model steered and those of the heuristic.

    Parameters
    ----------
    found : ControllerDecisions
        Features of categories count as the share of their most frequent level.

    Returns
    -------
    list of (feature, BlockEstimate)
        Of `rank_separation`, by name. Empty where either has fewer than MIN_BLOCKS blocks.
    """
    import pandas as pd

    rows = found.steered(MODEL, HEURISTIC)
    if not len(rows):
        return []
    table = pd.DataFrame([each if isinstance(each, Mapping) else {} for each in rows["features"]])
    first, blocks, answer = (rows["by"] == MODEL).to_numpy(), rows["block"].to_numpy(), []
    for name in sorted(table.columns):
        values = feature_numbers(table[name])
        known = np.isfinite(values)
        estimate = rank_separation(values[known], first[known], blocks[known]) if known.any() else None
        if estimate is not None:
            answer.append((str(name), estimate))
    return answer


def feature_numbers(values: "Series[Any]") -> NDArray[np.float64]:
    """Return a feature as numbers. Numbers stay unchanged; a category becomes 1 where the value is the most frequent level, else 0.

    Parameters
    ----------
    values : Series
        Values of one feature.

    Returns
    -------
    ndarray
        NaN if it is missing.
    """
    known = values[values.notna()]
    numbers = [_finite(each) if not isinstance(each, str) else float("nan") for each in values]
    if not len(known) or not any(isinstance(each, str | bool) for each in known):
        return np.array(numbers, np.float64)
    texts = values.astype(str)
    most = texts[values.notna()].mode().iloc[0]
    return np.where(values.notna(), (texts == most).astype(float), np.nan)
