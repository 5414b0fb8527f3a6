"""First answers of annotators, and comparisons of shares that are computed from them (gold accuracy, accepted suggestions).

Only the first answer of a person to an item counts, because a person who has been corrected may change the answer later. Labels, gold
labels and suggestions are compared as texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.finding import Severity
from observability.stats.arrays import Floats
from observability.stats.interval import Interval, rate_intervals
from observability.stats.multiple_testing import ACT_SHARE
from observability.stats.strata import cluster_row_squares_of_sums, clustered_rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Array = np.ndarray[Any, np.dtype[Any]]
NAME = "data/labelling"
PAST_DAYS = 28
FIELDS = ("project", "item", "annotator", "at", "label", "seconds", "gold", "suggestion", "suggestion_confidence", "guideline")
TEXTS = ("label", "gold", "suggestion", "guideline")
PAIR = ["project", "item", "annotator"]
WATCH, ACT = 0.1, 0.2
"""A share that is worse by this many points gives a warning (first value, `watch`), or is critical (second value, `act`)."""
MIN_ANNOTATION_ROWS = 20
"""Minimum number of rows on either side for a comparison."""
MAX_ASKED_ROWS = 500
"""Upper bound of the number of further rows that a finding asks for."""
POWER = 0.8
"""Required power. A person is reported to be as good as the others only if somebody whose share is ACT lower would be detected with this
probability.
"""


def first_answers(annotated: "DataFrame") -> "DataFrame":
    """First answer of each person to each item, sorted by project, item and person, with derived columns.

    known: whether there is a gold label. right: whether the label is the gold label. shown: whether a suggestion was shown; taken: whether
    the suggestion became the label; wrong: whether the suggestion differs from the gold label.

    Parameters
    ----------
    annotated : DataFrame
        Records of kind `annotation`.

    Returns
    -------
    DataFrame
    """
    rows = annotated.assign(**{name: texts_or_none(annotated[name]) for name in TEXTS})
    rows = first_of_pairs(rows, rows["at"].to_numpy(), ("label", "gold", "suggestion", "seconds", "suggestion_confidence", "guideline"))
    known, shown = rows["gold"].notna(), rows["suggestion"].notna()
    return rows.assign(
        known=known,
        right=known & (rows["label"] == rows["gold"]),
        shown=shown,
        taken=shown & (rows["label"] == rows["suggestion"]),
        wrong=shown & known & (rows["suggestion"] != rows["gold"]),
    )


def texts_or_none(values: "Series[Any]") -> Array:
    """Values as texts, None if a value is missing.

    Parameters
    ----------
    values : Series
        Values of records.

    Returns
    -------
    Array
        Objects.
    """
    codes, known = values.factorize()
    if all(type(each) is str for each in known):  # values that are equal but not texts may differ as texts, such as 1 and 1.0
        return np.array([*known, None], object)[codes]
    return np.array([None if value is None or value != value else str(value) for value in values], object)


def first_of_pairs(rows: "DataFrame", when: Array, others: Sequence[str]) -> "DataFrame":
    """The first row of each person for each item of a project, sorted by project, item and person.

    Parameters
    ----------
    rows : DataFrame
        Records with the columns of PAIR.
    when : Array
        Time of each row; the row with the smallest one is kept.
    others : Sequence[str]
        Columns that decide between rows with equal `when`.

    Returns
    -------
    DataFrame
    """
    names = [rows[name].factorize(sort=True)[0] for name in PAIR]
    order = places_in_order(rows, (*names, when), others)
    begins = np.zeros(len(order), bool)
    begins[:1] = True
    for each in names:
        begins[1:] |= np.diff(each[order]) != 0
    return rows.iloc[order[begins]].reset_index(drop=True)


def places_in_order(rows: "DataFrame", keys: Sequence[Array], others: Sequence[str]) -> Array:
    """The positions that sort rows by some arrays and then by some columns.

    Columns of text are sorted only among rows that are equal in all arrays.

    Parameters
    ----------
    rows : DataFrame
        Rows.
    keys : Sequence[Array]
        Numbers or times of each row, the first decides first.
    others : Sequence[str]
        Columns, the first decides first. Missing values come last.

    Returns
    -------
    Array
        One place for each row.
    """
    order = np.lexsort(keys[::-1])
    same = np.zeros(len(order), bool)
    if len(order) > 1:
        same[1:] = np.logical_and.reduce([each[order][1:] == each[order][:-1] for each in keys])
    tied = same | np.append(same[1:], False)
    if tied.any():
        places = order[tied]
        equal = rows.iloc[places][list(others)].assign(group=np.cumsum(~same)[tied], place=places)
        order[tied] = equal.sort_values(["group", *others], kind="stable")["place"].to_numpy()
    return order


def item_clustered_rate(rows: "DataFrame", what: str) -> Interval:
    """Share of rows with a property. Its interval allows for the correlation of several answers to one item.

    Parameters
    ----------
    rows : DataFrame
        Answers of `first_answers`.
    what : str
        Boolean column of the answers.

    Returns
    -------
    Interval
        n is the number of rows.
    """
    found = clustered_rate_interval(*_hits_by_item(rows, what))
    return Interval(found.value, found.low, found.high, float(len(rows)))


def effective_hits(rows: "DataFrame", what: str) -> tuple[float, float]:
    """Number of hits and of rows that an independent sample with the same information would have.

    Parameters
    ----------
    rows : DataFrame
        Answers of `first_answers`.
    what : str
        Boolean column of the answers.

    Returns
    -------
    tuple[float, float]
        (hits, rows).
    """
    found = clustered_rate_interval(*_hits_by_item(rows, what))
    return (found.value or 0.0) * found.n, found.n


def _hits_by_item(rows: "DataFrame", what: str) -> tuple[Array, Array]:
    """Hits and rows of each item."""
    item, items = rows["item"].factorize()
    return np.bincount(item, rows[what].to_numpy(float), len(items)), np.bincount(item, minlength=len(items))


def lower_share_p_value(hits: float, n: float, others: float, others_n: float) -> float:
    """Fisher's one-sided p-value that a share is lower than another; effective counts are rounded.

    Parameters
    ----------
    hits : float
        Hits of the first side.
    n : float
        Rows of the first side.
    others : float
        Hits of the second side.
    others_n : float
        Rows of the second side.

    Returns
    -------
    float
    """
    return float(lower_share_p_values(*(np.array([count]) for count in (hits, n, others, others_n)))[0])


def lower_share_p_values(hits: Array, n: Array, others: Array, others_n: Array) -> Array:
    """`lower_share_p_value` for many pairs of shares at once.

    Parameters
    ----------
    hits : Array
        Hits of the first sides.
    n : Array
        Rows of the first sides.
    others : Array
        Hits of the second sides.
    others_n : Array
        Rows of the second sides.

    Returns
    -------
    Array
    """
    from scipy.stats import hypergeom

    a, rows, c, other_rows = (np.rint(counts).astype(np.int64) for counts in (hits, n, others, others_n))
    return np.asarray(hypergeom.cdf(a, rows + other_rows, a + c, rows), np.float64)


@dataclass(frozen=True)
class LabellingComparison:
    """One share compared with another.

    here, there: the two shares; n of each is its number of rows. gap: how much worse the first share is. before: the gap in the four weeks
    before, None if there were too few rows.
    """

    metric: str
    subject: str
    name: str
    here: Interval
    there: Interval
    gap: float
    p_value: float
    before: float | None = None

    @property
    def standing(self) -> bool:
        """Whether the gap existed before and has not doubled."""
        return bool(self.before is not None and self.before >= WATCH and self.gap - self.before < max(WATCH, self.before))

    def severity(self, p: float, budget: float) -> Severity:
        """Severity from the adjusted p-value and the size of the gap."""
        if self.gap >= ACT and p <= budget * ACT_SHARE:
            return "act"
        return "watch" if self.gap >= WATCH and p <= budget else "ok"


@dataclass(frozen=True)
class AnnotatorShare:
    """One person compared with all others. hits, n: hits and rows of the person; rest, others: hits and rows of the others. here: the
    person's share.

    effective: the share of the others; its n is their effective number of rows.
    """

    name: str
    hits: float
    n: int
    rest: float
    others: int
    here: Interval
    effective: Interval

    @property
    def there(self) -> Interval:
        """The share of the others; its n is their number of rows."""
        return replace(self.effective, n=float(self.others))


def hits_by_annotator(rows: "DataFrame", what: str) -> dict[str, tuple[float, int, float, int]]:
    """Hits and rows of each person, and hits and rows of all others, by name.

    Parameters
    ----------
    rows : DataFrame
        Answers of `first_answers`.
    what : str
        Boolean column of the answers.

    Returns
    -------
    dict[str, tuple[float, int, float, int]]
    """
    who, names = rows["annotator"].astype(str).factorize(sort=True)
    hits, counted = np.bincount(who, rows[what].to_numpy(float), len(names)), np.bincount(who, minlength=len(names))
    rest, others = hits.sum() - hits, counted.sum() - counted
    return dict(zip(map(str, names), zip(hits.tolist(), counted.tolist(), rest.tolist(), others.tolist(), strict=True), strict=True))


def annotator_shares(rows: "DataFrame", what: str) -> list[AnnotatorShare]:
    """Share of each person and of all others, by name. A person has at most one row of an item.

    Parameters
    ----------
    rows : DataFrame
        Answers of `first_answers`.
    what : str
        Boolean column of the answers.

    Returns
    -------
    list[AnnotatorShare]
    """
    item, items = rows["item"].factorize()
    who = rows["annotator"].astype(str).factorize(sort=True)[0]
    values, counts = rows[what].to_numpy(float), hits_by_annotator(rows, what)
    hits, counted = np.bincount(item, values, len(items)), np.bincount(item, minlength=len(items)).astype(float)
    squares = _squares_without(who, values, hits[item], counted[item], hits, counted, len(counts))
    own, rows_of, other, rows_of_others = np.array(list(counts.values()), float).reshape(-1, 4).T
    intervals = zip(rate_intervals(own, rows_of), rate_intervals(other, rows_of_others, squares), strict=True)
    return [AnnotatorShare(name, *counts[name], here, there) for name, (here, there) in zip(counts, intervals, strict=True)]


def _squares_without(who: Array, values: Array, item_hits: Array, item_rows: Array, hits: Array, counted: Array, people: int) -> Floats:
    """For each person, `cluster_row_squares` of all rows of the others, clustered by item. Leaving a person out changes the sums only on
    the person's own items.

    item_hits, item_rows: for each row, hits and rows of its item. hits, counted: hits and rows of each item.
    """
    rest, rest_rows = item_hits - values, item_rows - 1

    def others(all_items: float, change: Array) -> Array:
        return np.asarray(all_items + np.bincount(who, change, people), np.float64)

    return cluster_row_squares_of_sums(
        others(float(hits.sum()), -values),
        others(float(counted.sum()), np.full(len(who), -1.0)),
        others(float(len(counted)), -(rest_rows == 0).astype(float)),
        (
            others(float(hits @ hits), rest**2 - item_hits**2),
            others(float(hits @ counted), rest * rest_rows - item_hits * item_rows),
            others(float(counted @ counted), rest_rows**2 - item_rows**2),
        ),
    )


def compare_with_others(
    rows: "DataFrame", past: "DataFrame", what: str, *, worse: int, metric: str, subject: str
) -> list[LabellingComparison]:
    """The share of each person compared with that of all others together, for each person for whom both have enough rows.

    Parameters
    ----------
    rows : DataFrame
        Answers of `first_answers`.
    past : DataFrame
        Answers of the four weeks before.
    what : str
        Boolean column of the answers.
    worse : int
        -1 if less is worse, 1 if more is.
    metric : str
        Name of the metric.
    subject : str
        Subject of the findings.

    Returns
    -------
    list[LabellingComparison]
    """
    then = hits_by_annotator(past, what)
    people = [person for person in annotator_shares(rows, what) if min(person.n, person.others) >= MIN_ANNOTATION_ROWS]
    own, total = np.array([person.hits for person in people]), np.array([float(person.n) for person in people])
    other = np.array([(person.effective.value or 0.0) * person.effective.n for person in people])
    other_total = np.array([person.effective.n for person in people])
    if worse > 0:
        own, other = total - own, other_total - other
    found, p_values = [], lower_share_p_values(own, total, other, other_total)
    for person, p in zip(people, p_values.tolist(), strict=True):
        hits, n, rest, others = then.get(person.name, (0.0, 0, 0.0, 0))
        before = worse * (hits / n - rest / others) if min(n, others) >= MIN_ANNOTATION_ROWS else None
        gap = worse * share_difference(person.here, person.there)
        name = f"{subject}/annotator:{person.name}"
        found.append(LabellingComparison(metric, name, person.name, person.here, person.there, gap, p, before))
    return found


def share_difference(here: Interval, there: Interval) -> float:
    """First share minus the second; an unknown share counts as 0.

    Parameters
    ----------
    here : Interval
        First share.
    there : Interval
        Second share.

    Returns
    -------
    float
    """
    return float((here.value or 0.0) - (there.value or 0.0))


def answers_needed(rate: float, others: int, people: int, budget: float) -> int:
    """Number of rows from which a person whose share is ACT below a rate would be detected with probability POWER; at most MAX_ASKED_ROWS.

    The power is computed from the binomial distribution of the person's hits. Each number of hits is tested as in `compare_with_others`.

    Parameters
    ----------
    rate : float
        Rate of the others; rounded to two digits.
    others : int
        Rows of the others; rounded to two digits.
    people : int
        Persons who are compared.
    budget : float
        Significance level of all comparisons.

    Returns
    -------
    int
    """
    return _needed(round(rate, 2), int(float(f"{others:.2g}")), people, budget)


@lru_cache(maxsize=512)
def _needed(rate: float, others: int, people: int, budget: float) -> int:
    low, high = MIN_ANNOTATION_ROWS - 1, MAX_ASKED_ROWS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _report_probability(middle, rate, others, budget / max(people, 1)) >= POWER else (middle, high)
    return high


def _report_probability(n: int, rate: float, others: int, share: float) -> float:
    """Probability of detecting, at a p-value of `share`, a person with n rows whose rate is ACT below that of the others."""
    from scipy.stats import binom, hypergeom

    p0 = min(max(rate, 1.5 * ACT), 1.0)
    right, held = np.arange(n + 1), round(p0 * others)
    p = hypergeom.cdf(right, n + others, right + held, n)
    reported = (p <= share) & (held / others - right / n >= WATCH)
    return float(binom.pmf(right, n, p0 - ACT)[reported].sum())
