"""Do predictions arrive as they used to: how many, and without gaps?

Claims are about every version of the model at once, since a new version takes over the traffic of the old. Nothing is claimed before the model
has two weeks of past, so a model's first records never alarm.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, iso
from observability.core.window import HOUR
from observability.detection.hourly_volume import DAY, MINIMUM_DAYS, Hours, expected, spread
from observability.detection.significant_claims import DAYS_KEPT, NAME, PAST_DAYS, Claim, blank, limits, percent, plural
from observability.stats.change import poisson_or_overdispersed_test

FEWER_WATCH, FEWER_ACT, FEWER_ACT_DAY, MORE = 0.25, 0.4, 0.6, 0.5
"""A quarter fewer than expected is worth a look. Two fifths of a longer window, or three fifths of a day, which is more than a public holiday takes
away, need somebody. More traffic is no fault by itself: half as much again is worth a look. `limits` of the settings override the share that
needs somebody (`data/quality/volume`)."""
MINIMUM_EXPECTED = 30
"""Where fewer predictions were expected in all, nothing is said about their number."""
SILENT_WATCH, SILENT_ACT, STOPPED_ACT = 3.0, 12.0, 6.0
"""Hours without a prediction although some were expected: three are worth a look, twelve need somebody, six where it has not come back."""
LONGER_THAN_PAST = 1.5
"""A gap must be this many times less likely, in the logarithm of its chance, than the least likely one of the past."""
HOURS_KEPT = 31 * DAY


@dataclass(frozen=True)
class Gap:
    """Hours without predictions: from place `first`, `hours` of them, ends at which nothing was ever expected left out.

    missed: predictions that were expected in it. surprise: minus the logarithm of its chance.
    """

    first: int
    hours: int
    missed: float
    surprise: float


@dataclass(frozen=True)
class Block:
    """A stretch of the window: what came and what was expected, and the words for it."""

    observed: float
    expected: float
    hours: int
    said: str


def arrival_claims(hours: Hours, context: Context) -> tuple[list[Claim], list[Finding]]:
    """Claims about volume, silence and freshness; and the finding that stands for all of them where they cannot be judged."""
    if hours.rows == 0:
        return [], [about(context, "volume", 0, f"There are no predictions in this window or in the {PAST_DAYS} days before it.")]
    level = stated_freshness(hours, context)
    if hours.past_days < MINIMUM_DAYS:
        more = max(round(MINIMUM_DAYS - hours.past_days), 1)
        because = (
            f"Volume and silence cannot be judged yet: they need two weeks of past before the window, and there are {hours.past_days:.1f} days; "
            f"that needs about {plural(more, 'more day')}."
        )
        return level, [about(context, "volume", int(hours.window.sum()) + hours.later, because)]
    if hours.window.size == 0:
        because = "Volume and silence cannot be judged: this window holds no whole hour that is over, it needs about 1 more hour."
        return level, [about(context, "volume", hours.later, because)]
    usual = expected(hours)
    gaps = silence_claims(hours, usual, context)
    return [*volume_claims(hours, usual, context), *(level + gaps[:1] if level else gaps)], []


def about(context: Context, metric: str, n: int, because: str) -> Finding:
    """A finding about the whole model against its own past."""
    return blank(context, "model", metric, n, because, against="past", whole_model=True)


def volume_claims(hours: Hours, usual: NDArray[np.float64], context: Context) -> list[Claim]:
    """The window's total, and its last day, against what was expected.

    Both are held against how far single days of the past were from what was expected of them. For a longer window that is cautious, as days
    partly cancel out; but it holds when they do not.
    """
    length = hours.window.size
    blocks = [Block(float(hours.window.sum()), float(usual[hours.begin :].sum()), length, in_window(length, context))]
    if length >= 2 * DAY and usual[-DAY:].sum() >= MINIMUM_EXPECTED:
        blocks.append(Block(float(hours.counts[-DAY:].sum()), float(usual[-DAY:].sum()), DAY, "in the last 24 hours"))
    past = ratios(hours, usual, min(length, DAY))
    evidence = {"by_day": by_day(hours, usual), "by_hour": by_hour(hours, usual)}
    return [volume_claim(each, past, hours, usual, evidence, context) for each in blocks]


def in_window(length: int, context: Context) -> str:
    """Where the total was counted."""
    whole = context.window.on_grain(HOUR) and context.now >= context.window.end
    return "in this window" if whole else f"in the {plural(length, 'whole hour')} of this window"


def ratios(hours: Hours, usual: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Of each day of the past, on the clock hours of the window's end, what came as a share of what was expected."""
    end = hours.size - DAY * -((hours.begin - hours.size) // DAY)
    found = []
    while end - length >= 0:
        if (wanted := usual[end - length : end].sum()) > 0:
            found.append(hours.counts[end - length : end].sum() / wanted)
        end -= DAY
    return np.asarray(found, np.float64)


def volume_claim(
    block: Block, past: NDArray[np.float64], hours: Hours, usual: NDArray[np.float64], evidence: dict[str, Any], context: Context
) -> Claim:
    """How many came in one stretch."""
    fewer = limits(context, "volume", FEWER_WATCH, FEWER_ACT if block.hours > DAY else FEWER_ACT_DAY)
    around = tuple(((1 - each) * block.expected, (1 + MORE) * block.expected) for each in fewer)
    base = replace(about(context, "volume", int(block.observed), ""), value=block.observed, low=block.observed, high=block.observed)
    base = replace(base, evidence={"expected": block.expected} | evidence)
    if block.expected < MINIMUM_EXPECTED or past.size < MINIMUM_DAYS // 2:
        because = (
            f"{plural(block.observed, 'prediction')} came {block.said}; about {block.expected:.0f} were expected, too few to judge by: that needs "
            f"about {MINIMUM_EXPECTED} or a longer window."
        )
        return Claim(replace(base, because=because), float("nan"), (around[0], around[1]))
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
        because=f"{plural(block.observed, 'prediction')} came {block.said}, {difference(ratio)} the {block.expected:,.0f} expected at these hours of the week.",
    )
    return Claim(finding, 1.0 if test.p_value is None else test.p_value, (around[0], around[1]))


