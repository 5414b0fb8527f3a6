"""Find the rows of a dataset that are duplicates, contradict each other, are outliers, or are in the training data already."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.numerals import percent
from observability.records.values import canonical_text
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame, Series

DUPLICATES, CONFLICTS, SUSPECTS = "exact duplicates", "conflicting labels", "suspect labels"
NEAR_DUPLICATES, OUTLIERS, HELD_OUT = "near-duplicates", "outliers", "held-out overlap"
CHECKS = (DUPLICATES, CONFLICTS, SUSPECTS, NEAR_DUPLICATES, OUTLIERS)
"""The checks that find rows to drop, in the order in which they are shown."""
FAR_OUT = 3.0
"""A number is an outlier if it is more than this many interquartile ranges outside the quartiles (Tukey 1977)."""
MIN_VALUES = 20
"""Outliers are searched in a numeric column only if it has at least this many distinct values."""
NEAR = 0.02
"""Two rows are near-duplicates up to this distance. It is a share of the median distance of a row to its nearest row."""
MAX_SPREADS = 10.0
"""Numbers more than this many interquartile ranges from the median count as equally far."""
NEAR_TEXT = 0.05
"""Texts are near-duplicates if they differ in at most this share of their characters, in one contiguous part."""
MIN_TEXT = 15
"""A column counts as texts, not categories, if its values have at least this many characters on average."""
GROWTH = 1.06
"""Texts are compared if their beginnings or their ends of a certain length agree; several lengths are tried. This is the ratio of
consecutive lengths, which is more than 1 + NEAR_TEXT.
"""
NEIGHBOURS = 8
"""Number of texts that follow in sorted order and that each text is compared with."""
MAX_NEAR = 20_000
"""Maximum number of rows among which near-duplicates are searched, and of training rows whose near copies are searched."""
MAX_SAMPLED = 2_000
"""Maximum number of rows whose distance to the nearest other row is measured."""


@dataclass(frozen=True)
class HeldOutOverlap:
    """Held-out rows whose features are also in the training data.

    share: the share of the held-out rows, with its 95 % interval. same_label: how many of these have the label of an equal training row.
    chance: share of the pairs of equal rows that is expected by chance. pairs: position of each such row, and of an equal row in the
    training data. near: number of other held-out rows that nearly equal a training row. training: number of rows of the training data;
    repeated: how many of these equal another one.
    """

    rows: int
    share: Interval
    same_label: int
    chance: float
    pairs: list[tuple[int, int]]
    near: int
    training: int
    repeated: int

    @property
    def record(self) -> dict[str, Any]:
        """The overlap in the form in which records store it."""
        found = {"rows": self.rows, "in_training": len(self.pairs), "same_label": self.same_label, "near": self.near}
        ends = {"low": self.share.low, "high": self.share.high, "chance": self.chance}
        return found | ends | {"training_rows": self.training, "training_repeated": self.repeated}


def column_keys(table: "DataFrame") -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Return a key of each value, rows × columns. Equal values of a column have the same key; numbers are compared as numbers."""
    import pandas as pd

    salts = np.random.default_rng(0).integers(0, 2**63, table.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    found = np.zeros(table.shape, np.uint64)
    for place, name in enumerate(table):
        column = table[name]
        plain = column.astype(float) if pd.api.types.is_numeric_dtype(column.dtype) else column.astype(str).astype(object)
        found[:, place] = pd.util.hash_array(plain.to_numpy()) * salts[place]
    return found


def row_keys(table: "DataFrame") -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """Return a key of each row, which is the same for equal rows."""
    return np.asarray(column_keys(table).sum(1, dtype=np.uint64))


def chance_of_equal_rows(features: "DataFrame", others: "DataFrame | None" = None) -> float:
    """Return the share of the pairs of equal rows that would be equal by chance, because columns have few values; from 0 to 1.

    others: rows that each row is paired with (the same columns); None pairs the rows of a table with each other. If some pairs of rows
    agree by chance, other pairs agree in all columns except one. Let p be the share of all pairs that agree in that column. Then the number
    of equal pairs expected by chance is p / (1 - p) times the number of pairs that differ only in that column. Copies of rows cause no
    pairs that differ in one column. Each column gives an estimate; the largest is used.
    """
    keys, more = column_keys(features), None if others is None else column_keys(others)

    def pairs(drop: int | None) -> float:
        left, right = (None if part is None else part.sum(1, dtype=np.uint64) for part in (keys, more))
        if drop is not None and left is not None:
            left, right = left - keys[:, drop], None if right is None or more is None else right - more[:, drop]
        return _equal_pairs(left, right)

    every = len(features) * (len(features) - 1) / 2 if others is None else len(features) * len(others)
    equal = pairs(None)
    if not equal:
        return 0.0
    expected = 0.0
    for place in range(keys.shape[1]):
        agree = _equal_pairs(keys[:, place], None if more is None else more[:, place]) / every
        if agree < 1:
            expected = max(expected, (pairs(place) - equal) * agree / (1 - agree))
    return min(expected / equal, 1.0)


def _equal_pairs(keys: Any, others: Any = None) -> float:
    """Return the number of pairs of rows with equal keys, either within one table, or with one row from each of two tables."""
    values, counts = np.unique(keys, return_counts=True)
    if others is None:
        return float((counts * (counts - 1.0) / 2).sum())
    also, more = np.unique(others, return_counts=True)
    _, left, right = np.intersect1d(values, also, return_indices=True)
    return float((counts[left] * more[right].astype(float)).sum())


def exact_duplicates(table: "DataFrame") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return a mask of the rows that equal an earlier row in every column."""
    import pandas as pd

    return np.asarray(pd.Series(row_keys(table)).duplicated().to_numpy(), bool)


def conflicting_rows(features: "DataFrame", label: "Series[Any]") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return a mask of the rows that have the same features as a row with another label."""
    import pandas as pd

    keys = pd.Series(row_keys(features))
    labels = label_texts(label)
    return np.asarray((labels.groupby(keys).transform("nunique") > 1).to_numpy(), bool)


def label_texts(label: "Series[Any]") -> "Series[Any]":
    """Return the labels as texts, with a new index. Labels that mean the same become equal (`1`, `1.0`); missing labels become None."""
    import pandas as pd

    def text(value: Any) -> str | None:
        if value is None or value != value:
            return None
        return canonical_text(value) if isinstance(value, str | bool | int | float) else str(value)

    return pd.Series([text(value) for value in label.astype(object).where(label.notna(), None)], dtype=object)


def comparable_rows(table: "DataFrame", like: "DataFrame") -> "DataFrame":
    """Return the columns of `like` from another table. Columns that are numbers in `like` are converted to numbers; other columns are
    converted to texts if their type differs.
    """
    import pandas as pd

    found = {}
    for name in like:
        numeric = pd.api.types.is_numeric_dtype(like[name].dtype)
        if numeric == pd.api.types.is_numeric_dtype(table[name].dtype):
            found[name] = table[name]
        else:
            found[name] = pd.to_numeric(table[name], errors="coerce") if numeric else label_texts(table[name]).set_axis(table.index)
    return pd.DataFrame(found, columns=list(like))


def near_duplicate_of(features: "DataFrame") -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return for each row the position of an earlier row that it nearly equals without being equal; -1 if there is none.

    Only the first MAX_NEAR rows are searched, without exact duplicates; all other rows get -1.

    There are two ways to be near. By numbers: all other columns and the missing values are equal, and the distance of the numbers is at
    most NEAR times the median distance of a row (of MAX_SAMPLED) to its nearest row. Numbers are measured in interquartile ranges from
    their median. By a text: all other columns are equal, and the texts, apart from case and blanks, differ in one contiguous part of at
    most NEAR_TEXT of their characters, or in one character.
    """
    first = np.flatnonzero(~exact_duplicates(features))[:MAX_NEAR]
    found, part = np.full(len(features), -1), features.iloc[first]
    pairs = [*_near_by_numbers(part), *_near_by_texts(part)] if len(first) > 1 else []
    for one, other in sorted(pairs, reverse=True):
        found[first[other]] = first[one]
    return found


def near_copies(features: "DataFrame", held: "DataFrame") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return a mask of the held-out rows that nearly equal a row of the training data without being equal to one.

    Near is defined as in `near_duplicate_of`; the scale is given by the distances among the training rows. At most MAX_NEAR different
    training rows are compared, chosen by their hash.
    """
    import pandas as pd

    keys, own = row_keys(held), row_keys(features)
    known, first = np.unique(own, return_index=True)
    fresh = np.flatnonzero(~np.isin(keys, known) & ~pd.Series(keys).duplicated().to_numpy())
    training, asked = features.iloc[np.sort(first[:MAX_NEAR])], held.iloc[fresh]
    if not len(training) or not len(asked):
        return np.zeros(len(held), bool)
    both = pd.concat([training, asked], ignore_index=True)
    pairs = [*_near_by_numbers(both, len(training)), *_near_by_texts(both, len(training))]
    near = [other - len(training) for one, other in pairs if one < len(training) <= other]
    return np.isin(keys, keys[fresh[near]])


def measured_columns(features: "DataFrame") -> list[Any]:
    """Return the columns of numbers with at least MIN_VALUES different values."""
    import pandas as pd

    return [name for name in features if pd.api.types.is_numeric_dtype(features[name].dtype) and features[name].nunique() >= MIN_VALUES]


def _near_by_numbers(table: "DataFrame", training: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows whose numbers are near and whose other columns are equal. A pair holds the positions of the rows, the earlier row
    first.

    training: number of training rows at the beginning of the table. They set the scale of the numbers, and each pair has one training row
    and one other row. None: all rows are paired with each other.
    """
    import pandas as pd
    from scipy.spatial import KDTree

    base = table.iloc[:training]
    numeric = measured_columns(base)
    if not numeric or len(base) < 2:
        return
    numbers, known = table[numeric].astype(float), base[numeric].astype(float)
    low, middle, high = (known.quantile(share) for share in (0.25, 0.5, 0.75))
    spread = (high - low).where(high > low, known.std()).replace(0.0, 1.0)
    points = ((numbers - middle) / spread).clip(-MAX_SPREADS, MAX_SPREADS).fillna(0.0).to_numpy(float)
    rest = row_keys(pd.concat([table.drop(columns=numeric), table[numeric].isna()], axis=1))
    sampled = points[: len(base) : -(-len(base) // MAX_SAMPLED)]
    reach = NEAR * float(np.median(KDTree(points[: len(base)]).query(sampled, k=2)[0][:, 1]))
    for places in pd.Series(np.arange(len(table))).groupby(rest).apply(np.asarray):
        own, others = places[places < len(base)], places[places >= len(base)]
        if training is None:
            found = KDTree(points[own]).query_pairs(reach, output_type="ndarray") if len(own) > 1 else ()
            yield from ((min(own[one], own[other]), max(own[one], own[other])) for one, other in found)
        elif len(own) and len(others):
            near, place = KDTree(points[own]).query(points[others], distance_upper_bound=reach)
            yield from zip(own[place[near < np.inf]], others[near < np.inf], strict=True)


def _near_by_texts(part: "DataFrame", training: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that differ in only one text, and there in one short part. A pair holds the positions of the rows, the earlier
    row first.

    Two such texts share nearly half of their length, at the beginning or at the end. Therefore rows are compared only if they share such a
    part, each with its NEIGHBOURS in the order of the text. training: as in `_near_by_numbers`.
    """
    for name in part:
        if not _holds_texts(part[name]):
            continue
        texts = [" ".join(str(value).casefold().split()) for value in part[name]]
        rest = row_keys(part.drop(columns=[name])).tolist() if part.shape[1] > 1 else [0] * len(part)
        of: dict[tuple[Any, ...], list[int]] = {}
        for place, text in enumerate(texts):
            step = math.floor(math.log(max((1 - NEAR_TEXT) * (len(text) - 1) / 2, 1), GROWTH))
            for size in {math.ceil(GROWTH**power) for power in (step - 1, step)}:
                of.setdefault((rest[place], size, text[:size]), []).append(place)
                of.setdefault((rest[place], -size, text[-size:]), []).append(place)
        for places in of.values():
            ordered = sorted(places, key=lambda place: texts[place])
            for at, one in enumerate(ordered):
                for other in ordered[at + 1 : at + 1 + NEIGHBOURS]:
                    across = training is None or (one < training) != (other < training)
                    if across and _differ_in_one_stretch(texts[one], texts[other]):
                        yield min(one, other), max(one, other)


def _holds_texts(column: "Series[Any]") -> bool:
    """Whether a column holds texts, at least half of which are distinct."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype):
        return False
    return bool(column.astype(str).str.len().mean() >= MIN_TEXT and column.nunique() >= len(column) / 2)


def _differ_in_one_stretch(one: str, other: str) -> bool:
    """Whether two texts are equal except for one contiguous part. The part may have at most NEAR_TEXT of the characters of the longer text,
    or one character.
    """
    longest, shortest = max(len(one), len(other)), min(len(one), len(other))
    same = _common_start(one, other)
    same += min(_common_start(one[::-1], other[::-1]), shortest - same)
    return longest - same <= max(NEAR_TEXT * longest, 1)


def _common_start(one: str, other: str) -> int:
    """The number of equal characters at the beginning of two texts."""
    return next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def outlying_values(features: "DataFrame") -> dict[str, "np.ndarray[Any, np.dtype[np.bool_]]"]:
    """Return, for each column with outliers, a mask of the rows whose number is more than FAR_OUT interquartile ranges outside the
    quartiles.
    """
    import pandas as pd

    found = {}
    for name in features:
        values = features[name]
        if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype) or values.nunique() < MIN_VALUES:
            continue
        numbers = values.to_numpy(float)
        low, high = np.nanquantile(numbers, [0.25, 0.75])
        reach = FAR_OUT * (high - low)
        beyond = ((numbers < low - reach) | (numbers > high + reach)) & bool(reach > 0)
        if beyond.any():
            found[str(name)] = beyond
    return found


def held_out_overlap(features: "DataFrame", label: "Series[Any]", held_features: "DataFrame", held_label: "Series[Any]") -> HeldOutOverlap:
    """Return the overlap between held-out and training data: the held-out rows whose features are also in the training data."""
    import pandas as pd

    known: dict[int, dict[str | None, int]] = {}
    for row, (key, value) in enumerate(zip(row_keys(features).tolist(), label_texts(label), strict=True)):
        known.setdefault(key, {}).setdefault(value, row)
    held = comparable_rows(held_features, features)
    pairs = [
        (row, known[key].get(value, next(iter(known[key].values()))), value in known[key])
        for row, (key, value) in enumerate(zip(row_keys(held).tolist(), label_texts(held_label), strict=True))
        if key in known
    ]
    places, same = [(row, twin) for row, twin, _ in pairs], sum(agrees for *_, agrees in pairs)
    repeated = int(pd.Series(row_keys(features)).duplicated(keep=False).sum())
    chance, near = chance_of_equal_rows(features, held), int(near_copies(features, held).sum())
    return HeldOutOverlap(len(held), rate_interval(len(pairs), len(held)), same, chance, places, near, len(features), repeated)


def accuracy_without_suspects(
    model: str, version: str, decision: "Series[Any]", label: "Series[Any]", suspect: "np.ndarray[Any, np.dtype[np.bool_]]"
) -> dict[str, Any] | None:
    """Return the accuracy of a served version on all rows and on the rows without suspect labels, with 95 % intervals, in the form of a
    record.

    decision, label: names of classes, None if unknown. A label is suspect because another model contradicts it, so the accuracy without
    suspect labels is an upper limit of the accuracy on correct labels. None if no decision is known, or if every label is suspect.
    """
    known = decision.notna().to_numpy(bool)
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
    """Return the number of all rows and of dropped rows, for each level of some columns, in the form that a `cleaning` record has."""
    import pandas as pd

    found: dict[str, Mapping[str, Any]] = {}
    for name in groups:
        levels = table[name].astype(object).where(table[name].notna(), "null").astype(str)
        counts = pd.crosstab(levels.to_numpy(), dropped)
        own = {str(level): (int(row.sum()), int(row.get(True, 0))) for level, row in counts.iterrows()}
        found[name] = {level: {"in": rows, "dropped": gone} for level, (rows, gone) in own.items()}
    return found
