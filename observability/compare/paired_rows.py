"""Find rows that both sides predicted, and how the two sides differ on exactly these rows.

Two rows match if two versions answered the same request (for example the serving version and a challenger in shadow, or two versions that
score one file). Rows match if they have the same id. Otherwise they match if they have equal values of every feature that both sides read,
the same subject if both log one, and the same time. Among the remaining rows, two match if their feature values occur once on each side and
their times are less than an hour apart. A pair has the label that is known on either side, because rows in shadow rarely have labels. Pairs
with two different labels are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.compare.difference import AskEngine, Difference, unavailable_difference
from observability.compare.outcomes import MINIMUM_RATE_CHANGE, MINIMUM_ROWS
from observability.core.catalog import Model, Version
from observability.core.metric_definitions import METRICS
from observability.core.questions import Sample
from observability.core.window import Window
from observability.detection.metric_changes import MINIMUM_LABELS
from observability.metrics.metric_limits import LIMITS
from observability.stats import paired
from observability.stats.arrays import Bools, Floats, Integers
from observability.stats.interval import Interval, rate_interval
from observability.stats.paired import PairedComparison

if TYPE_CHECKING:
    from pandas import DataFrame, Series

PAIR_ROWS = 50_000
"""Maximum number of rows of each side that are searched for matches."""
MAX_TIME_APART = timedelta(hours=1)
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class PairSummary:
    """Rows that both sides predicted. n: number of pairs; labelled: pairs whose label is known; contradicting: pairs that are left out
    because their labels differ.

    looked_at: number of searched rows of each side. flips: share of pairs with different decisions (None for regression); only_a, only_b:
    number of labelled pairs for which only that side is right (regression: for which that side has the smaller error). score_gap: mean
    absolute difference of the scores.
    """

    n: int
    labelled: int
    contradicting: int
    looked_at: tuple[int, int]
    flips: Interval | None
    only_a: int
    only_b: int
    score_gap: float | None


@dataclass(frozen=True)
class MatchedRows:
    """Matching rows of both sides, with the label of each pair (NaN if unknown). contradicting, looked_at: as in PairSummary."""

    a: "DataFrame"
    b: "DataFrame"
    label: Floats
    contradicting: int
    looked_at: tuple[int, int]


def _can_match(a: Window, b: Window, versions_a: Sequence[Version], versions_b: Sequence[Version]) -> bool:
    """Whether both sides can have answered the same requests: their dates overlap, and version or environment differs."""
    if "reference" in (a.environment, b.environment) or min(a.end, b.end) <= max(a.start, b.start):
        return False
    shared = {each.name for each in versions_a} & {each.name for each in versions_b}
    return not shared or a.environment != b.environment


def paired_row_differences(
    ask: AskEngine, model: Model, a: Window, b: Window, versions_a: Sequence[Version], versions_b: Sequence[Version]
) -> tuple[PairSummary | None, list[Difference]]:
    """The summary of the pairs, and every paired difference; (None, []) if no rows can match."""
    if not _can_match(a, b, versions_a, versions_b):
        return None, []
    found = matched_rows(ask, model, a, b, versions_a, versions_b)
    about = _pair_summary(model, found.a, found.b, found.label, found.contradicting, found.looked_at)
    return about, paired_differences(model, found.a, found.b, found.label) if len(found.a) else []


def matched_rows(
    ask: AskEngine, model: Model, a: Window, b: Window, versions_a: Sequence[Version], versions_b: Sequence[Version]
) -> MatchedRows:
    """The rows that both sides predicted, among at most PAIR_ROWS rows of each side."""
    features = common_features(model, versions_a, versions_b)
    columns = ("id", "at", "subject", "score", "decision", "label", "label_value", *features)
    if model.task == "multiclass":
        columns = (*columns, *(f"score.{place}" for place in range(len(model.classes))))
    sides = [ask(Sample("outcomes", columns, PAIR_ROWS), window) for window in (a, b)]
    rows_a, rows_b = (
        sides[place].iloc[index].reset_index(drop=True) for place, index in enumerate(matching_places(sides[0], sides[1], features))
    )
    label, agree = pair_labels(model, rows_a, rows_b)
    rows_a, rows_b, label = rows_a[agree].reset_index(drop=True), rows_b[agree].reset_index(drop=True), label[agree]
    return MatchedRows(rows_a, rows_b, label, int((~agree).sum()), (len(sides[0]), len(sides[1])))


def common_features(model: Model, versions_a: Sequence[Version], versions_b: Sequence[Version]) -> list[str]:
    """References of the features that every version on both sides reads; if no version names its features, all features of the model."""
    read = [set(each.features) for each in (*versions_a, *versions_b) if each.features]
    common = set.intersection(*read) if read else {each.name for each in model.features()}
    return [each.reference for each in model.features() if each.name in common]


def matching_places(a: "DataFrame", b: "DataFrame", features: Sequence[str]) -> tuple[Integers, Integers]:
    """Indexes of the matching rows in `a` and in `b`."""
    import pandas as pd

    places = [
        pd.DataFrame({"place": np.arange(len(frame)), "id": frame["id"], "at": frame["at"], "key": key})
        for frame, key in zip((a, b), _row_keys(a, b, features), strict=True)
    ]
    found = [_joined_places(places[0], places[1], ["id"])]
    if features:
        for on in (["key", "at"], ["key"]):
            left = [frame[~frame["place"].isin([pair[side] for part in found for pair in part])] for side, frame in enumerate(places)]
            found.append(_joined_places(left[0], left[1], on))
    pairs = [pair for part in found for pair in part]
    pairs.sort()
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _joined_places(a: "DataFrame", b: "DataFrame", on: list[str]) -> list[tuple[int, int]]:
    """Indexes of the pairs of rows whose key is unique on each side and, if the key does not include the time, whose times are less than
    MAX_TIME_APART apart.
    """
    once = [frame[~frame.duplicated(on, keep=False)] for frame in (a, b)]
    both = once[0].merge(once[1], on=on, suffixes=("_a", "_b"))
    if "at" not in on:
        both = both[(both["at_a"] - both["at_b"]).abs() < MAX_TIME_APART]
    return list(zip(both["place_a"].tolist(), both["place_b"].tolist(), strict=True))


def _row_keys(a: "DataFrame", b: "DataFrame", features: Sequence[str]) -> list["Series[Any]"]:
    """A 64-bit hash of each row's features, and of its subject if both sides log one. Missing values count as equal."""
    import pandas as pd

    columns = list(features)
    if a["subject"].notna().any() and b["subject"].notna().any():
        columns.append("subject")
    if not columns:
        return [pd.Series(np.zeros(len(frame), np.uint64)) for frame in (a, b)]
    return [pd.util.hash_pandas_object(frame[columns].reset_index(drop=True), index=False) for frame in (a, b)]


