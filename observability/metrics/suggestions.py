"""Do people take over what a machine suggests even where it is wrong, and from which confidence on is it as good as they are?

Anchoring is told within items alone: of items that some people saw with a wrong suggestion and others without any, how much more often the first gave that
wrong answer. Wrong suggestions fall on hard items, so people who never saw them are no measure by themselves.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.metrics.annotations import LEAST, Look, beside_the_rest, difference, effective, fewer_p_value, rate_of
from observability.stats.interval import Interval, rate_interval
from observability.stats.strata import Stratified, stratified_difference

if TYPE_CHECKING:
    from pandas import DataFrame

ENOUGH = 50
"""Items of the window alone from which anchoring is told without those of the weeks before."""
ACCEPTANCE, TAKEN, ANCHORING = "suggestion_acceptance", "wrong_suggestions_taken", "suggestion_anchoring"


def looked_at(now: "DataFrame", past: "DataFrame", blind: "Blind", subject: str) -> list[Look]:
    """Wrong suggestions that were taken over: beside the past, by each person beside the others, and beside people who saw none."""
    wrong, before = now[now["wrong"]], past[past["wrong"]]
    found = beside_the_past(wrong, before, subject)
    found += beside_the_rest(wrong, before, "taken", worse=1, metric=TAKEN, subject=subject)
    if len(blind.shown) >= LEAST:
        told = blind.stratified
        found.append(Look(ANCHORING, subject, "", blind.here, blind.there, told.difference.value or 0.0, told.p_value))
    return found


def beside_the_past(wrong: "DataFrame", before: "DataFrame", subject: str) -> list[Look]:
    """The share of wrong suggestions that were taken over in the window against the four weeks before it."""
    if min(len(wrong), len(before)) < LEAST:
        return []
    here, there = rate_of(wrong, "taken"), rate_of(before, "taken")
    (hits, n), (then, others) = effective(wrong, "taken"), effective(before, "taken")
    return [Look(TAKEN, subject, "", here, there, difference(here, there), fewer_p_value(n - hits, n, others - then, others))]


@dataclass(frozen=True)
class Blind:
    """Items that some people saw with a wrong suggestion and others without any. shown, without: by item, (times that this wrong answer was given, answers).
    weeks: of the window and the four weeks before it, as the window alone has too few.
    """

    shown: "DataFrame"
    without: "DataFrame"
    weeks: bool

    @classmethod
    def of(cls, shown: "DataFrame", rows: "DataFrame", *, weeks: bool) -> "Blind":
        """Of the items that are among `shown` with a wrong suggestion; who saw none may be anywhere in `rows`. An item that was shown with several wrong
        suggestions counts with the most frequent one.
        """
        wrong = shown[shown["wrong"]]
        said = wrong.groupby(["item", "suggestion"], sort=True).size().reset_index(name="n")
        which = (
            said.sort_values(["item", "n", "suggestion"], ascending=[True, False, True])
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
    def stratified(self) -> Stratified:
        """How much more often the wrong answer is given where it is suggested, within items."""
        return stratified_difference(self.shown["sum"], self.shown["size"], self.without["sum"], self.without["size"])

    @property
    def here(self) -> Interval:
        """How often it is given where it is suggested: the mean over items, as sure as so many single answers."""
        return mean_of(self.shown)

    @property
    def there(self) -> Interval:
        """How often it is given where nothing is suggested, of the same items."""
        return mean_of(self.without)


def blind_of(now: "DataFrame", past: "DataFrame") -> Blind:
    """The items of the window where they are enough, else those of the four weeks before it as well."""
    import pandas as pd

    both = pd.concat([past, now], ignore_index=True)
    found = Blind.of(now, both, weeks=False)
    return found if len(found.shown) >= ENOUGH else Blind.of(both, both, weeks=True)


def mean_of(counts: "DataFrame") -> Interval:
    """The mean share over items; each counts as one row, which is cautious."""
    shares = (counts["sum"] / counts["size"]).to_numpy(float)
    return rate_interval(float(shares.sum()), float(len(shares)))


def by_person(now: "DataFrame") -> "DataFrame":
    """A row for each person who saw suggestions: annotator, shown, taken, value, low, high (share taken over), wrong (shown and wrong by gold), wrong_taken,
    wrong_value, wrong_low, wrong_high.
    """
    import pandas as pd

    rows = []
    for who, part in now[now["shown"]].groupby(now["annotator"].astype(str), sort=True):
        wrong = part[part["wrong"]]
        rate = rate_interval(float(part["taken"].sum()), float(len(part)))
        bad = rate_interval(float(wrong["taken"].sum()), float(len(wrong)))
        rows.append([who, len(part), int(part["taken"].sum()), rate.value, rate.low, rate.high, len(wrong), int(wrong["taken"].sum()), bad.value, bad.low, bad.high])  # fmt: skip
    names = ["annotator", "shown", "taken", "value", "low", "high", "wrong", "wrong_taken", "wrong_value", "wrong_low", "wrong_high"]
    return pd.DataFrame(rows, columns=names).astype(
        dict.fromkeys(("value", "low", "high", "wrong_value", "wrong_low", "wrong_high"), float)
    )


@dataclass(frozen=True)
class Accepting:
    """What would be so if suggestions from a confidence on were accepted without a person.

    suggestions, accepted: different suggestions that have a confidence, and those that reach it. error: of the accepted, the share that is wrong by gold
    (n: those with gold). people: how wrong the people were on the gold items below it. overall: the error of all labels then, and today: as they are, both by
    gold. labels: answers that nobody would have had to give; seconds: what they took, timed: how many of them say how long they took.
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
        """Whether the time is that of these answers, or their number times what others took."""
        return "measured" if self.timed == self.labels else "estimated"