def difference(ratio: float) -> str:
    """How a total compares, up to the word that what was expected follows."""
    change = abs(ratio - 1)
    return "about" if change < 0.005 else f"{percent(change)} {'fewer' if ratio < 1 else 'more'} than"


def volume_onset(hours: Hours, usual: NDArray[np.float64], limit: float, *, less: bool) -> datetime | None:
    """The start of the first day of the unbroken run of days beyond the limit that reaches the end."""
    place, first = hours.size, None
    while place - DAY >= hours.begin and usual[place - DAY : place].sum() > 0:
        ratio = hours.counts[place - DAY : place].sum() / usual[place - DAY : place].sum()
        if ratio > 1 - limit if less else ratio < 1 + MORE:
            break
        place -= DAY
        first = hours.at(place)
    return first


def by_day(hours: Hours, usual: NDArray[np.float64]) -> list[list[Any]]:
    """[day, predictions, expected] of each day (UTC) of the window, whole hours only."""
    days = (hours.first + np.arange(hours.begin, hours.size)) // DAY
    return [
        [str(np.datetime64(int(day), "D")), int(hours.window[days == day].sum()), round(float(usual[hours.begin :][days == day].sum()), 1)]
        for day in np.unique(days)
    ][-DAYS_KEPT:]


def by_hour(hours: Hours, usual: NDArray[np.float64]) -> list[list[Any]]:
    """[hour, predictions, expected, low, high] of the window's last hours; low and high hold about 95 % of clean hours."""
    excess, weeks = spread(hours, usual), max(hours.past_days / 7, 2.0)
    reach = 1.96 * np.sqrt(usual * (1 + 1 / weeks) + excess * usual**2)
    first = max(hours.begin, hours.size - HOURS_KEPT)
    bounds = np.round([usual, np.maximum(usual - reach, 0.0), usual + reach], 2)[:, first:]
    counts = hours.counts[first:].astype(np.int64).tolist()
    return [[iso(hours.at(first + i)), *each] for i, each in enumerate(zip(counts, *bounds.tolist(), strict=True))]


def silence_claims(hours: Hours, usual: NDArray[np.float64], context: Context) -> list[Claim]:
    """The most surprising gap of the window, and how old the newest prediction is."""
    gaps = gaps_of(hours, usual)
    end = [each for each in gaps if each.first + each.hours > hours.begin]
    past = max((each.surprise for each in gaps if each.first + each.hours <= hours.begin), default=0.0)
    worst = max(end, key=lambda each: each.surprise, default=Gap(hours.size, 0, 0.0, 0.0))
    still = next((each for each in end if open_at_end(each, hours, usual)), None)
    return [silence(worst, worst is still, past, hours, usual, context), freshness(still, past, hours, usual, context)]


def gaps_of(hours: Hours, usual: NDArray[np.float64]) -> list[Gap]:
    """Every run of hours without predictions in which some were expected, in order.

    Its chance is that of a negative binomial in each hour, as far as the past varies more than chance: nights, at which nothing ever came, say
    nothing, and neither do single hours of a stream that comes in bursts. What was expected is itself known from k weeks only: the chance of none
    after S in them is (k / (k + 1))^S.
    """
    excess = spread(hours, usual)
    weeks = max(hours.past_days / 7, 2.0)
    surprise = (np.log1p(excess * usual) / excess if excess > 0 else usual) * weeks * np.log1p(1 / weeks)
    silent = np.concatenate([[False], hours.counts <= 0, [False]]).astype(np.int8)
    turns = np.flatnonzero(np.diff(silent))
    found = []
    for start, stop in turns.reshape(-1, 2):
        waited = np.flatnonzero(usual[start:stop] > 0)
        if waited.size:
            first, last = int(start + waited[0]), int(start + waited[-1]) + 1
            found.append(Gap(first, last - first, float(usual[first:last].sum()), float(surprise[first:last].sum())))
    return found