def label_numbers(model: Model, frame: "DataFrame") -> Floats:
    """Labels as numbers: the class index, or the value of a regression; NaN if unknown."""
    if model.task == "regression":
        return frame["label_value"].to_numpy(np.float64)
    code = frame["label"].to_numpy(np.float64)
    return np.where(code >= 0, code, np.nan)


def pair_labels(model: Model, a: "DataFrame", b: "DataFrame") -> tuple[Floats, Bools]:
    """The label of each pair (class index, or the number of a regression; NaN if unknown), and a mask of the pairs whose labels agree."""
    one, other = label_numbers(model, a), label_numbers(model, b)
    agree = np.isnan(one) | np.isnan(other) | (one == other)
    return np.where(np.isnan(one), other, one), np.asarray(agree, np.bool_)


def _pair_summary(
    model: Model, a: "DataFrame", b: "DataFrame", label: Floats, contradicting: int, looked_at: tuple[int, int]
) -> PairSummary:
    """The number of pairs, the share of different decisions, and the number of pairs for which only one side is right."""
    known = ~np.isnan(label)
    gap = np.abs(a["score"].to_numpy(np.float64) - b["score"].to_numpy(np.float64))
    gap = gap[np.isfinite(gap)]
    flips = None
    if model.task == "regression":
        errors = [np.abs(frame["score"].to_numpy(np.float64) - label)[known] for frame in (a, b)]
        better = (errors[0] < errors[1]), (errors[1] < errors[0])
    else:
        one, other = (frame["decision"].to_numpy(np.int64) for frame in (a, b))
        decided = (one >= 0) & (other >= 0)
        flips = rate_interval(float((one != other)[decided].sum()), float(decided.sum()))
        right = [(each == label) & known & decided for each in (one, other)]
        better = (right[0] & ~right[1]), (right[1] & ~right[0])
    return PairSummary(
        len(a), int(known.sum()), contradicting, looked_at, flips, int(better[0].sum()), int(better[1].sum()),
        float(gap.mean()) if gap.size else None,
    )  # fmt: skip


