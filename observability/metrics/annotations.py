"""What did each person answer about each item, what did they know, and what was the right answer?

The first answer of a person to an item counts: who is told that they were wrong may correct it later. Labels, known answers and suggestions are compared
as texts. Also the comparison of two shares that every question about people ends in.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binom, hypergeom

from observability.core.finding import Severity
from observability.stats.interval import Interval, rate_interval
from observability.stats.multiple import ACT_SHARE
from observability.stats.strata import grouped_rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
NAME = "data/labelling"
PAST_DAYS = 28
FIELDS = ("project", "item", "annotator", "at", "label", "seconds", "gold", "suggestion", "suggestion_confidence", "guideline")
TEXTS = ("label", "gold", "suggestion", "guideline")
PAIR = ["project", "item", "annotator"]
WATCH, ACT = 0.1, 0.2
"""A share that is so many points worse is reported, and needs somebody."""
LEAST = 20
"""Rows on either side below which nothing is compared."""
MOST = 500
"""Rows that are never asked for more than."""
POWER = 0.8
"""Chance with which somebody who is ACT below has to be reported before anybody is said to be as good as the others."""


def answers_of(annotated: "DataFrame") -> "DataFrame":
    """The first answer of each person to each item, in the order of project, item and person, with what follows from it.

    right: the label is the known answer. shown: a suggestion stood there; taken: it became the label; wrong: the known answer says otherwise than it.
    """
    rows = annotated.copy()
    for name in TEXTS:
        rows[name] = [None if each is None or each != each else str(each) for each in rows[name]]
    rows = rows.sort_values([*PAIR, "at", "label", "gold", "suggestion", "seconds", "suggestion_confidence", "guideline"], kind="stable")
    rows = rows.drop_duplicates(PAIR).reset_index(drop=True)
    known, shown = rows["gold"].notna(), rows["suggestion"].notna()
    return rows.assign(
        known=known, right=known & (rows["label"] == rows["gold"]), shown=shown, taken=shown & (rows["label"] == rows["suggestion"]),
        wrong=shown & known & (rows["suggestion"] != rows["gold"]),
    )  # fmt: skip


def rate_of(rows: "DataFrame", what: str) -> Interval:
    """The share of rows that are so, with the interval that knows that answers to one item share its difficulty; n: rows."""
    found = grouped_rate_interval(*by_item(rows, what))
    return Interval(found.value, found.low, found.high, float(len(rows)))


def effective(rows: "DataFrame", what: str) -> tuple[float, float]:
    """(hits, rows) as so many independent rows would have them."""
    found = grouped_rate_interval(*by_item(rows, what))
    return (found.value or 0.0) * found.n, found.n


def by_item(rows: "DataFrame", what: str) -> tuple[Array, Array]:
    """Hits and rows of each item."""
    item, items = rows["item"].factorize()
    return np.bincount(item, rows[what].to_numpy(float), len(items)), np.bincount(item, minlength=len(items))


def fewer_p_value(hits: float, n: float, others: float, others_n: float) -> float:
    """Fisher's one-sided p-value that a share is lower than another's; effective counts are rounded."""
    a, rows, c, other_rows = (round(each) for each in (hits, n, others, others_n))
    return float(hypergeom.cdf(a, rows + other_rows, a + c, rows))


@dataclass(frozen=True)
class Look:
    """One share held against another. here, there: the two, n their rows. gap: how much worse the first is. before: the gap of the four weeks before, None
    where too few rows tell.
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
        """It was so before already, and is not so by as much again: no news."""
        return bool(self.before is not None and self.before >= WATCH and self.gap - self.before < max(WATCH, self.before))

    def severity(self, p: float, budget: float) -> Severity:
        """What the adjusted p-value and the size of the gap make of it."""
        if self.gap >= ACT and p <= budget * ACT_SHARE and not self.standing:
            return "act"
        return "watch" if self.gap >= WATCH and p <= budget else "ok"


@dataclass(frozen=True)
class Apart:
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
        """The person's share."""
        return rate_interval(self.hits, float(self.n))

    @property
    def effective(self) -> Interval:
        """The others' share; n is their effective number of rows."""
        return grouped_rate_interval(self.rest, self.rest_rows)

    @property
    def there(self) -> Interval:
        """The others' share; n is their rows."""
        return replace(self.effective, n=float(self.others))


def apart(rows: "DataFrame", what: str) -> list[Apart]:
    """Each person with rows, by name, beside all others; a person has at most one row of an item."""
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
        found.append(Apart(str(name), float(values[mine].sum()), len(mine), rest, rest_rows))
    return found


def beside_the_rest(rows: "DataFrame", past: "DataFrame", what: str, *, worse: int, metric: str, subject: str) -> list[Look]:
    """Each person's share against that of all others together, where both have rows enough. worse: -1 where less is worse, 1 where more is."""
    found, then = [], {each.name: each for each in apart(past, what)}
    for each in apart(rows, what):
        if min(each.n, each.others) < LEAST:
            continue
        here, there, rest = each.here, each.there, each.effective
        hits = (rest.value or 0.0) * rest.n
        p = (
            fewer_p_value(each.hits, each.n, hits, rest.n)
            if worse < 0
            else fewer_p_value(each.n - each.hits, each.n, rest.n - hits, rest.n)
        )
        old = then.get(each.name)
        before = worse * (old.hits / old.n - float(old.rest.sum()) / old.others) if old and min(old.n, old.others) >= LEAST else None
        found.append(Look(metric, f"{subject}/annotator:{each.name}", each.name, here, there, worse * difference(here, there), p, before))
    return found


def difference(here: Interval, there: Interval) -> float:
    """The first share less the second."""
    return float((here.value or 0.0) - (there.value or 0.0))


def needed(rate: float, others: int, people: int, budget: float) -> int:
    """How many rows it takes until somebody who is ACT below a rate, which so many rows of the others have, is reported with a chance of POWER where so many
    people are looked at (rate and rows of the others to two digits); at most MOST. Counted out over what they may get right (binomial), each tested as `beside_the_rest` does.
    """
    return _needed(round(rate, 2), int(float(f"{others:.2g}")), people, budget)


@lru_cache(maxsize=512)
def _needed(rate: float, others: int, people: int, budget: float) -> int:
    low, high = LEAST - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance_to_report(middle, rate, others, budget / max(people, 1)) >= POWER else (middle, high)
    return high


def chance_to_report(n: int, rate: float, others: int, share: float) -> float:
    """The chance that somebody with n rows who is ACT below a rate of the others is reported at a p-value of `share`."""
    p0 = min(max(rate, 1.5 * ACT), 1.0)
    right, held = np.arange(n + 1), round(p0 * others)
    p = hypergeom.cdf(right, n + others, right + held, n)
    reported = (p <= share) & (held / others - right / n >= WATCH)
    return float(binom.pmf(right, n, p0 - ACT)[reported].sum())
