"""First answers of annotators, and comparisons of their shares (gold accuracy, accepted suggestions).

The first answer of a person to an item counts, since a person who is corrected may change it later. Labels, gold labels and
suggestions are compared as texts.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom, hypergeom

from observability.core.finding import Severity
from observability.stats.interval import Interval, rate_interval
from observability.stats.multiple_testing import ACT_SHARE
from observability.stats.strata import clustered_rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
NAME = "data/labelling"
PAST_DAYS = 28
FIELDS = ("project", "item", "annotator", "at", "label", "seconds", "gold", "suggestion", "suggestion_confidence", "guideline")
TEXTS = ("label", "gold", "suggestion", "guideline")
PAIR = ["project", "item", "annotator"]
WATCH, ACT = 0.1, 0.2
"""A share that is so many points worse is a warning, or critical."""
LEAST = 20
"""Rows on either side below which nothing is compared."""
MOST = 500
"""Upper bound of the number of rows asked for."""
POWER = 0.8
"""Probability with which somebody who is ACT below the others has to be detected before a person is reported to be as good as they are."""


def first_answers(annotated: "DataFrame") -> "DataFrame":
    """First answer of each person to each item, by project, item and person, with derived columns.

    known: there is a gold label. right: the label is the gold label. shown: a suggestion was shown; taken: it became the label;
    wrong: it differs from the gold label.

    Parameters
    ----------
    annotated : DataFrame
        Records of kind `annotation`.

    Returns
    -------
    DataFrame
    """
    rows = annotated.copy()
    for name in TEXTS:
        rows[name] = [None if value is None or value != value else str(value) for value in rows[name]]
    rows = rows.sort_values([*PAIR, "at", "label", "gold", "suggestion", "seconds", "suggestion_confidence", "guideline"], kind="stable")
    rows = rows.drop_duplicates(PAIR).reset_index(drop=True)
    known, shown = rows["gold"].notna(), rows["suggestion"].notna()
    return rows.assign(
        known=known,
        right=known & (rows["label"] == rows["gold"]),
        shown=shown,
        taken=shown & (rows["label"] == rows["suggestion"]),
        wrong=shown & known & (rows["suggestion"] != rows["gold"]),
    )


def item_clustered_rate(rows: "DataFrame", what: str) -> Interval:
    """Share of rows with a property, with an interval that allows for several answers to one item.

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
    """Hits and rows of an independent sample with the same information.

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
    a, rows, c, other_rows = (round(count) for count in (hits, n, others, others_n))
    return float(hypergeom.cdf(a, rows + other_rows, a + c, rows))


@dataclass(frozen=True)
class LabellingComparison:
    """One share compared with another.

    here, there: the two shares, n their rows. gap: how much worse the first is. before: the gap of the four weeks before, None where
    there are too few rows.
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
    """One person and all others. hits, n: of the person. rest: hits of the others, by item; rest_rows: their rows."""

    name: str
    hits: float
    n: int
    rest: Array
    rest_rows: Array

    @property
    def others(self) -> int:
        """Rows of the others."""
        return int(self.rest_rows.sum())

    @property
    def here(self) -> Interval:
        """Share of the person."""
        return rate_interval(self.hits, float(self.n))

    @property
    def effective(self) -> Interval:
        """Share of the others; n is their effective number of rows."""
        return clustered_rate_interval(self.rest, self.rest_rows)

    @property
    def there(self) -> Interval:
        """Share of the others; n is their rows."""
        return replace(self.effective, n=float(self.others))


def annotator_shares(rows: "DataFrame", what: str) -> list[AnnotatorShare]:
    """Share of each person and of all others, by name; a person has at most one row of an item.

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
    who, names = rows["annotator"].astype(str).factorize(sort=True)
    values = rows[what].to_numpy(float)
    hits, counted = np.bincount(item, values, len(items)), np.bincount(item, minlength=len(items))
    places = np.split(np.argsort(who, kind="stable"), np.cumsum(np.bincount(who, minlength=len(names)))[:-1]) if len(names) else []
    found = []
    for name, mine in zip(names, places, strict=True):
        rest, rest_rows = hits.copy(), counted.copy()
        rest[item[mine]] -= values[mine]
        rest_rows[item[mine]] -= 1
        found.append(AnnotatorShare(str(name), float(values[mine].sum()), len(mine), rest, rest_rows))
    return found


def compare_with_others(
    rows: "DataFrame", past: "DataFrame", what: str, *, worse: int, metric: str, subject: str
) -> list[LabellingComparison]:
    """Share of each person against that of all others together, where both have enough rows.

    Parameters
    ----------
    rows : DataFrame
        Answers of `first_answers`.
    past : DataFrame
        Answers of the four weeks before.
    what : str
        Boolean column of the answers.
    worse : int
        -1 where less is worse, 1 where more is.
    metric : str
        Name of the metric.
    subject : str
        Subject of the findings.

    Returns
    -------
    list[LabellingComparison]
    """
    found, then = [], {person.name: person for person in annotator_shares(past, what)}
    for person in annotator_shares(rows, what):
        if min(person.n, person.others) < LEAST:
            continue
        here, there, rest = person.here, person.there, person.effective
        hits = (rest.value or 0.0) * rest.n
        p = (
            lower_share_p_value(person.hits, person.n, hits, rest.n)
            if worse < 0
            else lower_share_p_value(person.n - person.hits, person.n, rest.n - hits, rest.n)
        )
        old = then.get(person.name)
        before = worse * (old.hits / old.n - float(old.rest.sum()) / old.others) if old and min(old.n, old.others) >= LEAST else None
        found.append(
            LabellingComparison(
                metric, f"{subject}/annotator:{person.name}", person.name, here, there, worse * share_difference(here, there), p, before
            )
        )
    return found


def share_difference(here: Interval, there: Interval) -> float:
    """First share minus the second, unknown ones as 0.

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
    """Rows until a person who is ACT below a rate is detected with probability POWER, at most MOST.

    Computed from the binomial distribution of the person's hits, each tested as in `compare_with_others`.

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
    low, high = LEAST - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _report_probability(middle, rate, others, budget / max(people, 1)) >= POWER else (middle, high)
    return high


def _report_probability(n: int, rate: float, others: int, share: float) -> float:
    """Probability that a person with n rows who is ACT below a rate of the others is detected at a p-value of `share`."""
    p0 = min(max(rate, 1.5 * ACT), 1.0)
    right, held = np.arange(n + 1), round(p0 * others)
    p = hypergeom.cdf(right, n + others, right + held, n)
    reported = (p <= share) & (held / others - right / n >= WATCH)
    return float(binom.pmf(right, n, p0 - ACT)[reported].sum())
