"""Suggestions that annotators accept: wrong suggestions that were accepted, anchoring, and the confidence from which suggestions are as
good as people.

Anchoring is estimated on items that some people saw with a wrong suggestion and others without a suggestion. It is how much more often the
first group gave that wrong answer. Wrong suggestions occur on hard items, so answers to other items cannot serve as a baseline.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.metrics.annotations import (
    MIN_ANNOTATION_ROWS,
    LabellingComparison,
    compare_with_others,
    effective_hits,
    item_clustered_rate,
    lower_share_p_value,
    share_difference,
)
from observability.stats.interval import Interval, rate_interval
from observability.stats.strata import StratifiedDifference, stratified_difference

if TYPE_CHECKING:
    from pandas import DataFrame

ENOUGH = 50
"""Anchoring is estimated from the window alone if it has at least this many such items; otherwise items of earlier weeks are added."""
ACCEPTANCE, TAKEN, ANCHORING = "suggestion_acceptance", "wrong_suggestions_taken", "suggestion_anchoring"


def suggestion_comparisons(now: "DataFrame", past: "DataFrame", blind: "BlindItems", subject: str) -> list[LabellingComparison]:
    """Comparisons of the share of suggestions that were accepted. For wrong suggestions, the share is compared with the past, between each
    person and the other people, and with the answers of people who saw no suggestion. For all suggestions, it is compared between each
    person and the other people.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.
    past : DataFrame
        Answers of the four weeks before.
    blind : BlindItems
        Items shown with and without a suggestion.
    subject : str
        Subject of the findings.

    Returns
    -------
    list[LabellingComparison]
        Comparisons with enough rows.
    """
    wrong, before = now[now["wrong"]], past[past["wrong"]]
    found = _compare_with_past(wrong, before, subject)
    found += compare_with_others(wrong, before, "taken", worse=1, metric=TAKEN, subject=subject)
    seen, earlier = now[now["shown"]], past[past["shown"]]
    found += compare_with_others(seen, earlier, "taken", worse=1, metric=ACCEPTANCE, subject=subject)
    if len(blind.shown) >= MIN_ANNOTATION_ROWS:
        anchoring = blind.stratified
        found.append(
            LabellingComparison(ANCHORING, subject, "", blind.here, blind.there, anchoring.difference.value or 0.0, anchoring.p_value)
        )
    return found


def _compare_with_past(wrong: "DataFrame", before: "DataFrame", subject: str) -> list[LabellingComparison]:
    """Share of wrong suggestions that were accepted in the window, compared with the four weeks before it."""
    if min(len(wrong), len(before)) < MIN_ANNOTATION_ROWS:
        return []
    here, there = item_clustered_rate(wrong, "taken"), item_clustered_rate(before, "taken")
    (hits, n), (then, others) = effective_hits(wrong, "taken"), effective_hits(before, "taken")
    return [
        LabellingComparison(
            TAKEN, subject, "", here, there, share_difference(here, there), lower_share_p_value(n - hits, n, others - then, others)
        )
    ]


@dataclass(frozen=True)
class BlindItems:
    """Items that some people saw with a wrong suggestion and others without a suggestion.

    shown, without: by item, (number of times that this wrong answer was given, number of answers). weeks: whether the four weeks before the
    window are included, because the window alone has too few items.
    """

    shown: "DataFrame"
    without: "DataFrame"
    weeks: bool

    @classmethod
    def of(cls, shown: "DataFrame", rows: "DataFrame", *, weeks: bool) -> "BlindItems":
        """The items that `shown` has with a wrong suggestion. The answers without a suggestion may be anywhere in `rows`.

        If an item was shown with several wrong suggestions, the most frequent one counts.
        """
        wrong = shown[shown["wrong"]]
        counts = wrong.groupby(["item", "suggestion"], sort=True).size().reset_index(name="n")
        which = (
            counts.sort_values(["item", "n", "suggestion"], ascending=[True, False, True])
            .drop_duplicates("item")
            .set_index("item")["suggestion"]
        )
        seen = wrong[wrong["suggestion"] == wrong["item"].map(which)]
        free = rows[~rows["shown"] & rows["item"].isin(which.index)]
        free = free.assign(same=free["label"] == free["item"].map(which))
        both = sorted(set(seen["item"]) & set(free["item"]))
        counted, blind = (part.groupby("item")[what].agg(["sum", "size"]).reindex(both) for part, what in ((seen, "taken"), (free, "same")))
        return cls(counted, blind, weeks)

    @property
    def stratified(self) -> StratifiedDifference:
        """How much more frequent the wrong answer is if it is suggested, within items."""
        return stratified_difference(self.shown["sum"], self.shown["size"], self.without["sum"], self.without["size"])

    @property
    def here(self) -> Interval:
        """How often the wrong answer is given if it is suggested: the mean over items, where each item counts as one answer."""
        return _mean_item_share(self.shown)

    @property
    def there(self) -> Interval:
        """How often the wrong answer is given on the same items if nothing is suggested."""
        return _mean_item_share(self.without)


def blind_items(now: "DataFrame", past: "DataFrame") -> BlindItems:
    """The items of the window if they are enough; otherwise also those of the four weeks before it.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.
    past : DataFrame
        Answers of the four weeks before.

    Returns
    -------
    BlindItems
    """
    import pandas as pd

    both = pd.concat([past, now], ignore_index=True)
    found = BlindItems.of(now, both, weeks=False)
    return found if len(found.shown) >= ENOUGH else BlindItems.of(both, both, weeks=True)


def _mean_item_share(counts: "DataFrame") -> Interval:
    """Mean share over items. Each item counts as one row, which is conservative."""
    shares = (counts["sum"] / counts["size"]).to_numpy(float)
    return rate_interval(float(shares.sum()), float(len(shares)))


def suggestions_by_annotator(now: "DataFrame") -> "DataFrame":
    """A row per person who saw suggestions: annotator, shown, taken, value, low, high (share accepted), wrong (number shown that are wrong
    by gold labels), wrong_taken, wrong_value, wrong_low, wrong_high.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    rows, answers = [], now.loc[now["shown"], ["shown", "taken", "wrong"]].assign(both=now["taken"] & now["wrong"])
    for who, *counts in answers.groupby(now["annotator"].astype(str), sort=True).sum().itertuples():
        shown, taken, wrong, both = map(int, counts)
        rows.append([who, shown, taken, *rate_interval(taken, shown).triple, wrong, both, *rate_interval(both, wrong).triple])
    names = ["annotator", "shown", "taken", "value", "low", "high", "wrong", "wrong_taken", "wrong_value", "wrong_low", "wrong_high"]
    return pd.DataFrame(rows, columns=names).astype(
        dict.fromkeys(("value", "low", "high", "wrong_value", "wrong_low", "wrong_high"), float)
    )


