"""Detects two levels of a category that were swapped or recoded.

If no level is large, the distance between whole distributions misses a few rows that are logged under another name. Two levels count as
swapped if one rose by about as much as the other fell, compared with the past month and away from the reference, while all other levels
stayed. This is a fault in naming, not a change of demand, even if the PSI is small.
"""

from dataclasses import dataclass, replace

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.detection.change import significant_severity, stated_limits
from observability.detection.distribution_changes import ColumnDrift, DistributionChange
from observability.detection.distribution_onsets import drift_onset, drift_standing
from observability.detection.onset import OnsetEstimate
from observability.detection.windows import window_phrase
from observability.stats.arrays import Floats
from observability.stats.interval import rate_interval
from observability.stats.level_swap import LevelSwap, find_level_swap

NAME, METRIC = "serving/drift", "level_trade"
WATCH, ACT = 0.005, 0.01
"""Smallest change that both levels must show for `watch` and `act`, as a share of all rows."""
LARGE, OF_LEVEL = 0.05, 0.5
"""Without a dated jump, a swap is critical only if both changes are at least this large: as a share of all rows, or as a fraction of the
smaller earlier share. In large logs, even changes that do not matter are significant.
"""
EVEN = 0.5
"""The loss of one level and the gain of another are one swap if they are similar in size. The ratio of the two changes lies between the
ratio for a level that moved alone, and 1; it must have covered at least this fraction of the way to 1.
"""
OTHERS = 1 / 3
"""Other levels may have at most this fraction of the whole change. If they have more, demand has changed and nothing was swapped."""
LIKELY = 0.01
"""Maximum p-value, against the reference, for two levels that swapped since the past. It is lenient, because the past is the main evidence.
"""


@dataclass(frozen=True)
class Seen:
    """What is known about a swap in one window.

    since: the two levels that swapped most significantly since the model's own past (without a past, since the reference); reference: the
    swap of the same two levels since the reference. standing: whether they swapped since the reference, but not since the past month.
    """

    look: DistributionChange
    since: LevelSwap
    reference: LevelSwap
    standing: bool = False

    @property
    def news(self) -> bool:
        """Whether the model's own past is known and the swap is a change from it."""
        return not self.standing and self.look.past_levels is not None

    @property
    def moved(self) -> float:
        """The smallest of all changes of the two levels (since the past and since the reference), as a share of all rows."""
        return min(self.since.changes[0], self.reference.changes[0])

    @property
    def matters(self) -> bool:
        """Whether both changes are large, or at least half of the smaller level's earlier share."""
        return all(each.changes[0] >= min(LARGE, OF_LEVEL * min(each.before)) for each in (self.since, self.reference))

    @property
    def one_for_the_other(self) -> bool:
        """Whether one level rose by about as much as the other fell, while the other levels hardly moved."""
        both = (self.since, self.reference)
        return all(is_even_swap(each) and each.rest <= OTHERS for each in both) and self.reference.p_value <= LIKELY


def is_even_swap(of: LevelSwap) -> bool:
    """Whether the two changes are one swap. They are not if one level moved alone and all other levels compensated for it."""
    smaller, larger = of.changes
    return smaller >= (of.diluted + EVEN * (1 - of.diluted)) * larger


def seen_swaps(moved: ColumnDrift) -> list[Seen]:
    """Return the swap in each window; empty for numbers, and for a category in which no level fell or none rose."""
    found = []
    for look in moved.windows:
        if look.levels is None:
            continue
        since = find_level_swap(look.past_levels or look.levels)
        reference = find_level_swap(look.levels, (since.fell, since.rose)) if since else None
        if since and reference:
            found.append(Seen(look, since, reference))
        if look.whole and look.past_levels and (long_since := find_level_swap(look.levels)):
            found.append(Seen(look, long_since, long_since, standing=True))
    return found


def swap_p_values(looks: list[Seen]) -> list[float]:
    """Return the p-value of each window."""
    return [each.since.p_value for each in looks]