def open_at_end(gap: Gap, hours: Hours, usual: NDArray[np.float64]) -> bool:
    """Whether nothing has come since."""
    return bool(hours.later == 0 and hours.counts[gap.first :].sum() == 0 and usual[gap.first :].sum() > 0)


def judged(gap: Gap, stopped: bool, past: float, hours: Hours, at: tuple[float, float]) -> tuple[Severity, float]:
    """The severity of a gap by its length, where no gap of the past was nearly as unlikely; and its chance anywhere in the window."""
    if gap.surprise <= LONGER_THAN_PAST * past or gap.hours < at[0]:
        return "ok", 1.0
    act = at[1] * (STOPPED_ACT / SILENT_ACT if stopped else 1.0)
    return "act" if gap.hours >= act else "watch", float(min(max(hours.window.size, 1) * np.exp(-gap.surprise), 1.0))


def silence(gap: Gap, stopped: bool, past: float, hours: Hours, usual: NDArray[np.float64], context: Context) -> Claim:
    """The claim about the most surprising gap."""
    at = limits(context, "silence_hours", SILENT_WATCH, SILENT_ACT)
    severity, chance = judged(gap, stopped, past, hours, at)
    n, length = int(hours.window.sum()) + hours.later, float(gap.hours)
    base = replace(about(context, "silence_hours", n, ""), value=length, low=length, high=length, rank=8.0, likely_source="system")
    if usual[hours.begin :].sum() < MINIMUM_EXPECTED:
        because = (
            f"Silence cannot be told from a slow stream: {usual[hours.begin :].sum():.0f} predictions were expected in this window, "
            f"it needs about {MINIMUM_EXPECTED}."
        )
        return Claim(replace(base, because=because), float("nan"), at)
    if gap.missed < 1:
        return Claim(replace(base, severity="ok", because="No gap without predictions in which one or more were expected."), 1.0, at)
    since, until = hours.at(gap.first), hours.at(gap.first + gap.hours)
    said = f"No predictions for {plural(gap.hours, 'hour')} from {since:%Y-%m-%d %H:%M} UTC"
    ended = " on, up to now" if stopped else f" to {until:%Y-%m-%d %H:%M}"
    finding = replace(
        base,
        severity=severity,
        onset=max(since, hours.at(0)),
        because=f"{said}{ended}, in which about {gap.missed:,.0f} were expected.",
        evidence={"expected": gap.missed, "surprise": gap.surprise, "surprise_past": past, "from": iso(since), "to": iso(until)},
    )
    return Claim(finding, chance, (at[0], at[1] * STOPPED_ACT / SILENT_ACT if stopped else at[1]))


def freshness(still: Gap | None, past: float, hours: Hours, usual: NDArray[np.float64], context: Context) -> Claim:
    """How old the newest prediction is, and whether the model has stopped."""
    at = limits(context, "silence_hours", SILENT_WATCH, SILENT_ACT)
    severity, chance = judged(still, True, past, hours, at) if still else ("ok", 1.0)
    low, high = age(hours, context)
    base = replace(about(context, "freshness_hours", hours.rows, ""), value=low, low=low, high=high, rank=7.0, likely_source="system")
    if usual[hours.begin :].sum() < MINIMUM_EXPECTED:
        severity, chance = "ok", 1.0
    since = f"; about {still.missed:,.0f} were expected since" if still and severity != "ok" else ""
    onset = hours.at(still.first) if still else None
    because = f"The newest prediction is {older(low, high)} old{since}."
    return Claim(replace(base, severity=severity, because=because, onset=onset), chance, (at[0], at[1] * STOPPED_ACT / SILENT_ACT))


def stated_freshness(hours: Hours, context: Context) -> list[Claim]:
    """The claim against the owner's own limit of freshness, where one is stated: that needs no past."""
    limit = context.model.settings.limits.get(f"{NAME}/freshness_hours")
    if limit is None:
        return []
    low, high = age(hours, context)
    finding = replace(
        about(
            context, "freshness_hours", hours.rows, f"The newest prediction is {older(low, high)} old; at most {limit:g} hours are allowed."
        ),
        value=low,
        low=low,
        high=high,
        against="level",
        severity="act" if low > limit else "ok",
        likely_source="system",
        rank=7.0,
    )
    return [Claim(finding, float("nan"), (limit, limit))]


def age(hours: Hours, context: Context) -> tuple[float, float]:
    """Hours since the newest prediction, at least and at most: counts know it to the hour."""
    if hours.later:
        return 0.0, (min(context.window.end, context.now) - hours.at(hours.size)) / HOUR
    filled = np.flatnonzero(hours.counts > 0)
    newest = hours.at(int(filled[-1]) if filled.size else 0)
    high = (min(context.window.end, context.now) - newest) / HOUR
    return max(high - 1, 0.0), high


def older(low: float, high: float) -> str:
    """An age in words."""
    return "less than an hour" if high <= 1 else f"{low:.0f} to {high:.0f} hours" if high < 72 else f"about {high / DAY:.1f} days"
