"""Drift of the logged calls of a language model, without a reference: questions and answers are compared with those of the eight weeks
before.

A column has moved if its PSI is large, significant, and a multiple of the largest PSI of any earlier week against the other earlier weeks.
If there are many weeks, a numeric column is compared with the average difference between its weeks instead. If its own weeks vary less than
those of all numeric columns, the mean of both averages counts. The newest two weeks are left out of the baseline if they already show the
same change. Numbers are compared in deciles of the earlier calls, categories by their frequent levels, free texts by their length. Columns
about answers include only calls that were answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.formatting import plural
from observability.core.json_values import stored_json
from observability.core.numerals import format_figure, percent
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.detection.change import Limits, WindowChange, at_least
from observability.detection.histogram_distance import MINIMUM_ROWS, interval_around, psi_rows_needed
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.stats.arrays import Array, Floats, Integers
from observability.stats.distance import occupied_bins, psi, psi_by_row, psi_null_quantile, psi_p_value

if TYPE_CHECKING:
    from pandas import DataFrame, Series

WEEK = 7
"""Number of days in a week."""
MIN_WEEKS, SURE_WEEKS = 2, 3
"""A comparison needs at least the first number of earlier weeks with MINIMUM_ROWS calls; a critical finding needs the second number."""
MOVED: Limits = (0.2, 0.4)
"""PSI from which a column is `watch` and `act`. It corresponds to a share that rises from 20 % to 40 %, or from 20 % to 50 %."""
PAST_DAYS = 8 * WEEK
"""The window is compared with this many days before it. Of eight weeks, the most unusual one shows how much weeks vary; four weeks are
often too few for that.
"""
BEYOND, NUMBERS_BEYOND = (4.0, 8.0), (4.0, 12.0)
"""Limits for `watch` and `act` when there are few weeks, as multiples of the PSI of the most unusual earlier week: first for a category,
then for a number. All numeric columns of a model's calls share the most unusual week, because a single column may have been calm in all
weeks by chance. When there are many weeks, a numeric column is compared with their average instead.
"""
MANY_WEEKS, AFTER_MANY = 6, 0.8
"""From this number of baseline weeks on, the limits of BEYOND are multiplied by this factor, because the most unusual of many weeks is
larger.
"""
CALM = (0.99, 0.9998)
"""When there are many weeks: the share of unchanged weeks in which all numeric columns of a model stay below the limits for `watch`, and
for `act`.
"""
MOST_RAISED = 4.0
"""For a column that varies little, the mean variation of all columns counts too, up to this multiple of the column's own variation. This
way one changed column does not hide the others.
"""
MAX_LEFT_OUT = 2
"""At most this many of the newest earlier weeks are left out of the baseline because they already show a change; a longer change counts as
usual.
"""
ALIKE = 1.5
"""A change counts as worse if it is at least this many times as large as in the week before."""
MAX_BINS, MAX_LEVELS, RARE = 10, 20, 0.01
"""Maximum number of bins of a number; maximum number of levels that are kept apart; levels with a smaller share of the earlier calls are
merged into "other values".
"""
CLEAN = 0.999
"""Share of unchanged weeks that chance alone does not remove from the baseline."""
MIN_A_DAY = 5
"""Only days with at least this many calls are used to date a change."""
FREQUENT_LEVELS_SHARE = 0.5
"""A category counts as free text if its most frequent levels hold less than this share of the calls."""
SMALLEST = 1e-4
"""Smaller shares are raised to this value, as in the computation of the PSI."""
MISSING, OTHERS, LENGTH = "missing", "other values", "length of "
ANSWER, REFUSED = "answer", "refused"
"""The names of the two columns about the answer in a record: its text or kind (`prediction`), and whether it refuses."""
OF_ANSWERS = ("output", "answer", "response", "completion", "finish", "refus")
"""A column whose name starts with one of these words is about answers."""


@dataclass(frozen=True, kw_only=True)
class CallDrift(WindowChange):
    """The drift of one column. effect: its PSI, in nats; varies: the PSI of the most unusual earlier week against the other earlier weeks.

    extra: by how much the mean PSI of the earlier weeks exceeds sampling noise; chance: the PSI of the window to expect from sampling
    noise. before, now: the mean of a number; for other columns the share of `level`, which is the level that adds most to the PSI. counts:
    by bin, in the baseline and in the window. number: whether the column is compared in deciles; weeks: number of weeks in the baseline.
    last_week: the PSI of the newest earlier week against the baseline. since: the onset of the change, if the days show it.
    """

    column: str
    extra: float
    chance: float
    before: float
    now: float
    level: str | None
    counts: tuple[Integers, Integers]
    number: bool
    weeks: int
    last_week: float
    since: OnsetEstimate

    @property
    def calls(self) -> int:
        """The number of calls in the window."""
        return int(self.counts[1].sum())

    @property
    def earlier_calls(self) -> int:
        """The number of calls in the earlier weeks."""
        return int(self.counts[0].sum())

    @property
    def bins(self) -> int:
        """The number of bins that hold calls."""
        return occupied_bins(*self.counts)

    @property
    def of_answers(self) -> bool:
        """Whether the column is a column of answers."""
        return is_of_answers(self.column)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the PSI."""
        before, now = (each.astype(np.float64) for each in self.counts)
        return interval_around(self.effect, self.bins, (before, now), (before.sum(), now.sum()))

    @property
    def needed(self) -> float:
        """The number of calls in the window above which sampling noise stays below the limit."""
        return psi_rows_needed(self.bins, self.earlier_calls, min(MOVED[0], self.limits[0]))

    @property
    def earlier_effect(self) -> float | None:
        """The PSI of the week before. If it differs from the window's PSI by less than the factor ALIKE, the window's PSI."""
        return self.effect if self.last_week / ALIKE <= self.effect <= self.last_week * ALIKE else self.last_week

    @property
    def words(self) -> str:
        """The change in words: of the mean of a number, or of the share of the level that adds most to the PSI."""
        if self.level is None:
            return f"mean {format_figure(self.before, 3)} → {format_figure(self.now, 3)}"
        return f"`{self.level}` {percent(self.before)} → {percent(self.now)}"