def paired_differences(model: Model, a: "DataFrame", b: "DataFrame", label: Floats) -> list[Difference]:
    """The difference of every metric on the pairs, with its paired interval and test."""
    known = ~np.isnan(label)
    if model.task == "regression":
        return _regression_differences(a["score"].to_numpy(np.float64), b["score"].to_numpy(np.float64), label)
    one, other = (frame["decision"].to_numpy(np.int64) for frame in (a, b))
    decided = (one >= 0) & (other >= 0)
    found = []
    if model.task == "binary":
        each = paired.paired_rates(one[decided] == 1, other[decided] == 1)
        found.append(_paired_difference("selection_rate", each, MINIMUM_RATE_CHANGE, MINIMUM_ROWS))
    both, truth = decided & known, label
    right = paired.paired_rates(one[both] == truth[both], other[both] == truth[both])
    found.append(_paired_difference("accuracy", right, LIMITS["accuracy"][1], MINIMUM_LABELS))
    if model.task == "binary":
        found += _ratio_differences(one[both] == 1, other[both] == 1, truth[both] == 1)
        scores = [frame["score"].to_numpy(np.float64) for frame in (a, b)]
        usable = known & np.isfinite(scores[0]) & np.isfinite(scores[1])
        positive = truth[usable] == 1
        auc = paired.paired_roc_auc(scores[0][usable], scores[1][usable], positive)
        found.append(_paired_difference("roc_auc", auc, LIMITS["roc_auc"][1], MINIMUM_LABELS))
        probabilities = [np.stack([1 - each[usable], each[usable]], axis=1) for each in scores]
        return found + _loss_differences(probabilities, positive.astype(np.int64), binary=True)
    probabilities = [frame[[f"score.{k}" for k in range(len(model.classes))]].to_numpy(np.float64) for frame in (a, b)]
    usable = known & np.isfinite(probabilities[0]).all(axis=1) & np.isfinite(probabilities[1]).all(axis=1)
    return found + _loss_differences([each[usable] for each in probabilities], truth[usable].astype(np.int64), binary=False)


def _ratio_differences(one: Bools, other: Bools, positive: Bools) -> list[Difference]:
    """The paired differences of precision, recall and F1 between two sides on the same rows."""
    found = []
    for metric in ("precision", "recall", "f1"):
        sides: list[NDArray[np.generic]] = []
        for decided in (one, other):
            hit = (decided & positive).astype(np.float64)
            whole = {"precision": decided, "recall": positive, "f1": decided.astype(np.float64) + positive}[metric]
            sides += [2 * hit if metric == "f1" else hit, whole]
        found.append(
            _paired_difference(metric, paired.paired_ratios(sides[0], sides[1], sides[2], sides[3]), LIMITS[metric][1], MINIMUM_LABELS)
        )
    return found


def _loss_differences(probabilities: Sequence[Floats], truth: Integers, *, binary: bool) -> list[Difference]:
    """The paired differences of log loss and Brier score, from the probabilities of the classes (rows × classes)."""
    if not truth.size:
        return []
    rows = np.arange(truth.size)
    own = [np.clip(each[rows, truth], SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY) for each in probabilities]
    log = paired.paired_means(-np.log(own[0]), -np.log(own[1]))
    hit = np.eye(probabilities[0].shape[1])[truth]
    squares = [((each - hit) ** 2).sum(axis=1) / (2 if binary else 1) for each in probabilities]
    brier = paired.paired_means(squares[0], squares[1])
    return [
        _paired_difference(metric, each, LIMITS[metric][1] * abs(each.b or 0.0), MINIMUM_LABELS)
        for metric, each in (("log_loss", log), ("brier", brier))
    ]


def _regression_differences(one: Floats, other: Floats, label: Floats) -> list[Difference]:
    """The paired differences of MAE, RMSE and bias between two sides on the same rows."""
    usable = np.isfinite(one) & np.isfinite(other) & np.isfinite(label)
    errors = [each[usable] - label[usable] for each in (one, other)]
    of = {
        "mae": paired.paired_means(np.abs(errors[0]), np.abs(errors[1])),
        "rmse": paired.paired_rmse(errors[0], errors[1]),
        "bias": paired.paired_means(errors[0], errors[1]),
    }
    base = of["mae"].b or 0.0
    scale = {"mae": base, "rmse": of["rmse"].b or 0.0, "bias": base}
    return [_paired_difference(metric, each, LIMITS[metric][1] * scale[metric], MINIMUM_LABELS) for metric, each in of.items()]


def _paired_difference(metric: str, comparison: PairedComparison, least: float, enough: float) -> Difference:
    """The paired difference of one figure. enough: number of pairs that it needs for a verdict."""
    difference, unit = comparison.difference, METRICS[metric].unit
    n = difference.n
    sides = [Interval(value, None, None, n) for value in (comparison.a, comparison.b)]
    if n < enough:
        pairs = "pairs" if metric == "selection_rate" else "labelled pairs"
        why = f"{n:,.0f} {pairs}, at least {enough:,.0f} are needed"
        return Difference(
            "pairs", "model", metric, unit, sides[0], sides[1], difference, least, float("nan"), why=why, more=round(enough - n)
        )
    if difference.value is None:
        return unavailable_difference("pairs", "model", metric, unit, "it is not defined on these pairs", sides[0], sides[1])
    return Difference(
        "pairs", "model", metric, unit, sides[0], sides[1], difference, least, comparison.p_value, evidence={"test": comparison.test}
    )
