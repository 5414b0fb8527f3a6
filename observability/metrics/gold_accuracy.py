"""Are people right on items whose answer is known: each beside the others, all beside the weeks before, and under each version of the guideline?"""

from typing import TYPE_CHECKING, Any

from observability.metrics.annotations import LEAST, Look, apart, beside_the_rest, difference, effective, fewer_p_value, needed, rate_of
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

METRIC = "gold_accuracy"
LEAST_OF_CLASS = 10
"""Answers to gold items of a class from which a person's accuracy in it is told."""


def looked_at(now: "DataFrame", past: "DataFrame", subject: str) -> list[Look]:
    """All of them beside the past (where that has rows enough), each person beside the others, and the newest guideline beside the one before it."""
    gold, before = now[now["known"]], past[past["known"]]
    found = beside_the_past(gold, before, subject)
    found += beside_the_rest(gold, before, "right", worse=-1, metric=METRIC, subject=subject)
    return found + beside_the_guideline_before(gold, before, subject)


def beside_the_past(gold: "DataFrame", before: "DataFrame", subject: str) -> list[Look]:
    """The accuracy of all of them in the window against the four weeks before it."""
    if min(len(gold), len(before)) < LEAST:
        return []
    here, there = rate_of(gold, "right"), rate_of(before, "right")
    p = fewer_p_value(*effective(gold, "right"), *effective(before, "right"))
    return [Look(METRIC, subject, "", here, there, -difference(here, there), p)]


def beside_the_guideline_before(gold: "DataFrame", before: "DataFrame", subject: str) -> list[Look]:
    """The accuracy under the guideline that is newest in the window against the one before it, where it came within what is looked at."""
    import pandas as pd

    both = pd.concat([before, gold], ignore_index=True)
    both = both[both["guideline"].notna()]
    first = both.groupby("guideline")["at"].min().sort_values(kind="stable")
    if len(first) < 2 or first.index[-1] not in set(gold["guideline"].dropna()):
        return []
    new, old = both[both["guideline"] == first.index[-1]], both[both["guideline"] == first.index[-2]]
    if min(len(new), len(old)) < LEAST:
        return []
    here, there = rate_of(new, "right"), rate_of(old, "right")
    p = fewer_p_value(*effective(new, "right"), *effective(old, "right"))
    name = f"{first.index[-2]}\n{first.index[-1]}"
    return [Look(METRIC, f"{subject}/guideline:{first.index[-1]}", name, here, there, -difference(here, there), p)]


def people(now: "DataFrame", budget: float) -> "DataFrame":
    """A row for each person: annotator, labels, n (answers to gold items), right, value, low, high, others, others_n, more (gold items that it takes until they
    can be told from the others, 0 where they can); value is NaN without a gold item.
    """
    import pandas as pd

    gold = now[now["known"]]
    labels = now["annotator"].astype(str).value_counts()
    beside, everybody, rows = {each.name: each for each in apart(gold, "right")}, rate_of(gold, "right"), []
    for who in sorted(labels.index):
        each = beside.get(who)
        own, others = (each.here, each.there) if each else (Interval(None, None, None, 0.0), everybody)
        n, right, others_n = (each.n, int(each.hits), each.others) if each else (0, 0, len(gold))
        enough = needed(others.value or 0.0, others_n, len(labels), budget) if others_n >= LEAST else LEAST
        rows.append([who, int(labels[who]), n, right, own.value, own.low, own.high, others.value, others_n, max(enough - n, 0)])
    columns = ["annotator", "labels", "n", "right", "value", "low", "high", "others", "others_n", "more"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("value", "low", "high", "others"), float))


def by_class(now: "DataFrame", who: str | None) -> "DataFrame":
    """A row for each known answer, of one person or (None) of all: class, n, right, value, low, high, others, others_n, instead (the wrong answer that is given
    most often), instead_n, enough.
    """
    import pandas as pd

    gold = now[now["known"]]
    is_mine = gold["annotator"].astype(str) == who if who is not None else gold["known"]
    rows = []
    for name, part in gold.groupby("gold", sort=True):
        mine, rest = part[is_mine[part.index]], part[~is_mine[part.index]]
        if mine.empty:
            continue
        own = rate_interval(float(mine["right"].sum()), float(len(mine))) if who is not None else rate_of(mine, "right")
        said = mine.loc[~mine["right"], "label"].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        others = float(rest["right"].mean()) if len(rest) else float("nan")
        instead: tuple[Any, int] = (said.index[0], int(said.iloc[0])) if len(said) else (None, 0)
        rows.append([name, len(mine), int(mine["right"].sum()), own.value, own.low, own.high, others, len(rest), *instead, len(mine) >= LEAST_OF_CLASS])  # fmt: skip
    return pd.DataFrame(
        rows, columns=["class", "n", "right", "value", "low", "high", "others", "others_n", "instead", "instead_n", "enough"]
    )


def by_guideline(rows: "DataFrame") -> "DataFrame":
    """A row for each guideline, in the order in which they came: guideline, since, n, right, value, low, high, people."""
    import pandas as pd

    gold = rows[rows["known"] & rows["guideline"].notna()]
    found = []
    for name, part in gold.groupby("guideline", sort=True):
        rate = rate_of(part, "right")
        found.append(
            [name, part["at"].min(), len(part), int(part["right"].sum()), rate.value, rate.low, rate.high, part["annotator"].nunique()]
        )
    columns = ["guideline", "since", "n", "right", "value", "low", "high", "people"]
    return pd.DataFrame(found, columns=columns).sort_values(["since", "guideline"], ignore_index=True)