def is_of_answers(column: str) -> bool:
    """Whether a column is about answers, judged by its name."""
    return column.removeprefix(LENGTH).startswith(OF_ANSWERS)


def call_columns(calls: "DataFrame", features: Sequence[str]) -> "dict[str, DataFrame]":
    """The compared columns of calls, by name: the features, the answer, and whether it refuses. Columns about answers contain only answered
    calls.

    calls: as a Sample returns them, with `status`, `prediction`, `extra` and `week`. Each returned frame has the columns `value`, `at` and
    `week`. A feature named `answer` or `refused` replaces the field of the record.
    """
    stated = {ANSWER: calls["prediction"], REFUSED: calls["extra"].map(_refusal).astype(object)}
    stated |= {reference.removeprefix("feature."): calls[reference] for reference in features}
    answered = calls["status"] == "ok"
    return {name: calls[["at", "week"]].assign(value=values)[answered | (not is_of_answers(name))] for name, values in stated.items()}


def _refusal(extra: Any) -> str | None:
    """Whether the answer refuses, according to the further fields of a record (JSON text), as text; None if they do not say it."""
    if not isinstance(extra, str) or f'"{REFUSED}"' not in extra:
        return None
    stated = stored_json(extra).get(REFUSED)
    return str(stated).lower() if isinstance(stated, bool) else None


@dataclass(frozen=True)
class ComparedCalls:
    """The calls of a window, and those of the earlier weeks that have enough calls. `week`: the number of the week of an earlier call, 0
    for the newest week.

    missing: the reason why the calls cannot be compared; empty if they can.
    """

    now: "DataFrame"
    before: "DataFrame"
    missing: str = ""


