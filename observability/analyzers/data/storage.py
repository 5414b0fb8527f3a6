"""Check places that store data (room, retention, waste, failures, checksums, backups, lag of copies, silence) and forms of stored data.

Reads records of kind `storage_report`. The level of a figure is the median of the three newest reports; growth, time and failures are
compared with the eight weeks before, by day. The cost of waste is stated if a price per gigabyte-month is known. A state with too few
reports is `unknown`. For datasets that `audit-storage` measured, the form in use (the encoding in which the data are stored) is judged by
the newest audit: changed decisions, lost values, the fidelity of pictures and sound, saved bytes, and whether it is the form that was
decided.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, Source, iso, needs_action, news_given_before
from observability.core.formatting import format_bytes, format_day, plural
from observability.core.numerals import format_figure, hours_in_words, percent
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc, naive_utc
from observability.detection.form_slices import SliceExcess
from observability.detection.storage_changes import ERRORS, GROWTH, READ, StorageChange, storage_changes, time_until_full
from observability.detection.stored_form_claims import (
    FLIPS,
    GAP,
    LOST,
    SAVED,
    UNDECIDED,
    form_in_use,
    stored_form_claims,
    stored_slice_excesses,
)
from observability.metrics.form_decisions import FORM_DECISIONS, FormDecision, stored_form_decisions
from observability.metrics.prices import PRICES, PriceScope, prices_at
from observability.metrics.storage_reports import (
    GIGABYTE,
    MIN_REPORTS,
    PAST_DAYS,
    PLACE_REPORTS,
    SECONDS,
    StoragePlace,
    figure_before,
    newest_figure,
    newest_value,
    storage_places,
)
from observability.metrics.stored_forms import EXACT, STORAGE_AUDITS, StorageAudit, latest_storage_audits
from observability.proofs.storage import STORAGE_PROOFS
from observability.stats.exhaustion import HORIZON
from observability.stats.interval import Interval, wilson_interval
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "data/storage"
DAYS_LEFT, SILENCE, CORRUPT = "storage_days_left", "storage_silence_hours", "storage_corrupt_rate"
BACKUP, RESTORE, BEHIND = "storage_backup_age_hours", "storage_restore_age_days", "storage_behind_hours"
FULL_DAYS = (30.0, 14.0)
"""Days until a place is full. Up to the first number the severity is `watch`; it is `act` if even the latest date of the interval is within
the second number.
"""
MIN_STEPS = 10
"""Minimum number of days of growth for an estimate of the date on which a place is full."""
MIN_BLOCKS = 300
"""Minimum number of checked blocks. If none of this many blocks failed, a failing share of 1 % is excluded (rule of three)."""
BACKUP_HOURS, RESTORE_DAYS = 36.0, 30.0
"""Ages above which the newest backup and the last test of a restore are too old, if the reports state no limit."""
BEHIND_HOURS = 36.0
"""Hours that a copy may be behind its source."""
LATE_TIMES, STATED_TIMES = 3.0, 2.0
"""An age is `act` above this multiple of its limit: the first factor is for the limits above, the second for limits that the owner
stated.
"""
SILENCE_TIMES, MIN_SILENCE = 4.0, 48.0
"""A place counts as silent after this many usual gaps between reports, and not before this many hours."""
NEXT = {
    "storage_used_share": "Remove what is no longer needed, or enlarge the place.",
    DAYS_LEFT: "Enlarge the place or remove data before the earliest date; look for what grows.",
    GROWTH: "Find the writer that grew since the onset; check for copies and logs.",
    "storage_retention_overdue_days": "Run the removal by hand, then find out why it did not run.",
    "storage_duplicate_share": "Remove the copies, or store content once under its checksum.",
    "storage_cold_share": "Move data that nobody reads to a cheaper tier, or delete them.",
    "storage_small_file_share": "Merge small files; write larger ones.",
    ERRORS: "Check disk, network and permissions; repeat the failed writes.",
    READ: "Check load, small files and the disk; compare with the hosts that read.",
    "storage_write_p99_ms": "Check load and the disk; compare with the hosts that write.",
    CORRUPT: "Restore the blocks from a backup, and test the disk before it is written again.",
    BACKUP: "Run a backup now, then find out why the last one failed.",
    RESTORE: "Restore the newest backup elsewhere and compare it.",
    BEHIND: "Run the copy by hand, then find out why the last one failed.",
    SILENCE: "Check that the place can be reached and that its report still runs.",
    FLIPS: "Store the data exactly or in a form that changes fewer decisions, and train and serve from the same form.",
    GAP: "Store the columns of this group exactly, or choose a form that changes no group more than others.",
    LOST: "Restore the lost values from the source, and store the column in a form that holds its range.",
    SAVED: "Store the data exactly with the smallest codec.",
    **dict.fromkeys(("stored_psnr", "stored_ssim"), "Store these files in a form that loses less, or exactly, from the exact files."),
    UNDECIDED: "Store the data in the decided form and audit them with `--in-use`, or decide again.",
}
"""The next step for the reader, by metric."""


@dataclass(frozen=True)
class StorageLevel:
    """A figure with a stated limit. act: the critical limit; None if the figure is never critical. words: the value and limit in words."""

    metric: str
    watch: float
    act: float | None
    words: str
    noun: str


LEVELS = (
    StorageLevel("storage_used_share", 0.9, 0.97, "`{place}` is {value} full; the limit is {limit}", "used room"),
    StorageLevel("storage_retention_overdue_days", 1.0, 7.0, "", "age of the oldest data"),
    StorageLevel(
        "storage_duplicate_share", 0.2, None, "{value} of the bytes in `{place}` are stored twice; the limit is {limit}", "duplicate bytes"
    ),
    StorageLevel(
        "storage_cold_share", 0.5, None, "{value} of the bytes in `{place}` were not read for 90 days; the limit is {limit}", "cold bytes"
    ),
    StorageLevel(
        "storage_small_file_share", 0.5, None, "{value} of the files in `{place}` are below 1 MB; the limit is {limit}", "small files"
    ),
)
WASTE = ("storage_duplicate_share", "storage_cold_share")
TOLD = {
    GROWTH: ("grows by {value} a day", " GB"),
    READ: ("reads in {value} (p99)", " ms"),
    "storage_write_p99_ms": ("writes in {value} (p99)", " ms"),
}
"""The words for a figure of a place, and its unit."""


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the reports of the window and of the eight weeks before it, for prices, for audits of datasets and for decisions."""
    return {
        "datasets": Ask(STORAGE_AUDITS),
        "decisions": Ask(FORM_DECISIONS),
        "reports": Ask(PLACE_REPORTS),
        "past reports": Ask(PLACE_REPORTS, span="past", days=PAST_DAYS),
        "prices": Ask(PRICES),
    }


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about each place and about the form of each audited dataset."""
    places = storage_places(frames["reports"], frames["past reports"])
    changes = {place.name: storage_changes(place) for place in places}
    audits, decided = latest_storage_audits(frames["datasets"]), stored_form_decisions(frames["decisions"])
    excesses = [stored_slice_excesses(audit) for audit in audits]
    p_values = [each.p_value for own in changes.values() for each in own if each.compared]
    p_values += [each.p_value for own in excesses for each in own]
    adjusted = iter(benjamini_hochberg(p_values, context.budget)[0].tolist())
    found: list[Finding] = []
    for place in places:
        found += silence_findings(context, place)
        if place.now.empty:
            continue
        looks = [(each, next(adjusted) if each.compared else 1.0) for each in changes[place.name]]
        found += level_findings(context, place, frames["prices"])
        found += full_findings(context, place, any(each.metric == GROWTH and each.rose(p, context.budget) for each, p in looks))
        found += [change_finding(context, each, p) for each, p in looks]
        found += [*corrupt_findings(context, place), *backup_findings(context, place), *restore_findings(context, place)]
        found += behind_findings(context, place)
    for audit, own in zip(audits, excesses, strict=True):
        found += stored_form_findings(context, audit, [(each, next(adjusted)) for each in own], decided.get(audit.dataset))
    return found


def undecided_place(context: Context, place: str, metric: str, n: int, because: str, against: Against = "level") -> Finding:
    """Return the finding of severity `unknown` about a place, on which the other findings are based."""
    blank = context.undecided(NAME, f"place:{place}", metric, n, because, against=against)
    return replace(blank, model=None, version=None, evidence={"place": place, "next": NEXT[metric]})


def level_severity(value: float, watch: float, act: float | None) -> Severity:
    """Return the severity of a figure above its limits."""
    return "act" if act is not None and value > act else "watch" if value > watch else "ok"


def judged_place(blank: Finding, interval: Interval, severity: Severity, limit: float, because: str, **evidence: Any) -> Finding:
    """Return a finding with its figure, its limit and its sentence."""
    source: Source | None = "system" if needs_action(severity) else None
    told = replace(blank, **interval.fields, severity=severity, limit=limit, because=because, likely_source=source)
    return replace(told, evidence=blank.evidence | evidence)


def exact_interval(value: float, n: int) -> Interval:
    """Return the interval of a figure that was counted, not sampled."""
    return Interval(value, value, value, n)


def level_findings(context: Context, place: StoragePlace, prices: "DataFrame") -> Iterator[Finding]:
    """Yield the findings about the reported figures that have a stated limit."""
    for level in LEVELS:
        newest = newest_figure(place, level.metric)
        if newest.value is None or (level.metric == "storage_cold_share" and place.archive):
            continue
        blank = undecided_place(context, place.name, level.metric, newest.n, "")
        if newest.n < MIN_REPORTS:
            more = plural(MIN_REPORTS - newest.n, "more report")
            because = f"The {level.noun} of `{place.name}` is not yet known: {plural(newest.n, 'report')}, needs about {more}."
            yield replace(blank, because=because)
            continue
        severity = level_severity(newest.value, level.watch, level.act)
        limit = level.act if severity == "act" and level.act is not None else level.watch
        because = f"{_level_words(level, place, newest.value, limit)}{_cost_words(context, level, place, newest.value, prices)}."
        told = judged_place(blank, exact_interval(newest.value, newest.n), severity, limit, because)
        yield with_news(told, figure_before(place, level.metric), limit)


def with_news(finding: Finding, before: float | None, limit: float) -> Finding:
    """Return a finding; if it is beyond its limit, with its news. before: the figure before the window, None if it is not known."""
    news = news_given_before(None if before is None else before > limit)
    return replace(finding, news=news) if needs_action(finding.severity) else finding


def _level_words(level: StorageLevel, place: StoragePlace, value: float, limit: float) -> str:
    """A figure and its limit in words."""
    if level.metric != "storage_retention_overdue_days":
        return level.words.format(value=percent(value), place=place.name, limit=percent(limit))
    keep = format_figure(newest_value(place, "keep_days") or 0.0)
    if value <= 0:
        return f"The oldest data in `{place.name}` are {format_figure(-value, 2)} days younger than the {keep} days that they may be kept"
    return (
        f"The oldest data in `{place.name}` are kept {format_figure(value, 2)} days longer than the stated {keep}; "
        f"{plural(int(limit), 'day')} are allowed"
    )


def _cost_words(context: Context, level: StorageLevel, place: StoragePlace, share: float, prices: "DataFrame") -> str:
    """A clause with the cost of wasted bytes per month; empty if their price is not known."""
    used = newest_value(place, "used_bytes")
    if level.metric not in WASTE or used is None:
        return ""
    at = np.array([naive_utc(context.window.end)], "datetime64[us]")
    amount, currency = prices_at(prices, "amount", at, PriceScope("", ModelSettings()), resource="gb_month", device=place.name)
    size = format_bytes(share * used)
    if not np.isfinite(amount[0]):
        return f" ({size})"
    return f" ({size}, {share * used / GIGABYTE * float(amount[0]):,.2f} {currency[0] or ''} a month".rstrip() + ")"


def full_findings(context: Context, place: StoragePlace, faster: bool) -> Iterator[Finding]:
    """Yield the finding about the date on which a place will be full, if its reports state its capacity and use."""
    if newest_value(place, "capacity_bytes") is None or newest_value(place, "used_bytes") is None:
        return
    found, steps = time_until_full(place, faster)
    blank = replace(undecided_place(context, place.name, DAYS_LEFT, steps, ""), basis="estimated")
    if found is None or (steps < MIN_STEPS and not faster):
        more = plural(max(MIN_STEPS - steps, 1), "more day")
        yield replace(blank, because=f"When `{place.name}` is full is not yet known: {plural(steps, 'day')} of growth, needs about {more}.")
        return
    value, low, high = (float(each or 0.0) for each in found.days.triple)
    mean, least = found.growth.value or 0.0, found.growth.low or 0.0
    if 0 < value <= FULL_DAYS[0] and least <= 0 and not found.observed:
        more = plural(max(int(np.ceil(steps * (((mean - least) / mean) ** 2 - 1))), 1), "more day")
        size = f"{format_bytes(mean)} a day, {format_bytes(mean - least)} more or less"
        yield replace(blank, because=f"When `{place.name}` is full is not yet known: it grows by {size}; needs about {more}.")
        return
    severity: Severity = "ok" if value > FULL_DAYS[0] else "act" if high <= FULL_DAYS[1] else "watch"
    limit = FULL_DAYS[severity == "act"]
    start = f"`{place.name}` {'grows' if mean >= 0 else 'shrinks'} by {format_bytes(abs(mean))} a day"
    if value >= HORIZON:
        because = f"{start} and is not full within ten years."
    else:
        start = f"`{place.name}` has grown before by as much room as is left" if found.observed else start
        end = naive_utc(context.window.end)
        dates = [f"{format_day(end + timedelta(days=each))}" if each < HORIZON else "never" for each in (value, low, high)]
        because = f"{start} and is full in about {format_figure(value, 2)} days, on {dates[0]} ({dates[1]} to {dates[2]})."
    yield judged_place(blank, found.days, severity, limit, because, growth=found.growth.triple, single=found.single, window_only=faster)


def change_text(metric: str, value: float) -> str:
    """A figure with its unit; for figures that are compared with the past of their place."""
    return percent(value, 2) if metric == ERRORS else f"{format_figure(value)}{TOLD[metric][1]}"


def change_finding(context: Context, change: StorageChange, p_adjusted: float) -> Finding:
    """Return the finding about a figure that is compared with the past of its place."""
    n = change.operations or change.days[0]
    blank = undecided_place(context, change.place, change.metric, n, "", "past")
    severity = change.severity(p_adjusted, context.budget)
    value = change.interval.value or 0.0
    if change.metric == ERRORS:
        figures = f"{percent(value, 2)} of {change.operations:,} reads and writes of `{change.place}` failed"
    else:
        figures = f"`{change.place}` {TOLD[change.metric][0].format(value=change_text(change.metric, value))}"
    usual = change_text(change.metric, change.usual) if np.isfinite(change.usual) else "unknown"
    if severity == "unknown":
        more = plural(change.missing_days, "more day")
        return replace(blank, because=f"{figures}; whether that is usual is not yet known: it needs about {more}.")
    limit = change.limit if change.compared else 0.01
    if severity != "ok" and not change.rose(p_adjusted, context.budget):
        limit, blank = 0.01, replace(blank, against="level")
    because = f"{figures}; before it was {usual}, and the limit is {change_text(change.metric, limit)}."
    interval = replace(change.interval, n=n)
    return judged_place(
        blank, interval, severity, limit, because, baseline=change.usual if np.isfinite(change.usual) else None, p_adjusted=p_adjusted
    )


def corrupt_findings(context: Context, place: StoragePlace) -> Iterator[Finding]:
    """Yield the finding about blocks that fail their checksum."""
    known = place.now[place.now["checked"].notna() & place.now["corrupt"].notna()]
    checked, corrupt = int(known["checked"].sum()), int(known["corrupt"].sum())
    if not checked:
        return
    blank = undecided_place(context, place.name, CORRUPT, checked, "")
    rate = wilson_interval(corrupt, checked)
    if not corrupt and checked < MIN_BLOCKS:
        more = MIN_BLOCKS - checked
        yield replace(
            blank, because=f"No checksum of {checked:,} in `{place.name}` failed; to exclude 1 % it needs about {more:,} more blocks."
        )
        return
    reports = int((known["corrupt"] > 0).sum())
    severity: Severity = "ok" if not corrupt else "act" if reports >= MIN_REPORTS else "watch"
    because = f"{corrupt:,} of {checked:,} checked blocks of `{place.name}` fail their checksum"
    because += f", in {plural(reports, 'report')}" if corrupt else ""
    told = judged_place(blank, rate, severity, 0.0, f"{because}; the limit is 0.", reports=reports)
    earlier = place.before["corrupt"][place.before["checked"].notna()].dropna()
    yield with_news(told, float(earlier.max()) if len(earlier) else None, 0.0)


def backup_findings(context: Context, place: StoragePlace) -> Iterator[Finding]:
    """Yield the finding about the age of the newest backup, if backups are reported or required."""
    whole, stated = place.whole, newest_value(place, "backup_hours")
    times = whole["backup_at"].dropna()
    if times.empty and stated is None:
        return
    since = times.max() if len(times) else whole["at"].min()
    hours = max((whole["at"].max() - since).total_seconds() / 3600, 0.0)
    limit = stated or BACKUP_HOURS
    blank = undecided_place(context, place.name, BACKUP, len(times) or len(whole), "")
    if times.empty and hours <= limit:
        more = hours_in_words(limit - hours)
        yield replace(blank, because=f"`{place.name}` has reported no backup yet; whether one is missing is known in about {more}.")
        return
    severity = level_severity(hours, limit, (STATED_TIMES if stated else LATE_TIMES) * limit)
    what = "The newest backup of" if len(times) else "No backup is reported of"
    because = f"{what} `{place.name}` {'is' if len(times) else 'for'} {hours_in_words(hours)}{' old' if len(times) else ''}"
    because += f"; {'the stated' if stated else 'the'} limit is {hours_in_words(limit)}."
    told = judged_place(blank, exact_interval(hours, blank.n), severity, limit, because, never=times.empty)
    yield with_onset(told, place, timedelta(hours=hours - limit))


def restore_findings(context: Context, place: StoragePlace) -> Iterator[Finding]:
    """Yield the finding about the age of the last test of a restore, if there are backups."""
    whole, stated = place.whole, newest_value(place, "restore_days")
    tests, backups = whole["restored_at"].dropna(), whole["backup_at"].dropna()
    if tests.empty and backups.empty and stated is None:
        return
    since = tests.max() if len(tests) else min(backups.min(), whole["at"].min()) if len(backups) else whole["at"].min()
    days = max((whole["at"].max() - since).total_seconds() / SECONDS, 0.0)
    limit = stated or RESTORE_DAYS
    blank = undecided_place(context, place.name, RESTORE, len(tests) or len(whole), "")
    if tests.empty and days <= limit:
        more = plural(max(int(np.ceil(limit - days)), 1), "more day")
        yield replace(blank, because=f"No restore of `{place.name}` is reported yet; whether tests are missing needs about {more}.")
        return
    severity = level_severity(days, limit, STATED_TIMES * limit if stated else None)
    words = f"A backup of `{place.name}` was last restored {format_figure(days, 2)} days ago"
    if tests.empty:
        words = f"No backup of `{place.name}` was restored in the {format_figure(days, 2)} days since the first report"
    because = f"{words}; {'the stated' if stated else 'the'} limit is {plural(int(limit), 'day')}."
    told = judged_place(blank, exact_interval(days, blank.n), severity, limit, because, never=tests.empty)
    yield with_onset(told, place, timedelta(days=days - limit))


def behind_findings(context: Context, place: StoragePlace) -> Iterator[Finding]:
    """Yield the finding about how far a copy is behind its source at its newest report, if the copy was ever complete."""
    times = place.whole["complete_to"].dropna()
    if times.empty:
        return
    hours = max((place.whole["at"].max() - times.max()).total_seconds() / 3600, 0.0)
    severity = level_severity(hours, BEHIND_HOURS, LATE_TIMES * BEHIND_HOURS)
    lag, limit = hours_in_words(hours), hours_in_words(BEHIND_HOURS)
    because = f"`{place.name}` was {lag} behind its source at its newest report; the limit is {limit}."
    blank = undecided_place(context, place.name, BEHIND, len(times), "")
    told = judged_place(blank, exact_interval(hours, len(times)), severity, BEHIND_HOURS, because)
    yield with_onset(told, place, timedelta(hours=hours - BEHIND_HOURS))


def with_onset(finding: Finding, place: StoragePlace, beyond: timedelta) -> Finding:
    """Return a finding about an age; if it needs action, with the time at which the age passed its limit. beyond: by how much the newest
    report exceeds the limit.
    """
    newest = aware_utc(place.whole["at"].max().to_pydatetime())
    return replace(finding, onset=newest - beyond) if needs_action(finding.severity) else finding


def silence_findings(context: Context, place: StoragePlace) -> Iterator[Finding]:
    """Yield the finding about a place that no longer reports. It needs enough earlier reports to know how often the place reports."""
    at = place.whole["at"]
    if len(at) <= MIN_REPORTS:
        return
    usual = float(at.diff().dt.total_seconds().median() / 3600)
    hours = max((context.now - aware_utc(at.max().to_pydatetime())).total_seconds() / 3600, 0.0)
    limit = max(SILENCE_TIMES * usual, MIN_SILENCE)
    severity = level_severity(hours, limit, LATE_TIMES * limit)
    blank = undecided_place(context, place.name, SILENCE, len(at), "", "past")
    because = f"`{place.name}` last reported {hours_in_words(hours)} ago; it usually does every {hours_in_words(usual)}."
    yield judged_place(blank, exact_interval(hours, len(at)), severity, limit, because, baseline=usual)


def stored_form_findings(
    context: Context, audit: StorageAudit, slices: list[tuple[SliceExcess, float]], decided: FormDecision | None
) -> Iterator[Finding]:
    """Yield the findings about the form (encoding) in which a dataset is stored. If the answers of a model were compared, they name that
    model.
    """
    form = form_in_use(audit)
    asked = form.model if form else next((each.model for each in audit.forms if each.model and audit.in_use == EXACT), None)
    model, version = asked or (None, None)
    if context.window.model and model not in (None, context.window.model):
        return
    evidence = {"dataset": audit.dataset, "dataset_version": audit.version, "audited": iso(audit.at), "form": audit.in_use}
    for claim in stored_form_claims(audit, slices, context.budget, decided):
        blank = context.undecided(NAME, f"dataset:{audit.dataset}", claim.metric, round(claim.interval.n), "", against="level")
        blank = replace(blank, model=model, version=version, limit=claim.limit, slice=claim.slice)
        blank = replace(blank, evidence=evidence | {"next": NEXT[claim.metric]} | claim.evidence, rank=float(claim.slice is not None))
        source: Source | None = "system" if needs_action(claim.severity) else None
        yield replace(blank, **claim.interval.fields, severity=claim.severity, because=claim.because, likely_source=source)


ANALYZER = Analyzer(
    NAME,
    "Do the places that store data have room, keep no data too long, answer and have backups, and do stored forms keep the decisions?",
    needs,
    analyze,
    exceptions=frozenset({1}),
    about="records",
    proofs=STORAGE_PROOFS,
)
