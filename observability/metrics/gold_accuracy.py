"""Accuracy on gold items: each person compared with the others, all people compared with the weeks before, and the accuracy under each
guideline.
"""

from typing import TYPE_CHECKING, Any

from observability.metrics.annotations import (
    MIN_ANNOTATION_ROWS,
    LabellingComparison,
    annotator_shares,
    answers_needed,
    compare_with_others,
    effective_hits,
    item_clustered_rate,
    lower_share_p_value,
    share_difference,
)
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

METRIC = "gold_accuracy"
MIN_OF_CLASS = 10
"""The accuracy of a person in a class is shown if the person answered at least this many gold items of the class."""


def gold_accuracy_comparisons(now: "DataFrame", past: "DataFrame", subject: str) -> list[LabellingComparison]:
    """Comparisons of all people with the past, of each person with the others, and of the newest guideline with the previous one.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.
    past : DataFrame
        Answers of the four weeks before.
    subject : str
        Subject of the findings.

    Returns
    -------
    list[LabellingComparison]
        Comparisons with enough rows.
    """
    gold, before = now[now["known"]], past[past["known"]]
    found = _compare_with_past(gold, before, subject)
    found += compare_with_others(gold, before, "right", worse=-1, metric=METRIC, subject=subject)
    return found + _compare_guidelines(gold, before, subject)


def _compare_with_past(gold: "DataFrame", before: "DataFrame", subject: str) -> list[LabellingComparison]:
    """Accuracy of all people in the window, compared with the four weeks before it."""
    if min(len(gold), len(before)) < MIN_ANNOTATION_ROWS:
        return []
    here, there = item_clustered_rate(gold, "right"), item_clustered_rate(before, "right")
    p = lower_share_p_value(*effective_hits(gold, "right"), *effective_hits(before, "right"))
    return [LabellingComparison(METRIC, subject, "", here, there, -share_difference(here, there), p)]


def _compare_guidelines(gold: "DataFrame", before: "DataFrame", subject: str) -> list[LabellingComparison]:
    """Accuracy under the newest guideline of the window, compared with that under the previous guideline, if the data contain both."""
    import pandas as pd

    both = pd.concat([before, gold], ignore_index=True)
    both = both[both["guideline"].notna()]
    first = both.groupby("guideline")["at"].min().sort_values(kind="stable")
    if len(first) < 2 or first.index[-1] not in set(gold["guideline"].dropna()):
        return []
    new, old = both[both["guideline"] == first.index[-1]], both[both["guideline"] == first.index[-2]]
    if min(len(new), len(old)) < MIN_ANNOTATION_ROWS:
        return []
    here, there = item_clustered_rate(new, "right"), item_clustered_rate(old, "right")
    p = lower_share_p_value(*effective_hits(new, "right"), *effective_hits(old, "right"))
    name = f"{first.index[-2]}\n{first.index[-1]}"
    return [LabellingComparison(METRIC, f"{subject}/guideline:{first.index[-1]}", name, here, there, -share_difference(here, there), p)]


def gold_accuracy_by_annotator(now: "DataFrame", budget: float) -> "DataFrame":
    """A row per person: annotator, labels, n (answers to gold items), right, value, low, high, others, others_n, more (number of gold items
    until the person can be compared, 0 if this is possible now); value is NaN for a person without gold items.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.
    budget : float
        Significance level of all comparisons.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    gold = now[now["known"]]
    labels = now["annotator"].astype(str).value_counts()
    beside, everybody, rows = {person.name: person for person in annotator_shares(gold, "right")}, item_clustered_rate(gold, "right"), []
    for who in sorted(labels.index):
        each = beside.get(who)
        own, others = (each.here, each.there) if each else (Interval(None, None, None, 0.0), everybody)
        n, right, others_n = (each.n, int(each.hits), each.others) if each else (0, 0, len(gold))
        enough = (
            answers_needed(others.value or 0.0, others_n, len(labels), budget) if others_n >= MIN_ANNOTATION_ROWS else MIN_ANNOTATION_ROWS
        )
        rows.append([who, int(labels[who]), n, right, *own.triple, others.value, others_n, max(enough - n, 0)])
    columns = ["annotator", "labels", "n", "right", "value", "low", "high", "others", "others_n", "more"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("value", "low", "high", "others"), float))


def gold_accuracy_by_class(now: "DataFrame", who: str | None) -> "DataFrame":
    """A row per gold label, of one person or of all: class, n, right, value, low, high, others, others_n, instead (the most frequent
    wrong answer), instead_n, enough.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.
    who : str | None
        Person; None for all.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    gold = now[now["known"]]
    is_mine = gold["annotator"].astype(str) == who if who is not None else gold["known"]
    rows = []
    for name, part in gold.groupby("gold", sort=True):
        mine, rest = part[is_mine[part.index]], part[~is_mine[part.index]]
        if mine.empty:
            continue
        own = rate_interval(float(mine["right"].sum()), float(len(mine))) if who is not None else item_clustered_rate(mine, "right")
        wrong = mine.loc[~mine["right"], "label"].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        others = float(rest["right"].mean()) if len(rest) else float("nan")
        instead: tuple[Any, int] = (wrong.index[0], int(wrong.iloc[0])) if len(wrong) else (None, 0)
        right, enough = int(mine["right"].sum()), len(mine) >= MIN_OF_CLASS
        rows.append([name, len(mine), right, *own.triple, others, len(rest), *instead, enough])
    columns = ["class", "n", "right", "value", "low", "high", "others", "others_n", "instead", "instead_n", "enough"]
    return pd.DataFrame(rows, columns=columns)


def gold_accuracy_by_guideline(rows: "DataFrame") -> "DataFrame":
    """A row per guideline in order of first use: guideline, since, n, right, value, low, high, people.

    Parameters
    ----------
    rows : DataFrame
        Answers.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    gold = rows[rows["known"] & rows["guideline"].notna()]
    found = []
    for name, part in gold.groupby("guideline", sort=True):
        rate = item_clustered_rate(part, "right")
        found.append([name, part["at"].min(), len(part), int(part["right"].sum()), *rate.triple, part["annotator"].nunique()])
    columns = ["guideline", "since", "n", "right", "value", "low", "high", "people"]
    return pd.DataFrame(found, columns=columns).sort_values(["since", "guideline"], ignore_index=True)