def compared_calls(now: "DataFrame", past: "DataFrame", window: Window) -> ComparedCalls:
    """The two sides of a comparison. A window shorter than a week is compared with the same hours of the earlier weeks only."""
    start: Any = np.datetime64(naive_utc(window.start), "us")
    age = (start - past["at"].to_numpy("datetime64[us]")) / np.timedelta64(1, "W")
    earlier = age > 0
    if window.days < WEEK:
        earlier &= np.isin(_hour_of_week(past["at"]), _hour_of_week(now["at"]))
    past, week = past[earlier], age[earlier].astype(np.int64)
    sizes = np.bincount(week, minlength=1)
    kept = np.flatnonzero(sizes >= MINIMUM_ROWS)
    missing = ""
    if len(now) < MINIMUM_ROWS:
        missing = f"{plural(len(now), 'call')} in this window; that needs about {MINIMUM_ROWS - len(now):,} more"
    elif len(kept) < MIN_WEEKS:
        needs = plural(MIN_WEEKS - len(kept), "more such week")
        missing = f"{MINIMUM_ROWS} calls or more were made in {len(kept)} of the eight weeks before; that needs about {needs}"
    return ComparedCalls(now.assign(week=0), past.assign(week=week)[np.isin(week, kept)], missing)


def _hour_of_week(at: "Series") -> Integers:
    """The hour of the week of each instant, counted from Thursday."""
    return np.asarray(at.to_numpy("datetime64[h]").astype(np.int64) % (24 * WEEK))


def call_drifts(calls: ComparedCalls, features: Sequence[str], window: Window, stated: Limits) -> list[CallDrift]:
    """The drift of each column that both sides hold, the largest PSI first; empty if the sides cannot be compared.

    features: references of the columns. stated: the PSI from which a column is `watch` and `act`, before its own variation is considered.
    """
    if calls.missing:
        return []
    now, before = (call_columns(each, features) for each in (calls.now, calls.before))
    found = [_column_drift(name, now[name], values, window, stated) for name, values in before.items()]
    known = [each for each in found if each is not None]
    numbers = [each for each in known if each.number and each.varies > 0]
    limited = [replace(each, limits=_limits_of(each, numbers, stated)) for each in known]
    return sorted(limited, key=lambda each: (-each.effect, each.column))


def factors_beyond(weeks: int, number: bool) -> Limits:
    """Limits for watch and act, as multiples of the PSI of the most unusual earlier week. weeks: number of earlier weeks."""
    watch, act = NUMBERS_BEYOND if number else BEYOND
    part = AFTER_MANY if weeks >= MANY_WEEKS else 1.0
    return part * watch, part * act


def _limits_of(drift: CallDrift, numbers: Sequence[CallDrift], stated: Limits) -> Limits:
    """The PSI from which a column is `watch` and `act`. numbers: the model's numeric columns that vary between weeks."""
    if drift.number and drift.weeks >= MANY_WEEKS:
        beyond = _beyond_usual_weeks(drift, [each.extra for each in numbers])
    else:
        varies = max((each.varies for each in numbers), default=0.0) if drift.number else drift.varies
        watch, act = factors_beyond(drift.weeks, drift.number)
        beyond = watch * varies, act * varies
    watch, act = at_least(stated, *beyond)
    return watch, act if drift.weeks >= SURE_WEEKS else np.inf


def _beyond_usual_weeks(drift: CallDrift, extras: Sequence[float]) -> Limits:
    """The limits for the PSI of a numeric column, chosen so that the shares CALM of unchanged weeks stay below them. extras: `extra` of the
    numeric columns that vary.

    The PSI of a shift grows with the square of the shift, so the PSI beyond chance is distributed like the square of Student's t. If a
    column's weeks vary less than the average of all columns, its variance is the mean of its own and that average; the degrees of freedom
    follow Satterthwaite (1946). Otherwise only its own variance counts, so columns that never move do not lower the limits of others. The
    shares hold for all columns together (Bonferroni).
    """
    from scipy.special import stdtrit

    own, others, freedom = drift.extra, min(float(np.mean(extras or [0.0])), MOST_RAISED * drift.extra), drift.weeks - 1.0
    if others > own > 0:
        own, freedom = (own + others) / 2, freedom * (own + others) ** 2 / (own**2 + others**2)
    along = drift.chance / max(drift.bins - 1, 1)  # the part of the noise that lies in the direction of a shift
    tails = ((1 - share) / max(len(extras), 1) for share in CALM)
    watch, act = (drift.chance - along + float(stdtrit(freedom, 1 - tail / 2)) ** 2 * (own + along) for tail in tails)
    return watch, act


