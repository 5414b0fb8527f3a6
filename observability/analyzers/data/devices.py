"""Check the devices that collect data: the column statistics of their batches, and their clocks.

Reads `stats` and `captured_to` of records of kind `batch`. A device's batches of the window are compared with its own batches of the twelve
weeks before, and with batches of other devices of its kind. Devices belong to no model, so the findings have no model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import SEVERITIES, Finding, Severity, needs_action
from observability.core.numerals import format_figure, hours_in_words, percent
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.detection import batch_statistics, device_kinds
from observability.detection.batch_statistics import (
    LIMITS,
    MEAN,
    MIN_DEVICES,
    MIN_ROWS,
    NULLS,
    OUTSIDE,
    SATURATED,
    SHARE_LIMITS,
    SKEW,
    SKEW_LIMITS,
    STD,
    STUCK,
    CaptureClock,
    JudgedDevice,
    StatisticComparison,
)
from observability.detection.device_comparisons import ComparisonTable
from observability.detection.own_history import MIN_PAST_VALUES
from observability.proofs.records import DEVICE_PROOFS
from observability.records.kinds import BATCH_STATISTICS
from observability.stats.arrays import Bools, Floats
from observability.stats.multiple_testing import ACT_SHARE, benjamini_hochberg

NAME = "data/devices"
PAST_DAYS = 84
BATCHES = Records("batch", ("batch", "at", "source", "rows", "device", "rejected_rows", "captured_to", "stats"), numbers=BATCH_STATISTICS)
METRICS = (MEAN, STD, NULLS, STUCK, SATURATED, OUTSIDE)
RANK = {STUCK: 3.0, STD: 2.8, OUTSIDE: 2.6, SATURATED: 2.4, MEAN: 2.2, NULLS: 2.0, SKEW: 1.8}
NOUNS = {
    MEAN: "mean",
    STD: "standard deviation",
    NULLS: "share of missing values",
    STUCK: "share of stuck values",
    SATURATED: "share of saturated values",
    OUTSIDE: "share of values out of range",
}
STEPS = {MEAN: "recalibrate", STD: "quarantine", NULLS: "quarantine", STUCK: "quarantine", SATURATED: "recalibrate", OUTSIDE: "quarantine"}
"""The proposed action about a device, by the metric of its finding."""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the batches of the window and of the twelve weeks before it."""
    return {"batches": Ask(BATCHES), "past batches": Ask(BATCHES, span="past", days=PAST_DAYS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return a finding for each unusual statistic and each wrong clock of a device, and for each source one finding per statistic that is
    usual.
    """
    if frames["batches"].empty:
        return []
    batches = batch_statistics.with_marks(frames["past batches"], frames["batches"])
    tables, devices = device_kinds.statistic_comparisons(batches)
    judged = judged_devices(tables, context.budget)
    clocks = list(batch_statistics.capture_clocks(batches))
    found: list[Finding] = []
    for source in sorted({*(each.source for each in devices), *(each.source for each in clocks)}):
        for metric in METRICS:
            found += about_statistic(source, [each for each in judged if (each.table.metric, each.source) == (metric, source)], context)
        found += about_clocks(source, [each for each in clocks if each.source == source], context)
        found += about_young_devices(source, [each for each in devices if each.source == source and not each.judged], context)
    return found


@dataclass(frozen=True)
class JudgedComparisons:
    """The comparisons of one statistic of one device (one row of a table). All arrays are by column. adjusted: p-values; watch, act: masks
    of the severity; unsure: mask of values that are beyond the limit and the natural range, but not significantly.
    """

    table: ComparisonTable
    row: int
    adjusted: Floats
    watch: Bools
    act: Bools
    unsure: Bools

    @property
    def source(self) -> str:
        """The source of the device."""
        return self.table.devices[self.row][0]

    @property
    def subject(self) -> str:
        """The subject of the findings about this device."""
        return batch_statistics.device_subject(*self.table.devices[self.row])

    @property
    def compared(self) -> int:
        """Number of columns that were compared."""
        return int(np.isfinite(self.adjusted).sum())

    def severity(self, place: int) -> Severity:
        """The severity of a column that needs action."""
        return "act" if self.act[place] else "watch"

    def most_unusual(self) -> tuple[bool, float, str, str, str]:
        """Sort key: undecided comparisons first, then by p-value, then by column, source and device."""
        unsure = bool(self.unsure.any())
        p_values = self.table.p_values[self.row]
        place = int(np.nanargmin(np.where(self.unsure, p_values, np.nan) if unsure else p_values))
        source, device = self.table.devices[self.row]
        return not unsure, float(p_values[place]), self.table.columns[place], source, device or ""

    def at(self, column: str) -> tuple[StatisticComparison, float]:
        """The comparison of a column, and its adjusted p-value."""
        place = self.table.columns.index(column)
        return self.table.make(self.row, place), float(self.adjusted[place])


def judged_devices(tables: Sequence[ComparisonTable], budget: float) -> list[JudgedComparisons]:
    """Return the comparisons of every statistic of each device that has any. Their severities use p-values that are adjusted for all
    comparisons.
    """
    adjusted = benjamini_hochberg(np.concatenate([np.empty(0), *(each.p_values.ravel() for each in tables)]), budget)[0]
    found, start = [], 0
    for table in tables:
        own = adjusted[start : (start := start + table.p_values.size)].reshape(table.p_values.shape)
        watch = table.reaches(0) & (own <= budget)
        act = watch & table.reaches(1) & (own <= budget * ACT_SHARE)
        unsure = table.unusual & ~watch & np.isfinite(own)
        rows = np.flatnonzero(np.isfinite(own).any(1)).tolist()
        found += [JudgedComparisons(table, row, own[row], watch[row], act[row], unsure[row]) for row in rows]
    return found


def undecided_device(context: Context, subject: str, metric: str, n: int, because: str) -> Finding:
    """Return the finding of severity `unknown` about a source or a device, on which the other findings are based."""
    return replace(context.undecided(NAME, subject, metric, n, because, against="past"), model=None, version=None)


def about_statistic(source: str, judged: Sequence[JudgedComparisons], context: Context) -> Iterator[Finding]:
    """Yield the findings about one statistic: one per unusual device of the source; if there is none, one about the source."""
    if not judged:
        return
    subjects: dict[str, list[JudgedComparisons]] = {}
    for each in judged:
        subjects.setdefault(each.subject, []).append(each)
    bad = [subject for subject, own in subjects.items() if any(each.watch.any() for each in own)]
    for subject in bad:
        yield unusual_device(subjects[subject], context)
    usual = [each for subject, own in subjects.items() if subject not in bad for each in own]
    if not usual:
        return
    most = min(usual, key=JudgedComparisons.most_unusual)
    worst, p = most.at(most.most_unusual()[2])
    columns = {each.table.columns[place] for each in usual for place in np.flatnonzero(np.isfinite(each.adjusted)).tolist()}
    limit, beyond = _natural_limit(worst), bool(most.unsure.any())
    where = f"{count_of(len(columns), 'column')} at {count_of(len(subjects) - len(bad), 'device')} of source `{source}`"
    noun = NOUNS[worst.metric]
    most_unusual = (
        f"{value_words(worst.metric, worst.value)} in `{worst.column}`{of_device(worst.device)}, "
        f"usually {value_words(worst.metric, worst.usual)}"
    )
    because = (
        f"Whether the {noun} of {where} is usual is not yet known: the most unusual is {most_unusual}. That is beyond the limit of "
        f"{value_words(worst.metric, limit)}, but not significant and may be chance: a decision needs more batches."
        if beyond
        else f"The {noun} of {where} is within its usual range; the most unusual is {most_unusual}."
    )
    base = undecided_device(context, f"source:{source}", worst.metric, sum(each.compared for each in usual), because)
    names = list(dict.fromkeys(each.table.devices[each.row][1] for each in usual))
    yield replace(
        _with_value(base, worst.value, limit),
        severity="unknown" if beyond else "ok",
        evidence=_evidence(worst, p) | {"devices": names},
        against=worst.against,
    )


def unusual_device(own: Sequence[JudgedComparisons], context: Context) -> Finding:
    """Return the finding about the most unusual column of a device in one statistic."""
    bad = [(*each.at(each.table.columns[place]), each.severity(place)) for each in own for place in np.flatnonzero(each.watch).tolist()]
    worst, p, severity = min(bad, key=lambda each: (SEVERITIES.index(each[2]), each[1], -each[0].effect, each[0].column))
    others = sorted({each.column for each, _, _ in bad} - {worst.column})
    compared = [each for each, _, _ in bad]
    dated = [each for each in compared if each.batch is not None] or compared  # a median over the window does not date the change
    batches = list(dict.fromkeys(name for each in dated for name in each.unusual))
    onset = max(aware_utc(min(each.first for each in dated)), context.window.start)
    n, because = sum(each.compared for each in own), statistic_sentence(worst, others)
    return replace(
        _with_value(undecided_device(context, worst.subject, worst.metric, n, because), worst.value, _limit(worst, severity)),
        severity=severity,
        against=worst.against,
        likely_source="input",
        onset=onset,
        rank=RANK[worst.metric],
        evidence=_evidence(worst, p)
        | {
            "unusual": batches or ([worst.batch] if worst.batch else []),
            "columns": [worst.column, *others],
            "proposal": proposed_measure(worst),
            "onset_known": "dated" if worst.batch else "vague",
            "standing": all(each.ongoing for each in compared),
        },
    )


def proposed_measure(found: StatisticComparison) -> str:
    """Return the proposal for a device: `quarantine` or `recalibrate`."""
    return "recalibrate" if found.metric == STD and found.value > 0 and found.value > found.usual else STEPS[found.metric]


def _with_value(finding: Finding, value: float, limit: float | None) -> Finding:
    """The finding with a value and a limit. Its interval is the value itself, because the statistic covers all rows."""
    return replace(finding, value=value, low=value, high=value, limit=limit)


def _limit(found: StatisticComparison, severity: Severity = "watch") -> float:
    """The limit for `watch` or `act`, on the same side of the usual value as the value."""
    place = int(severity == "act")
    if found.metric == STD:
        factor = LIMITS[STD][place]
        limit = found.value / found.effect * factor if found.value > found.usual else found.usual / factor
    elif found.metric == MEAN:
        unit = abs(found.value - found.usual) / found.effect if found.effect not in (0.0, float("inf")) else 0.0
        limit = found.usual + (LIMITS[MEAN][place] * unit if found.value >= found.usual else -LIMITS[MEAN][place] * unit)
    else:
        times, more = SHARE_LIMITS[place]
        limit = max(times * found.usual, found.usual + more)
    return limit


def _natural_limit(found: StatisticComparison) -> float:
    """The value from which a statistic is unusual: the limit for `watch`, or the natural variation if that is larger."""
    limit, (low, high) = _limit(found), found.varies
    return max(limit, high) if limit > found.usual else min(limit, low)


def _evidence(found: StatisticComparison, p: float) -> dict[str, object]:
    """The evidence of a finding that a reader and the SQL of its value need."""
    return {
        "baseline": found.usual,
        "baseline_n": found.baseline_n,
        "device": found.device,
        "source": found.source,
        "column": found.column,
        "statistic": found.name,
        "batch": found.batch,
        "p_adjusted": p,
    }


def statistic_sentence(found: StatisticComparison, others: Sequence[str]) -> str:
    """Return the sentence about an unusual statistic of a device."""
    metric, usual = found.metric, value_words(found.metric, found.usual)
    noun, value = NOUNS[metric], value_words(metric, found.value)
    more = (
        f" Also in {', '.join(f'`{name}`' for name in others[:3])}{f' and {len(others) - 3} more' if len(others) > 3 else ''}."
        if others
        else ""
    )
    if found.against == "peers":
        because = (
            f"The {noun} of `{found.column}`{of_device(found.device)} is {value} in {count_of(found.batches, 'batch')} of the window; "
            f"the median of {count_of(found.baseline_n, 'other device')} of its kind is {usual}."
        )
        return because + (" Already so before this window." if found.ongoing else "") + more
    if found.batch is None:
        return (
            f"Over {count_of(found.batches, 'batch')} of the window, the median of the {noun} of `{found.column}`{of_device(found.device)} "
            f"is {value}; usually it is {usual} ({count_of(found.baseline_n, 'earlier batch')}).{more}"
        )
    constant = " All its values are equal." if metric == STD and found.value == 0 else ""
    because = (
        f"The {noun} of `{found.column}`{of_device(found.device)} is {value} in batch `{found.batch}` ({found.rows:,} rows); usually it "
        f"is {usual} ({count_of(found.baseline_n, 'earlier batch')}).{constant}"
    )
    unusual = len(found.unusual)
    if unusual > 1:
        because += f" {unusual} of its {found.batches} batches in this window are unusual."
    return because + more


def about_clocks(source: str, clocks: Sequence[CaptureClock], context: Context) -> Iterator[Finding]:
    """Yield the findings about device clocks: one per device whose clock is ahead; if there is none, one about the source."""
    if not clocks:
        return
    ahead = [each for each in clocks if needs_action(each.severity)]
    for clock in ahead:
        because = (
            f"Batch `{clock.batch}`{of_device(clock.device)} says that its data were captured until {hours_in_words(clock.seconds / 3600)} "
            f"after it arrived: the clock of its device is ahead. {len(clock.ahead)} of its {count_of(clock.batches, 'batch')} "
            f"{'do' if len(clock.ahead) != 1 else 'does'} so."
        )
        yield replace(
            _with_value(
                undecided_device(context, clock.subject, SKEW, clock.batches, because), clock.seconds, SKEW_LIMITS[clock.severity == "act"]
            ),
            severity=clock.severity,
            against="level",
            likely_source="system",
            onset=max(aware_utc(clock.first), context.window.start),
            rank=RANK[SKEW],
            evidence={
                "device": clock.device,
                "source": source,
                "batch": clock.batch,
                "unusual": list(clock.ahead),
                "proposal": "recalibrate",
                "onset_known": "dated",
            },
        )
    if not ahead:
        worst = max(clocks, key=lambda each: (each.seconds, each.batch))
        because = (
            f"No batch of source `{source}` was captured after it arrived: {count_of(sum(each.batches for each in clocks), 'batch')} of "
            f"{count_of(len(clocks), 'device')} end their capture at most {hours_in_words(max(worst.seconds, 0.0) / 3600)} later."
        )
        yield replace(
            _with_value(
                undecided_device(context, f"source:{source}", SKEW, sum(each.batches for each in clocks), because),
                worst.seconds,
                SKEW_LIMITS[0],
            ),
            severity="ok",
            against="level",
            evidence={"device": worst.device, "source": source, "batch": worst.batch},
        )


def about_young_devices(source: str, devices: Sequence[JudgedDevice], context: Context) -> Iterator[Finding]:
    """Yield the finding about the devices of a source that cannot be judged yet; it states what is missing."""
    if not devices:
        return
    first = devices[0]
    who = (
        f"{count_of(len(devices), 'device')} of source `{source}`"
        if len(devices) > 1 or first.device is None
        else f"device `{first.device}`"
    )
    small = all(each.rows < MIN_ROWS * each.batches for each in devices)
    most = max(each.earlier for each in devices)
    because = f"The column statistics of {who} cannot be judged yet: "
    if small:
        because += f"their batches have fewer than {MIN_ROWS} rows with values."
    elif most < MIN_PAST_VALUES:
        before = f"at most {count_of(most, 'batch')}" if most else "no batch"
        because += (
            f"{before} of a device came before this window; "
            f"about {MIN_PAST_VALUES - most} more needed, or {MIN_DEVICES} devices that hold the same columns."
        )
    else:
        because += "no statistic was logged in both this window and before it."
    subject = f"source:{source}" if len(devices) > 1 else batch_statistics.device_subject(source, first.device)
    yield undecided_device(context, subject, MEAN, sum(each.batches for each in devices), because)


def of_device(device: str | None) -> str:
    """Return ` of device NAME`; empty without a device."""
    return "" if device is None else f" of device `{device}`"


def value_words(metric: str, value: float) -> str:
    """Return a value of a statistic in words: a share as a percentage."""
    return format_figure(value) if metric in (MEAN, STD) else percent(value)


def count_of(n: int, noun: str) -> str:
    """Return a count with its noun: `1 batch`, `5 batches`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}{'es' if noun.endswith('ch') else 's'}"


ANALYZER = Analyzer(
    NAME,
    "Do devices measure as before, and as others of their kind?",
    needs,
    analyze,
    about="records",
    proofs=DEVICE_PROOFS,
)
