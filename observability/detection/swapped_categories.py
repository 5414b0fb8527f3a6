"""Are two levels of a category taken for each other?

A distance of whole distributions does not see that a few rows come under another name where no level is large. Two levels that changed places since the past
month, and not back to where the reference has them, while the others stayed, are a fault of names and not one of demand, however small the PSI.
"""

from dataclasses import dataclass, replace

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.detection.distribution_changes import Look, Moved, began
from observability.stats.interval import rate_interval
from observability.stats.levels import Trade, trade
from observability.stats.multiple import ACT_SHARE

NAME, METRIC = "serving/drift", "level_trade"
WATCH, ACT = 0.005, 0.01
"""Share of all rows by which both levels moved: so many came under the other's name, at least."""
EVEN = 0.5
"""What one lost and the other gained is one thing where the ratio of the changes is at least so far on the way from that of a level that moved alone to 1."""
OTHERS = 1 / 3
"""Of all that moved, at most this part may be of other levels: else the demand changed."""
LIKELY = 0.01
"""Chance up to which two levels that changed places since the past are as far apart from the reference too: it may be small, the past is what surely tells."""


@dataclass(frozen=True)
class Seen:
    """What one look at the levels shows. since: the two levels that changed places most surely since the own past (since the reference, where there is no past);
    reference: the same two since the reference. standing: since the reference, though not since the past month.
    """

    look: Look
    since: Trade
    reference: Trade
    standing: bool = False

    @property
    def news(self) -> bool:
        """Whether there is a past that it moved from."""
        return not self.standing and self.look.past_levels is not None

    @property
    def moved(self) -> float:
        """The smallest of all the changes, as a share of all rows."""
        return min(self.since.changes[0], self.reference.changes[0])

    @property
    def one_for_the_other(self) -> bool:
        """Whether one rose by about what the other fell, and the other levels hardly moved."""
        both = (self.since, self.reference)
        return all(even(each) and each.rest <= OTHERS for each in both) and self.reference.p_value <= LIKELY


def even(of: Trade) -> bool:
    """Whether the two changes are one thing, and not a level that moved alone with all others making room."""
    smaller, larger = of.changes
    return smaller >= (of.diluted + EVEN * (1 - of.diluted)) * larger


def seen(moved: Moved) -> list[Seen]:
    """What each look shows; nothing of numbers, and of a category in which no level fell and none rose."""
    found = []
    for look in moved.looks:
        if look.levels is None:
            continue
        since = trade(look.past_levels or look.levels)
        reference = trade(look.levels, (since.fell, since.rose)) if since else None
        if since and reference:
            found.append(Seen(look, since, reference))
        if look.whole and look.past_levels and (long_since := trade(look.levels)):
            found.append(Seen(look, long_since, long_since, standing=True))
    return found


def chances(looks: list[Seen]) -> list[float]:
    """The p-value of each look."""
    return [each.since.p_value for each in looks]


def claims(moved: Moved, looks: list[Seen], adjusted: list[float], context: Context) -> list[Finding]:
    """The finding about the look that says most; none where no two levels changed places: the distance says how the column is. adjusted: p-values, for all looks of the run."""
    order = ("act", "watch", "ok").index
    judged = [(each, p, severity(each, p, context)) for each, p in zip(looks, adjusted, strict=True)]
    judged.sort(key=lambda each: (order(each[2]), each[0].standing, not each[0].look.whole, -each[0].moved))
    return [finding(moved, *judged[0], context)] if judged and judged[0][2] != "ok" else []


def severity(of: Seen, adjusted: float, context: Context) -> Severity:
    """How bad one look is: beyond chance, large enough to matter, and one level for another. An act has to be news: without a past nobody can say so."""
    act = limit(context)
    if adjusted > context.budget or of.moved < min(WATCH, act) or not of.one_for_the_other:
        return "ok"
    return "act" if of.news and of.moved >= act and adjusted <= context.budget * ACT_SHARE else "watch"


def limit(context: Context) -> float:
    """The share from which it is an act."""
    return context.model.settings.limits.get(f"{NAME}/{METRIC}", ACT)


def finding(moved: Moved, of: Seen, adjusted: float, how_bad: Severity, context: Context) -> Finding:
    """What is said of two levels that changed places. The interval is that of the share of the level that changed less since the reference."""
    look, now = of.look, of.reference
    fell, rose = names(moved, now)
    weights = np.zeros(int(moved.axis.group.max()) + 1)
    weights[now.rose], weights[now.fell] = 1.0, -1.0
    when = None if of.standing else began(moved, look, context.window.start, weights)
    before, after = min(zip(now.before, now.now, strict=True), key=lambda each: abs(each[1] - each[0]))
    around = rate_interval(after * look.after.n, look.after.n)
    ends = [abs((after if each is None else each) - before) for each in (around.low, around.high)]
    share = context.model.settings.importance.get(moved.name)
    return replace(
        context.undecided(NAME, moved.name, METRIC, look.after.rows, sentence(moved, of)),
        value=now.changes[0],
        low=min(*ends, now.changes[0]),
        high=max(*ends, now.changes[0]),
        limit=limit(context) if how_bad == "act" else min(WATCH, limit(context)),
        severity=how_bad,
        likely_source="input",
        onset=when.at if when else None,
        rank=min(of.moved / ACT, 5.0) * (0.1 if of.standing else 1.0) * (1.0 if share is None else share),
        evidence={
            "column": moved.reference, "levels": [fell, rose], "share_reference": list(now.before), "share": list(now.now), "rest": now.rest,
            "share_past": list(of.since.before) if of.news else None, "p_value": of.since.p_value, "p_adjusted": adjusted,
            "standing": of.standing, "days": look.days, **(when.evidence if when else {}),
        },
    )  # fmt: skip


def names(moved: Moved, of: Trade) -> tuple[str, str]:
    """The level that fell and the one that rose."""
    return moved.axis.common[of.fell], moved.axis.common[of.rose]


def sentence(moved: Moved, of: Seen) -> str:
    """Which two levels, by how much, and over which days."""
    look, now = of.look, of.reference
    (fell, rose), (down, up) = names(moved, now), zip(now.before, now.now, strict=True)
    when = "" if look.whole else " on the last day" if look.days == 1 else f" in the last {look.days} days"
    since, other = (", as in the past four weeks", ", or with other people who come") if of.standing else ("", "")
    return (
        f"`{rose}` comes in place of `{fell}` in `{moved.name}`{when}{since}: since the reference `{fell}` went from {percent(*down)} of the values and `{rose}` from "
        f"{percent(*up)}, while the others stayed, over {look.after.rows:,} predictions; consistent with names that are taken for each other{other}."
    )


def percent(before: float, now: float) -> str:
    """Two shares: 4.9 to 3.1 %."""
    return f"{100 * before:.1f} to {100 * now:.1f} %"