def _column_drift(name: str, now: "DataFrame", before: "DataFrame", window: Window, stated: Limits) -> CallDrift | None:
    """The drift of one column, with the stated limits. None if the window has no calls, if there are fewer than MIN_WEEKS earlier weeks, or
    if no value is known.
    """
    weeks, week = np.unique(before["week"], return_inverse=True)
    if len(weeks) < MIN_WEEKS or now.empty or not (now["value"].notna().any() or before["value"].notna().any()):
        return None
    column = _coded_column(name, now["value"], before["value"])
    codes = 1 + max(int(each.max()) for each in (column.now, column.before))
    counts = np.bincount(week * codes + column.before, minlength=len(weeks) * codes).reshape(len(weeks), codes)
    current = np.bincount(column.now, minlength=codes)
    out = changed_weeks(counts, current, stated, column.number)
    base = counts[out:]
    total = base.sum(axis=0)
    p, q = (np.maximum(each / each.sum(), SMALLEST) for each in (total, current))
    effect, by_week, bins = psi(total, current), psi_by_row(total - base, base), occupied_bins(total, current)
    by_chance = _psi_by_chance(base, total - base, bins)
    most = int(((q - p) * np.log(q / p)).argmax())
    level = column.levels[most] or None
    if level is None:
        figures = [_mean_of(each) for each in (column.numbers_before[week >= out], column.numbers_now)]
    else:
        figures = [float(each[most] / each.sum()) for each in (total, current)]
    days = np.concatenate([each["at"].dt.floor("D") for each in (before, now)])
    likelier = np.log(q / p)[np.concatenate([column.before, column.now])]
    return CallDrift(
        days=window.days,
        whole=True,
        effect=effect,
        p_value=psi_p_value(effect, float(total.sum()), float(current.sum()), bins),
        limits=stated,
        varies=float(by_week.max()),
        column=column.name,
        extra=max(float((by_week - by_chance).mean()), 0.0),
        chance=float(_psi_by_chance(current, total, bins)),
        before=figures[0],
        now=figures[1],
        level=level,
        counts=(total, current),
        number=column.number,
        weeks=len(base),
        last_week=psi(total if out else total - counts[0], counts[0]),
        since=_onset(days, likelier, window),
    )


def _psi_by_chance(now: Integers, before: Integers, bins: int) -> Floats:
    """The mean PSI to expect if nothing changed: (bins − 1) × (1/n + 1/m). now, before: counts, (…, bins)."""
    return np.asarray((bins - 1) * (1 / np.maximum(now.sum(axis=-1), 1) + 1 / np.maximum(before.sum(axis=-1), 1)))


def changed_weeks(counts: Integers, current: Integers, stated: Limits, number: bool) -> int:
    """The number of the newest earlier weeks to leave out of the baseline. It is at most two; the two oldest weeks are always kept.

    Weeks are left out if, compared with the older weeks, their change is critical by the stated limit and larger than the older weeks vary.
    In addition, the window must be like the weeks left out (the change lasts) or like the older weeks again. counts: weeks × bins, newest
    week first; current: the counts of the window.
    """
    for out in range(min(len(counts) - MIN_WEEKS, MAX_LEFT_OUT), 0, -1):
        newer, older = counts[:out], counts[out:]
        rest = older.sum(axis=0)
        chance = max(psi_null_quantile(float(rest.sum()), float(week.sum()), occupied_bins(rest, week), CLEAN) for week in newer)
        usual = factors_beyond(len(older), number)[0] * float(psi_by_row(rest - older, older).max())
        limit, distance = max(stated[1], chance, usual), psi(rest, current)
        back, lasts = distance < stated[0], psi(newer.sum(axis=0), current) < distance / 2
        if (back or lasts) and min(psi(rest, week) for week in newer) >= limit:
            return out
    return 0


