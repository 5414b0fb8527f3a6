"""Which rows of a dataset are duplicates, contradict each other, lie far out, or are known to the training data already?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.numerals import percent
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FAR_OUT = 3.0
"""Interquartile ranges beyond the quartiles from which a number is an outlier (Tukey 1977)."""
LEAST_VALUES = 20
"""Different values of a number from which its outliers are looked for."""
NEAR = 0.02
"""Distance, as a share of the median distance to the nearest row, up to which two rows are near-duplicates."""
MOST_SPREADS = 10.0
"""Interquartile ranges from the median beyond which numbers count as equally far."""
MOST_NEAR = 20_000
"""Rows in which near-duplicates are looked for."""
MOST_SAMPLED = 2_000
"""Training rows whose distance to the nearest other one is measured."""


@dataclass(frozen=True)
class HeldOutOverlap:
    """Rows of the held-out data whose features are in the training data as well.

    share: of the held-out rows, with its 95 % interval. same_label: how many have the label of such a training row.
    """

    rows: int
    shared: int
    share: Interval
    same_label: int


def row_keys(table: "DataFrame") -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Return a key of each row that equal rows share; numbers that are equal as numbers are equal."""
    import pandas as pd

    plain = table.apply(lambda column: column.astype(float) if pd.api.types.is_numeric_dtype(column.dtype) else column.astype(str))
    return np.asarray(pd.util.hash_pandas_object(plain, index=False).to_numpy(), np.uint64)


def exact_duplicates(table: "DataFrame") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return which rows equal an earlier row in every column."""
    import pandas as pd

    return np.asarray(pd.Series(row_keys(table)).duplicated().to_numpy(), bool)


def conflicting_rows(features: "DataFrame", label: "Series[Any]") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return which rows have the same features as a row with another label."""
    import pandas as pd

    keys = pd.Series(row_keys(features))
    labels = label.reset_index(drop=True).astype(str)
    return np.asarray((labels.groupby(keys).transform("nunique") > 1).to_numpy(), bool)