@dataclass(frozen=True)
class AcceptanceOutcome:
    """What would happen if suggestions with at least a certain confidence were accepted without asking a person.

    suggestions, accepted: number of different suggestions with a confidence, and of those that reach the threshold. error: the share of
    accepted suggestions that is wrong by gold labels (n: number of them with a gold label). people: share of wrong answers on the gold
    items below the threshold. overall: the error of all labels with this rule; today: the error of the present labels. Both are measured
    with gold labels. labels: number of answers that would not have been needed; seconds: their time, timed: how many of them have a time.
    """

    threshold: float
    suggestions: int
    accepted: int
    error: Interval
    people: Interval
    overall: Interval
    today: Interval
    labels: int
    seconds: float | None
    timed: int

    @property
    def coverage(self) -> float:
        """Share of the suggestions that would be accepted."""
        return self.accepted / self.suggestions

    @property
    def time_basis(self) -> str:
        """`measured` if the time of all these answers was logged; `estimated` if the time is their number times the usual time."""
        return "measured" if self.timed == self.labels else "estimated"


def _with_confidence(now: "DataFrame") -> "DataFrame":
    """The answers to which a suggestion with a confidence was shown."""
    return now[now["shown"] & np.isfinite(now["suggestion_confidence"].to_numpy(float))]