def swap_claims(moved: ColumnDrift, looks: list[Seen], adjusted: list[float], context: Context) -> list[Finding]:
    """Return the finding about the most informative window; empty if no two levels were swapped.

    If none were swapped, the PSI alone describes the column. adjusted: p-values, adjusted for all windows of the run.
    """
    order = ("act", "watch", "ok").index
    judged = []
    for each, p in zip(looks, adjusted, strict=True):
        severity, when = swap_severity(each, p, context), None
        if severity != "ok" and not each.standing:
            when = drift_onset(moved, each.look, context.window.start, swap_weights(moved, each))
        if severity == "act" and not each.matters and (when is None or when.known != "dated"):
            severity = "watch"
        judged.append((each, p, severity, when))
    judged.sort(key=lambda each: (order(each[2]), each[0].standing, not each[0].look.whole, -each[0].moved))
    return [swap_finding(moved, *judged[0], context)] if judged and judged[0][2] != "ok" else []


def swap_weights(moved: ColumnDrift, of: Seen) -> Floats:
    """Return weights for the groups, with which the weighted sum of shares is the share of the level that rose minus the share of the level
    that fell.
    """
    weights = np.zeros(int(moved.axis.group.max()) + 1)
    weights[of.reference.rose], weights[of.reference.fell] = 1.0, -1.0
    return weights


def swap_severity(of: Seen, adjusted: float, context: Context) -> Severity:
    """Return the severity of a swap. It must be significant and large enough, and one level must replace the other. How long the swap has
    lasted does not matter.
    """
    watch, act = swap_limits(context)
    beyond = of.one_for_the_other and of.moved >= watch
    return significant_severity(beyond, of.moved >= act, adjusted, context.budget)


def swap_limits(context: Context) -> tuple[float, float]:
    """Return the shares from which a swap is `watch` and `act`."""
    return stated_limits(context.model.settings, f"{NAME}/{METRIC}", WATCH, ACT)


def swap_finding(moved: ColumnDrift, of: Seen, adjusted: float, how_bad: Severity, when: OnsetEstimate | None, context: Context) -> Finding:
    """Return the finding about two levels that were swapped. when: the onset; None if the swap is ongoing.

    The interval is that of the level whose share changed less since the reference.
    """
    look, now = of.look, of.reference
    fell, rose = swapped_levels(moved, now)
    limit = swap_limits(context)[how_bad == "act"]
    # twice the limit: the loss of one level and the gain of the other
    stands = drift_standing(moved, look, 2 * limit, swap_weights(moved, of)) if of.standing else {}
    before, after = min(zip(now.before, now.now, strict=True), key=lambda each: abs(each[1] - each[0]))
    around = rate_interval(after * look.after.n, look.after.n)
    ends = [abs((after if each is None else each) - before) for each in (around.low, around.high)]
    share = context.model.settings.importance.get(moved.name)
    return replace(
        context.undecided(NAME, moved.name, METRIC, look.after.rows, swap_sentence(moved, of)),
        value=now.changes[0],
        low=min(*ends, now.changes[0]),
        high=max(*ends, now.changes[0]),
        limit=limit,
        severity=how_bad,
        likely_source="input",
        onset=when.at if when else None,
        rank=min(of.moved / ACT, 5.0) * (0.1 if of.standing else 1.0) * (1.0 if share is None else share),
        evidence={
            "column": moved.reference,
            "levels": [fell, rose],
            "share_reference": list(now.before),
            "share": list(now.now),
            "rest": now.rest,
            "share_past": list(of.since.before) if of.news else None,
            "p_value": of.since.p_value,
            "p_adjusted": adjusted,
            "standing": of.standing,
            "days": look.days,
            **(when.evidence if when else stands),
        },
    )


def swapped_levels(moved: ColumnDrift, of: LevelSwap) -> tuple[str, str]:
    """Return the level whose share fell and the level whose share rose."""
    return moved.axis.common[of.fell], moved.axis.common[of.rose]


def swap_sentence(moved: ColumnDrift, of: Seen) -> str:
    """Return the finding's sentence: the two levels, their shares, and the window."""
    look, now = of.look, of.reference
    (fell, rose), (down, up) = swapped_levels(moved, now), zip(now.before, now.now, strict=True)
    when = window_phrase(look.days, whole=look.whole)
    since = ", as in the past four weeks" if of.standing else ""
    cause = "recoding or population change" if of.standing else "recoding"
    return (
        f"`{moved.name}`: `{fell}` fell, `{rose}` rose{when}{since}: `{fell}` {share_change(*down)} and `{rose}` {share_change(*up)} "
        f"since the reference, other levels moved little, over {look.after.rows:,} predictions; possible {cause}."
    )


def share_change(before: float, now: float) -> str:
    """Return two shares as text, such as `4.9 to 3.1 %`."""
    return f"{100 * before:.1f} to {100 * now:.1f} %"