def _onset(days: Array, evidence: Floats, window: Window) -> OnsetEstimate:
    """The estimated time since which calls have been distributed like the calls of the window. evidence: for each call, the log of how much
    likelier it is in the window than in the baseline.
    """
    known, place, calls = np.unique(days, return_inverse=True, return_counts=True)
    mean = np.bincount(place, evidence) / calls
    error = np.sqrt(np.maximum(np.bincount(place, evidence**2) / calls - mean**2, 1e-6) / calls)
    enough = calls >= MIN_A_DAY
    return estimate_onset(known[enough].astype("datetime64[D]"), mean[enough], error[enough], start=window.start, worse=1)


@dataclass(frozen=True)
class _CodedColumn:
    """A column as codes of its bins. levels: the name of each bin; for a number, only the bin of missing values has a name. numbers_now,
    numbers_before: empty for a category.
    """

    name: str
    now: Integers
    before: Integers
    levels: tuple[str, ...]
    numbers_now: Floats = field(default_factory=lambda: np.empty(0))
    numbers_before: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def number(self) -> bool:
        """Whether the column is a number or the length of a text."""
        return self.numbers_before.size > 0


def _coded_column(name: str, now: "Series", before: "Series") -> _CodedColumn:
    """A column in bins that are made from the earlier calls: a number in deciles, a free text by its length, anything else by its frequent
    levels.
    """
    if _is_number(before):
        return _coded_numbers(name, now, before)
    if before.value_counts(normalize=True).head(MAX_LEVELS).sum() < FREQUENT_LEVELS_SHARE:
        return _coded_numbers(f"{LENGTH}{name}", now.map(_length), before.map(_length))
    sides = [each.astype(object).where(each.notna(), MISSING).astype(str) for each in (now, before)]
    shares = sides[1].value_counts(normalize=True).sort_index().sort_values(ascending=False, kind="stable")
    levels = [str(each) for each in shares.index[(shares >= RARE).to_numpy()][:MAX_LEVELS]]
    places = {level: place for place, level in enumerate(levels)}
    codes: list[Integers] = [np.asarray(each.map(places).fillna(len(levels)), np.int64) for each in sides]
    return _CodedColumn(name, codes[0], codes[1], (*levels, OTHERS))


def _is_number(values: "Series") -> bool:
    """Whether every known value is a number."""
    known = values.dropna()
    return values.dtype.kind in "fiu" or all(isinstance(each, int | float | np.number) and not isinstance(each, bool) for each in known)


def _length(value: Any) -> float:
    """Characters of a text; NaN if it is missing."""
    return float(len(value)) if isinstance(value, str) else np.nan


def _coded_numbers(name: str, now: "Series", before: "Series") -> _CodedColumn:
    """Numbers in bins between quantiles of the earlier calls; the last bin holds missing values."""
    sides = [np.asarray(each.astype(np.float64)) for each in (now, before)]
    known = sides[1][np.isfinite(sides[1])]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, MAX_BINS + 1)[1:-1])) if known.size else np.empty(0)
    if edges.size and edges[-1] == known.max():
        edges = np.append(edges, np.nextafter(edges[-1], np.inf))  # a value above all earlier values gets its own bin
    codes: list[Integers] = [
        np.where(np.isfinite(each), np.searchsorted(edges, each, side="right"), len(edges) + 1).astype(np.int64) for each in sides
    ]
    return _CodedColumn(name, codes[0], codes[1], (*("" for _ in range(len(edges) + 1)), MISSING), sides[0], sides[1])


def _mean_of(values: Floats) -> float:
    """The mean of the known numbers; 0 if none is known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0
