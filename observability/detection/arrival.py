"""Check the arrival of predictions: volume, gaps and freshness.

The claims cover all versions of the model together, because a new version takes over the traffic of the old one. There is no claim about
volume and gaps before the model has two weeks of past, so that its first records raise no alarm.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import DAYS_DRAWN, Context
from observability.core.finding import Finding, Severity, iso
from observability.core.formatting import format_minute
from observability.core.window import HOUR
from observability.detection.hourly_volume import DAY, MINIMUM_DAYS, WEEK, Hours, expected_by_hour, overdispersion
from observability.detection.significant_claims import (
    NAME,
    PAST_DAYS,
    QualityClaim,
    quality_limits,
    quality_percent,
    rounded_count,
    undecided_quality,
)
from observability.stats.change import poisson_or_overdispersed_test

FEWER_WATCH, FEWER_ACT, FEWER_ACT_DAY, MORE = 0.25, 0.4, 0.6, 0.5
"""Relative deviations from the expected volume. A quarter fewer is `watch`. Two fifths fewer over more than a day, or three fifths fewer
over a day (more than a public holiday explains), are `act`. Half as many again is `watch`. The setting `data/quality/volume` overrides the
limit for `act`.
"""
MINIMUM_EXPECTED = 30
"""Volume is judged only if at least this many predictions are expected."""
SILENT_WATCH, SILENT_ACT, STOPPED_ACT = 3.0, 12.0, 6.0
"""Hours without predictions although some were expected: three are `watch`, twelve are `act`; six are `act` if the gap is still open."""
LONGER_THAN_PAST = 1.5
"""A gap is unusual only if its surprise (negative log-probability) is more than this factor times that of the least likely past gap."""
HOURS_KEPT = 31 * DAY
CHANCE = "That may be chance, given how past days differ: a decision needs a longer window."
"""Added to a sentence if volume or silence are beyond their limit but not significantly: what a verdict needs."""


@dataclass(frozen=True)
class Gap:
    """A gap of `hours` hours without predictions, starting at index `first`. Hours in which none were expected are cut off at both ends.

    missed: number of predictions expected in the gap. surprise: negative log-probability of the gap.
    """

    first: int
    hours: int
    missed: float
    surprise: float


@dataclass(frozen=True)
class Block:
    """A part of the window: its observed and expected number of predictions, its hours, and its description."""

    observed: float
    expected: float
    hours: int
    said: str


def arrival_claims(hours: Hours, context: Context) -> tuple[list[QualityClaim], list[Finding]]:
    """Return claims about volume, silence and freshness; and, if these cannot be judged, the findings that say so instead."""
    if hours.rows == 0:
        return [], [
            undecided_arrival(context, "volume", 0, f"There are no predictions in this window or in the {PAST_DAYS} days before it.")
        ]
    level = stated_freshness(hours, context)
    if hours.past_days < MINIMUM_DAYS:
        more = max(round(MINIMUM_DAYS - hours.past_days), 1)
        because = (
            "Volume and silence cannot be judged yet: they need two weeks of records before the window; there "
            f"{'is' if f'{hours.past_days:.1f}' == '1.0' else 'are'} {hours.past_days:.1f} days, "
            f"so about {rounded_count(more, 'more day')} {'is' if more == 1 else 'are'} needed."
        )
        return level, [undecided_arrival(context, "volume", int(hours.window.sum()) + hours.later, because)]
    if hours.window.size == 0:
        because = "Volume and silence cannot be judged: this window holds no completed hour; it needs about 1 more."
        return level, [undecided_arrival(context, "volume", hours.later, because)]
    usual = expected_by_hour(hours)
    gaps = silence_claims(hours, usual, context)
    return [*volume_claims(hours, usual, context), *(level + gaps[:1] if level else gaps)], []


def undecided_arrival(context: Context, metric: str, n: int, because: str) -> Finding:
    """Return a finding of severity `unknown` about the whole model; the comparison would be with its own past."""
    return undecided_quality(context, "model", metric, n, because, against="past", whole_model=True)


def volume_claims(hours: Hours, usual: NDArray[np.float64], context: Context) -> list[QualityClaim]:
    """Return claims about the total number of predictions in the window and in its last day, each compared with the expected total.

    The expected variation is that of single past days around their expectation. For a longer window this is conservative, because
    deviations of days partly cancel out.
    """
    length = hours.window.size
    blocks = [Block(float(hours.window.sum()), float(usual[hours.begin :].sum()), length, in_window(length, context))]
    if length >= 2 * DAY and usual[-DAY:].sum() >= MINIMUM_EXPECTED:
        blocks.append(Block(float(hours.counts[-DAY:].sum()), float(usual[-DAY:].sum()), DAY, "in the last 24 hours"))
    past = daily_volume_ratios(hours, usual, min(length, DAY))
    evidence = {"by_day": arrivals_by_day(hours, usual), "by_hour": by_hour(hours, usual)}
    return [volume_claim(each, past, hours, usual, evidence, context) for each in blocks]


def in_window(length: int, context: Context) -> str:
    """Return words that describe which hours were counted."""
    whole = context.window.on_grain(HOUR) and context.now >= context.window.end
    return "in this window" if whole else f"in the {rounded_count(length, 'whole hour')} of this window"


def daily_volume_ratios(hours: Hours, usual: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return, for each past day, observed divided by expected predictions. The days are aligned with the end of the window."""
    end = hours.size - DAY * -((hours.begin - hours.size) // DAY)
    found = []
    while end - length >= 0:
        if (wanted := usual[end - length : end].sum()) > 0:
            found.append(hours.counts[end - length : end].sum() / wanted)
        end -= DAY
    return np.asarray(found, np.float64)


def volume_claim(
    block: Block, past: NDArray[np.float64], hours: Hours, usual: NDArray[np.float64], evidence: dict[str, Any], context: Context
) -> QualityClaim:
    """Return the claim about the volume of one part of the window compared with the expected volume."""
    fewer = quality_limits(context, "volume", FEWER_WATCH, FEWER_ACT if block.hours > DAY else FEWER_ACT_DAY)
    around = tuple(((1 - each) * block.expected, (1 + MORE) * block.expected) for each in fewer)
    base = replace(
        undecided_arrival(context, "volume", int(block.observed), ""), value=block.observed, low=block.observed, high=block.observed
    )
    base = replace(base, evidence={"expected": block.expected} | evidence)
    if block.expected < MINIMUM_EXPECTED or past.size < MINIMUM_DAYS // 2:
        because = (
            f"{rounded_count(block.observed, 'prediction')} came {block.said}; about {block.expected:.0f} were expected, "
            "too few to judge by: that needs "
            f"about {MINIMUM_EXPECTED} or a longer window."
        )
        return QualityClaim(replace(base, because=because), float("nan"), (around[0], around[1]))
    scale = block.expected / max(block.hours / DAY, 1.0)
    ratio = block.observed / block.expected
    test = poisson_or_overdispersed_test(ratio * scale, past * scale)
    severity: Severity = "act" if ratio <= 1 - fewer[1] else "watch" if ratio <= 1 - fewer[0] or ratio >= 1 + MORE else "ok"
    finding = replace(
        base,
        low=min(block.observed, (test.low or 0.0) * block.expected),
        high=max(block.observed, (test.high or 0.0) * block.expected),
        severity=severity,
        likely_source="system",
        onset=volume_onset(hours, usual, fewer[0], less=ratio < 1),
        rank=5 + min(abs(1 - ratio), 2.0),
        because=f"{rounded_count(block.observed, 'prediction')} came {block.said}, {volume_difference(ratio)} the "
        f"{block.expected:,.0f} expected at these hours of the week.",
    )
    missing = CHANCE if block.hours == hours.window.size else ""
    return QualityClaim(finding, 1.0 if test.p_value is None else test.p_value, (around[0], around[1]), missing)


def volume_difference(ratio: float) -> str:
    """Return words that compare a total with its expectation; the expected number follows them in the sentence."""
    change = abs(ratio - 1)
    return "about" if change < 0.005 else f"{quality_percent(change)} {'fewer' if ratio < 1 else 'more'} than"


def volume_onset(hours: Hours, usual: NDArray[np.float64], limit: float, *, less: bool) -> datetime | None:
    """Return the start of the last unbroken run of days beyond the limit, up to the window's end."""
    place, first = hours.size, None
    while place - DAY >= hours.begin and usual[place - DAY : place].sum() > 0:
        ratio = hours.counts[place - DAY : place].sum() / usual[place - DAY : place].sum()
        if ratio > 1 - limit if less else ratio < 1 + MORE:
            break
        place -= DAY
        first = hours.at(place)
    return first


def arrivals_by_day(hours: Hours, usual: NDArray[np.float64]) -> list[list[Any]]:
    """Return [day, predictions, expected] of each day (UTC) of the window, whole hours only."""
    days = (hours.first + np.arange(hours.begin, hours.size)) // DAY
    return [
        [str(np.datetime64(int(day), "D")), int(hours.window[days == day].sum()), round(float(usual[hours.begin :][days == day].sum()), 1)]
        for day in np.unique(days)
    ][-DAYS_DRAWN:]


def by_hour(hours: Hours, usual: NDArray[np.float64]) -> list[list[Any]]:
    """Return [hour, predictions, expected, low, high] for the last hours of the window. About 95 % of normal hours lie between low and
    high.
    """
    excess, weeks = overdispersion(hours, usual), max(hours.past_days / 7, 2.0)
    reach = 1.96 * np.sqrt(usual * (1 + 1 / weeks) + excess * usual**2)
    first = max(hours.begin, hours.size - HOURS_KEPT)
    bounds = np.round([usual, np.maximum(usual - reach, 0.0), usual + reach], 2)[:, first:]
    counts = hours.counts[first:].astype(np.int64).tolist()
    return [[iso(hours.at(first + i)), *each] for i, each in enumerate(zip(counts, *bounds.tolist(), strict=True))]


def silence_claims(hours: Hours, usual: NDArray[np.float64], context: Context) -> list[QualityClaim]:
    """Return two claims: about the least likely gap in the window, and about the age of the newest prediction."""
    gaps = gaps_of(hours, usual)
    end = [each for each in gaps if each.first + each.hours > hours.begin]
    past = max((each.surprise for each in gaps if each.first + each.hours <= hours.begin), default=0.0)
    worst = max(end, key=lambda each: each.surprise, default=Gap(hours.size, 0, 0.0, 0.0))
    still = next((each for each in end if open_at_end(each, hours, usual)), None)
    return [silence_claim(worst, worst is still, past, hours, usual, context), freshness_claim(still, past, hours, usual, context)]


def gaps_of(hours: Hours, usual: NDArray[np.float64]) -> list[Gap]:
    """Return every run of hours without predictions in which some were expected, in order of time."""
    surprise = surprise_by_hour(hours, usual)
    silent = np.concatenate([[False], hours.counts <= 0, [False]]).astype(np.int8)
    turns = np.flatnonzero(np.diff(silent))
    found = []
    for start, stop in turns.reshape(-1, 2):
        waited = np.flatnonzero(usual[start:stop] > 0)
        if waited.size:
            first, last = int(start + waited[0]), int(start + waited[-1]) + 1
            found.append(Gap(first, last - first, float(usual[first:last].sum()), float(surprise[first:last].sum())))
    return found


def surprise_by_hour(hours: Hours, usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return, for each hour, the negative log-probability that no prediction arrives.

    The predictions of each hour have a negative binomial distribution with the overdispersion of the past. Therefore hours in which no
    prediction was ever seen, and single hours of a bursty stream, count for little. The expectations come from only k weeks: if the sum of
    the past is S, the probability of zero is (k / (k + 1))^S.
    """
    excess = overdispersion(hours, usual)
    weeks = max(hours.past_days / 7, 2.0)
    return np.asarray((np.log1p(excess * usual) / excess if excess > 0 else usual) * weeks * np.log1p(1 / weeks), np.float64)


def unusual_from(first: int, past: float, least: float, hours: Hours, usual: NDArray[np.float64]) -> float | None:
    """Return how many hours a gap that starts at index `first` must last to be less likely than past gaps; None if that is more than a
    month.

    least: the smallest number to return. Hours after the last known hour are assumed to be like the hours one week earlier.
    """
    known = surprise_by_hour(hours, usual)
    week = known[-WEEK:]
    later = np.tile(week, -(-HOURS_KEPT // week.size))
    from_here = np.concatenate([known[first:], later])[:HOURS_KEPT]
    reached = np.flatnonzero(np.cumsum(from_here) > LONGER_THAN_PAST * past)
    return max(float(reached[0]) + 1, least) if reached.size else None


def open_at_end(gap: Gap, hours: Hours, usual: NDArray[np.float64]) -> bool:
    """Return whether the gap is still open: no prediction has arrived since it started."""
    return bool(hours.later == 0 and hours.counts[gap.first :].sum() == 0 and usual[gap.first :].sum() > 0)


def volume_finding(gap: Gap, stopped: bool, past: float, hours: Hours, at: tuple[float, float]) -> tuple[Severity, float]:
    """Return the severity of a gap by its length, and the probability of such a gap in the window. The severity is `ok` if a past gap was
    nearly as unlikely.
    """
    if gap.surprise <= LONGER_THAN_PAST * past or gap.hours < at[0]:
        return "ok", 1.0
    act = at[1] * (STOPPED_ACT / SILENT_ACT if stopped else 1.0)
    return "act" if gap.hours >= act else "watch", float(min(max(hours.window.size, 1) * np.exp(-gap.surprise), 1.0))


def silence_claim(gap: Gap, stopped: bool, past: float, hours: Hours, usual: NDArray[np.float64], context: Context) -> QualityClaim:
    """Return the claim about the least likely gap of the window."""
    at = quality_limits(context, "silence_hours", SILENT_WATCH, SILENT_ACT)
    severity, chance = volume_finding(gap, stopped, past, hours, at)
    n, length = int(hours.window.sum()) + hours.later, float(gap.hours)
    base = replace(
        undecided_arrival(context, "silence_hours", n, ""), value=length, low=length, high=length, rank=8.0, likely_source="system"
    )
    if usual[hours.begin :].sum() < MINIMUM_EXPECTED:
        because = (
            f"Silence cannot be distinguished from low traffic: {usual[hours.begin :].sum():.0f} predictions were expected in this window, "
            f"it needs about {MINIMUM_EXPECTED}."
        )
        return QualityClaim(replace(base, because=because), float("nan"), at)
    since, until = hours.at(gap.first), hours.at(gap.first + gap.hours)
    if gap.hours:
        base = replace(base, evidence={"from": iso(since), "to": iso(until)})
    if gap.missed < 1:
        return QualityClaim(replace(base, severity="ok", because="No gap in which predictions were expected."), 1.0, at)
    said = f"No predictions for {rounded_count(gap.hours, 'hour')} from {since:%Y-%m-%d %H:%M} UTC"
    ended = " on, up to now" if stopped else f" to {until:%Y-%m-%d %H:%M}"
    limit: float | None = at[0]
    if severity == "ok":
        limit = unusual_from(gap.first, past, at[0], hours, usual)
        ended += usual_gap(limit)
    finding = replace(
        base,
        severity=severity,
        onset=max(since, hours.at(0)),
        because=f"{said}{ended}, in which about {gap.missed:,.0f} were expected.",
        evidence=base.evidence | {"expected": gap.missed, "surprise": gap.surprise, "surprise_past": past},
    )
    return QualityClaim(finding, chance, (limit, at[1] * STOPPED_ACT / SILENT_ACT if stopped else at[1]), CHANCE)


def usual_gap(from_hours: float | None) -> str:
    """Return a clause that states from how many hours on a gap would be unusual, judged by past gaps; empty if no length would be."""
    return "" if from_hours is None else f" (unusual from {rounded_count(from_hours, 'hour')} on)"


def freshness_claim(still: Gap | None, past: float, hours: Hours, usual: NDArray[np.float64], context: Context) -> QualityClaim:
    """Return the claim about the age of the newest prediction, and whether the model has stopped."""
    at = quality_limits(context, "silence_hours", SILENT_WATCH, SILENT_ACT)
    severity, chance = volume_finding(still, True, past, hours, at) if still else ("ok", 1.0)
    low, high = age_bounds(hours, context)
    base = replace(
        undecided_arrival(context, "freshness_hours", hours.rows, ""), value=low, low=low, high=high, rank=7.0, likely_source="system"
    )
    limit: float | None = at[0]
    if severity == "ok":
        limit = unusual_from(hours.size - int(low), past, at[0], hours, usual)
    if usual[hours.begin :].sum() < MINIMUM_EXPECTED:
        severity, chance, limit = "ok", 1.0, None
    since = f"; about {still.missed:,.0f} were expected since" if still and severity != "ok" else ""
    onset = hours.at(still.first) if still else None
    because = f"On {format_minute(context.now)} UTC the newest prediction was {arrival_age_words(low, high)} old{since}."
    finding = replace(base, severity=severity, because=because, onset=onset)
    return QualityClaim(finding, chance, (limit, at[1] * STOPPED_ACT / SILENT_ACT), CHANCE)


def stated_freshness(hours: Hours, context: Context) -> list[QualityClaim]:
    """Return the claim that compares freshness with the limit in the settings; empty without a limit. This comparison needs no past."""
    limit = context.model.settings.limits.get(f"{NAME}/freshness_hours")
    if limit is None:
        return []
    low, high = age_bounds(hours, context)
    finding = replace(
        undecided_arrival(
            context,
            "freshness_hours",
            hours.rows,
            f"The newest prediction is {arrival_age_words(low, high)} old; at most {limit:g} hours are allowed.",
        ),
        value=low,
        low=low,
        high=high,
        against="level",
        severity="act" if low > limit else "ok",
        likely_source="system",
        rank=7.0,
    )
    return [QualityClaim(finding, float("nan"), (limit, limit))]


def age_bounds(hours: Hours, context: Context) -> tuple[float, float]:
    """Return the minimum and maximum number of hours since the newest prediction; the counts only tell its hour."""
    if hours.later:
        return 0.0, (min(context.window.end, context.now) - hours.at(hours.size)) / HOUR
    filled = np.flatnonzero(hours.counts > 0)
    newest = hours.at(int(filled[-1]) if filled.size else 0)
    high = (min(context.window.end, context.now) - newest) / HOUR
    return max(high - 1, 0.0), high


def arrival_age_words(low: float, high: float) -> str:
    """Return an age in words."""
    return "less than an hour" if high <= 1 else f"{low:.0f} to {high:.0f} hours" if high < 72 else f"about {high / DAY:.1f} days"