def near_duplicates(features: "DataFrame") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return which rows nearly equal an earlier row, without equalling one, among the first MOST_NEAR.

    Near: the categories and the missing values are equal, and the distance of the numbers, each in interquartile ranges from its median,
    is at most NEAR times the median distance of a row to its nearest.
    """
    import pandas as pd
    from scipy.spatial import KDTree

    found = np.zeros(len(features), bool)
    numeric = measured_columns(features)
    first = np.flatnonzero(~exact_duplicates(features))[:MOST_NEAR]
    if not numeric or len(first) < 2:
        return found
    part = features.iloc[first]
    points, rest = _points_and_rest(part, part, numeric)
    usual = float(np.median(KDTree(points).query(points, k=2)[0][:, 1]))
    for places in pd.Series(np.arange(len(first))).groupby(rest).apply(np.asarray):
        if len(places) < 2:
            continue
        pairs = KDTree(points[places]).query_pairs(NEAR * usual, output_type="ndarray")
        if len(pairs):
            found[first[places[np.unique(pairs.max(1))]]] = True
    return found


def held_out_counts(features: "DataFrame", label: "Series[Any]", held: "DataFrame", held_label: "Series[Any]") -> dict[str, int]:
    """Return how many held-out rows have the features of a training row: exact, near, and either of them.

    Beside them `same_label` of the exact ones, `repeated` (training rows that equal another one), and the rows, `training` and `held`.
    """
    import pandas as pd

    exact, near = held_out_overlap(features, label, held, held_label), int(near_copies(features, held).sum())
    repeated = int(pd.Series(row_keys(features)).duplicated(keep=False).sum())
    found = {"exact": exact.shared, "near": near, "either": exact.shared + near, "same_label": exact.same_label}
    return found | {"repeated": repeated, "training": len(features), "held": len(held)}


def near_copies(features: "DataFrame", held: "DataFrame") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return which held-out rows nearly equal a row of the training data, without equalling one.

    Near as in `near_duplicates`, among the first MOST_NEAR different training rows; the median distance is that of at most MOST_SAMPLED of
    them to the nearest other one.
    """
    import pandas as pd
    from scipy.spatial import KDTree

    both = pd.concat([features, held], ignore_index=True)
    keys, numeric = row_keys(both), measured_columns(features)
    training = np.flatnonzero(~exact_duplicates(both.iloc[: len(features)]))[:MOST_NEAR]
    others = np.flatnonzero(~np.isin(keys, keys[: len(features)]))
    found = np.zeros(len(both), bool)
    if not numeric or len(training) < 2 or not len(others):
        return found[len(features) :]
    points, rest = _points_and_rest(both, both.iloc[training], numeric)
    sampled = training[:: -(-len(training) // MOST_SAMPLED)]
    usual = float(np.median(KDTree(points[training]).query(points[sampled], k=2)[0][:, 1]))
    for key in np.unique(rest[others]):
        known, asked = training[rest[training] == key], others[rest[others] == key]
        if len(known):
            found[asked] = KDTree(points[known]).query(points[asked], distance_upper_bound=NEAR * usual)[0] < np.inf
    return found[len(features) :]


def measured_columns(features: "DataFrame") -> list[Any]:
    """Return the columns of numbers with at least LEAST_VALUES different values."""
    import pandas as pd

    return [name for name in features if pd.api.types.is_numeric_dtype(features[name].dtype) and features[name].nunique() >= LEAST_VALUES]


def _points_and_rest(
    table: "DataFrame", base: "DataFrame", numeric: list[Any]
) -> "tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.uint64]]]":
    """The numbers of each row in interquartile ranges of the base from its median, and a key of all else: categories and missing values."""
    import pandas as pd

    numbers, known = table[numeric].astype(float), base[numeric].astype(float)
    low, middle, high = (known.quantile(share) for share in (0.25, 0.5, 0.75))
    spread = (high - low).where(high > low, known.std()).replace(0.0, 1.0)
    points = ((numbers - middle) / spread).clip(-MOST_SPREADS, MOST_SPREADS).fillna(0.0).to_numpy(float)
    return points, row_keys(pd.concat([table.drop(columns=numeric), table[numeric].isna()], axis=1))


def outlying_rows(features: "DataFrame") -> tuple["np.ndarray[Any, np.dtype[np.bool_]]", dict[str, int]]:
    """Return which rows hold a number more than FAR_OUT interquartile ranges beyond its quartiles, and how many by column."""
    import pandas as pd

    found, by_column = np.zeros(len(features), bool), {}
    for name in features:
        values = features[name]
        if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype) or values.nunique() < LEAST_VALUES:
            continue
        numbers = values.to_numpy(float)
        low, high = np.nanquantile(numbers, [0.25, 0.75])
        reach = FAR_OUT * (high - low)
        beyond = ((numbers < low - reach) | (numbers > high + reach)) & bool(reach > 0)
        if beyond.any():
            by_column[str(name)] = int(beyond.sum())
            found |= beyond
    return found, by_column


def held_out_overlap(features: "DataFrame", label: "Series[Any]", held_features: "DataFrame", held_label: "Series[Any]") -> HeldOutOverlap:
    """Return the rows of the held-out data whose features are in the training data."""
    known: dict[int, set[str]] = {}
    for key, value in zip(row_keys(features).tolist(), label.astype(str), strict=True):
        known.setdefault(key, set()).add(value)
    keys = row_keys(held_features).tolist()
    shared = [value in known[key] for key, value in zip(keys, held_label.astype(str), strict=True) if key in known]
    return HeldOutOverlap(len(keys), len(shared), rate_interval(len(shared), len(keys)), sum(shared))


def accuracy_without_suspects(
    model: str, version: str, decision: "Series[Any]", label: "Series[Any]", suspect: "np.ndarray[Any, np.dtype[np.bool_]]"
) -> dict[str, Any] | None:
    """Return the accuracy of a served version with and without the rows whose label is suspect, as a record holds it, with 95 % intervals.

    decision, label: indices of classes, below 0 where unknown. Another model contradicts a suspect label, so the accuracy without them is
    the largest that correct labels can show. None where no decision is known, or every label is suspect.
    """
    known = (decision.fillna(-1) >= 0).to_numpy(bool)
    right, suspect = (decision == label).to_numpy(bool)[known], suspect[known]
    found: dict[str, Any] = {"model": model, "version": version, "metric": "accuracy", "suspects": int(suspect.sum())}
    for name, kept in (("all", right), ("without", right[~suspect])):
        value, low, high = rate_interval(int(kept.sum()), kept.size).triple
        found[name] = {"rows": int(kept.size), "value": value, "low": low, "high": high}
    return found if found["without"]["rows"] else None


def suspect_accuracy_words(found: Mapping[str, Any]) -> str:
    """Return the sentence about the accuracy of a version with and without suspect labels."""
    both = [f"{percent(part['value'])} ({percent(part['low'])} to {percent(part['high'])})" for part in (found["all"], found["without"])]
    return (
        f"Accuracy of {found['model']} version {found['version']}: {both[0]} of all {found['all']['rows']:,} rows, {both[1]} without the "
        f"{found['suspects']:,} with suspect labels."
    )


def group_counts(table: "DataFrame", dropped: "np.ndarray[Any, np.dtype[np.bool_]]", groups: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return rows in and dropped of each level of some columns, as the record `cleaning` holds them."""
    import pandas as pd

    found: dict[str, Mapping[str, Any]] = {}
    for name in groups:
        levels = table[name].astype(object).where(table[name].notna(), "null").astype(str)
        counts = pd.crosstab(levels.to_numpy(), dropped)
        own = {str(level): (int(row.sum()), int(row.get(True, 0))) for level, row in counts.iterrows()}
        found[name] = {level: {"in": rows, "dropped": gone} for level, (rows, gone) in own.items()}
    return found