def _suggested_items(rows: "DataFrame") -> "DataFrame":
    """A row for each different suggestion of an item, with its highest confidence: item, suggestion, confidence, known, wrong."""
    found = rows.groupby(["item", "suggestion"], sort=True).agg(
        confidence=("suggestion_confidence", "max"), known=("known", "max"), wrong=("wrong", "max")
    )
    return found.reset_index()


def acceptance_outcome(now: "DataFrame", threshold: float) -> AcceptanceOutcome | None:
    """What a threshold would have meant for the answers of the window.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.
    threshold : float
        Confidence from which suggestions are accepted.

    Returns
    -------
    AcceptanceOutcome | None
        None if no suggestion has a confidence.
    """
    rows = _with_confidence(now)
    if rows.empty:
        return None
    items = _suggested_items(rows)
    over = items[items["confidence"] >= threshold]
    gold = over[over["known"]]
    error = rate_interval(float(gold["wrong"].sum()), float(len(gold)))
    spared = rows["suggestion_confidence"] >= threshold
    left = rows[~spared & rows["known"]].assign(miss=lambda each: ~each["right"])
    today = item_clustered_rate(rows[rows["known"]].assign(miss=lambda each: ~each["right"]), "miss")
    people = item_clustered_rate(left, "miss")
    took = rows.loc[spared, "seconds"].to_numpy(float)
    timed = np.isfinite(took)
    usual = np.nanmedian(rows["seconds"].to_numpy(float)) if np.isfinite(rows["seconds"].to_numpy(float)).any() else None
    seconds = None if usual is None else float(took[timed].sum() + usual * (~timed).sum())
    overall, labels = _mixed_rate(len(over) / len(items), error, people), int(spared.sum())
    return AcceptanceOutcome(threshold, len(items), len(over), error, people, overall, today, labels, seconds, int(timed.sum()))


def _mixed_rate(share: float, one: Interval, other: Interval) -> Interval:
    """Weighted mean of two independent rates (MOVER: Zou and Donner 2008). A part with weight 0 is left out."""
    parts = [(weight, each) for weight, each in ((share, one), (1 - share, other)) if weight > 0]
    n = sum(each.n for _, each in parts)
    value = low = high = 0.0
    for weight, each in parts:
        if each.value is None or each.low is None or each.high is None:
            return Interval(None, None, None, n)
        value += weight * each.value
        low += (weight * (each.value - each.low)) ** 2
        high += (weight * (each.high - each.value)) ** 2
    return Interval(value, max(value - float(np.sqrt(low)), 0.0), min(value + float(np.sqrt(high)), 1.0), n)


def acceptance_curve(now: "DataFrame", most: int = 60) -> "DataFrame":
    """For each confidence, from the lowest to the highest: coverage and accuracy of the suggestions that have at least this confidence.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.
    most : int
        Largest number of steps.

    Returns
    -------
    DataFrame
        confidence, coverage, value, low, high (accuracy by gold), n (those with gold), accepted.
    """
    import pandas as pd

    items = _suggested_items(_with_confidence(now))
    steps = np.unique(items["confidence"].to_numpy(float))
    if len(steps) > most:
        steps = np.unique(np.quantile(items["confidence"].to_numpy(float), np.linspace(0, 1, most), method="lower"))
    rows = []
    for step in steps.tolist():
        over = items[items["confidence"] >= step]
        gold = over[over["known"]]
        rate = rate_interval(float((~gold["wrong"].astype(bool)).sum()), float(len(gold)))
        rows.append([step, len(over) / len(items), *rate.triple, len(gold), len(over)])
    columns = ["confidence", "coverage", "value", "low", "high", "n", "accepted"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("value", "low", "high"), float))