def with_confidence(now: "DataFrame") -> "DataFrame":
    """Answers that were shown a suggestion with a confidence."""
    return now[now["shown"] & np.isfinite(now["suggestion_confidence"].to_numpy(float))]


def items_of(rows: "DataFrame") -> "DataFrame":
    """A row for each different suggestion of an item, with its highest confidence: item, suggestion, confidence, known, wrong."""
    found = rows.groupby(["item", "suggestion"], sort=True).agg(
        confidence=("suggestion_confidence", "max"), known=("known", "max"), wrong=("wrong", "max")
    )
    return found.reset_index()


def accepting(now: "DataFrame", threshold: float) -> Accepting | None:
    """What a threshold would do, by what was said in the window; None where no suggestion has a confidence."""
    rows = with_confidence(now)
    if rows.empty:
        return None
    items = items_of(rows)
    over = items[items["confidence"] >= threshold]
    gold = over[over["known"]]
    error = rate_interval(float(gold["wrong"].sum()), float(len(gold)))
    spared = rows["suggestion_confidence"] >= threshold
    left = rows[~spared & rows["known"]].assign(miss=lambda each: ~each["right"])
    today = rows[rows["known"]].assign(miss=lambda each: ~each["right"])
    people = rate_of(left, "miss")
    took = rows.loc[spared, "seconds"].to_numpy(float)
    timed = np.isfinite(took)
    usual = np.nanmedian(rows["seconds"].to_numpy(float)) if np.isfinite(rows["seconds"].to_numpy(float)).any() else None
    seconds = None if usual is None else float(took[timed].sum() + usual * (~timed).sum())
    share = len(over) / len(items)
    return Accepting(threshold, len(items), len(over), error, people, mixed(share, error, people), rate_of(today, "miss"), int(spared.sum()), seconds, int(timed.sum()))  # fmt: skip


def mixed(share: float, one: Interval, other: Interval) -> Interval:
    """A share of one rate and the rest of another, independent of it (MOVER: Zou and Donner 2008). A part that nothing falls into is left out."""
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


def curve(now: "DataFrame", most: int = 60) -> "DataFrame":
    """Coverage and accuracy of the suggestions that reach each confidence, from the lowest that occurs to the highest (at most so many steps): confidence,
    coverage, value, low, high (accuracy by gold), n (those with gold), accepted.
    """
    import pandas as pd

    items = items_of(with_confidence(now))
    steps = np.unique(items["confidence"].to_numpy(float))
    if len(steps) > most:
        steps = np.unique(np.quantile(items["confidence"].to_numpy(float), np.linspace(0, 1, most), method="lower"))
    rows = []
    for each in steps.tolist():
        over = items[items["confidence"] >= each]
        gold = over[over["known"]]
        rate = rate_interval(float((~gold["wrong"].astype(bool)).sum()), float(len(gold)))
        rows.append([each, len(over) / len(items), rate.value, rate.low, rate.high, len(gold), len(over)])
    columns = ["confidence", "coverage", "value", "low", "high", "n", "accepted"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(("value", "low", "high"), float))
