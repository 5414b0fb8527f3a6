"""Check the runs of each cleaning rule, and the newest audit of each dataset.

Reads records of kind `cleaning`. Each run of the window is compared with the same rule's runs of the year before. Groups are compared with
each other within the window: a rule that drops more rows of one group than of the others changes the composition of the training data.
Audits are in records of kind `dataset` (`audit-data`). Only the newest audit of a dataset counts, regardless of its age. It is compared
with fixed limits.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import SEVERITIES, Finding, Severity, iso, needs_action
from observability.core.formatting import format_minute
from observability.core.numerals import percent
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.detection import cleaning_history
from observability.detection.audited_data_claims import data_audit_claims
from observability.detection.cleaning_history import (
    CHANGED,
    DROPPED,
    GROUP,
    GROUP_ROWS,
    CleanedGroup,
    CleaningComparison,
    CleaningRule,
)
from observability.detection.own_history import MIN_PAST_VALUES
from observability.metrics.audited_data import DATA_AUDITS, AuditedData, data_audits
from observability.proofs.records import CLEANING_PROOFS
from observability.stats.change import needed_n_for_proportion
from observability.stats.interval import rate_interval
from observability.stats.multiple_testing import benjamini_hochberg

NAME = "data/cleaning"
PAST_DAYS = 365
NOTHING = 0.005
"""If a rule usually drops (or changes) at most this share and has no such rows now, there is no finding about that share."""
ENOUGH_ROWS = 1_000
"""In runs with at least this many rows, the variation between runs exceeds the sampling noise of one run."""
CLEANINGS = Records("cleaning", ("rule", "at", "rows_in", "rows_changed", "rows_dropped", "dataset", "version", "groups", "extra"))


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the runs of cleaning rules in the window and in the year before it, and for every audit of data."""
    return {"cleanings": Ask(CLEANINGS), "past cleanings": Ask(CLEANINGS, span="past", days=PAST_DAYS), "audits": Ask(DATA_AUDITS)}


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings of each rule (the shares dropped and changed, the group with the highest drop rate) and of each audit."""
    rules = list(cleaning_history.rules_of(*(cleaning_history.applied_runs(frames[name]) for name in ("past cleanings", "cleanings"))))
    p_values = [p for rule in rules for p in (*(each.p_value for each in rule.comparisons), *(each.p_value for each in rule.groups))]
    adjusted = iter(benjamini_hochberg(p_values, context.budget)[0].tolist())
    found: list[Finding] = []
    for rule in rules:
        looks = [(each, next(adjusted)) for each in rule.comparisons]
        groups = [(each, next(adjusted)) for each in rule.groups]
        found += [*about_shares(rule, looks, context), *cleaned_group_findings(rule, groups, context)]
    for audit, before in data_audits(frames["audits"]):
        found += data_audit_findings(audit, before, context)
    return found


def undecided_cleaning(context: Context, rule: CleaningRule, metric: str, n: int, because: str = "") -> Finding:
    """Return the finding of severity `unknown` about a rule, on which the other findings are based."""
    return replace(context.undecided(NAME, rule.subject, metric, n, because, against="past"), model=None, version=None)


def about_shares(rule: CleaningRule, looks: list[tuple[CleaningComparison, float]], context: Context) -> Iterator[Finding]:
    """Yield a finding about the share of dropped rows if the rule ever drops rows, and one about the share of changed rows if it ever
    changes rows.
    """
    both = {metric: [each for each in looks if each[0].metric == metric] for metric in (DROPPED, CHANGED)}
    does = [metric for metric, own in both.items() if any(each.hits or each.usual > NOTHING for each, _ in own)]
    for metric in does or ([DROPPED] if both[DROPPED] else []):
        yield about_share(rule, metric, both[metric], context)


def about_share(rule: CleaningRule, metric: str, own: list[tuple[CleaningComparison, float]], context: Context) -> Finding:
    """Return the finding about one share of a rule, from its most unusual run."""
    severities = [look.severity(p, context.budget) for look, p in own]
    worst = min(
        range(len(own)), key=lambda place: (SEVERITIES.index(severities[place]), own[place][1], -own[place][0].value, own[place][0].at)
    )
    (look, p), severity = own[worst], severities[worst]
    share = rate_interval(look.hits, look.rows)
    verb = "drops" if metric == DROPPED else "changes"
    said = f"{percent(look.value)} of {look.rows:,} rows"
    said_then = f"{said} in the run of {format_minute(look.at)} UTC"
    found = replace(
        undecided_cleaning(context, rule, metric, look.rows),
        value=share.value,
        low=share.low,
        high=share.high,
        evidence={"runs": rule.runs, "run_at": f"{look.at:%Y-%m-%dT%H:%M:%S.%f}Z"},
    )
    if not look.known:
        more = max(MIN_PAST_VALUES - rule.earlier, 1)
        because = (
            f"Rule {cleaning_rule_name(rule)} {verb} {said}; it cannot be compared yet: it has "
            f"{run_count(rule.earlier)} before this window and needs about {more} more."
        )
        if rule.runs > MIN_PAST_VALUES:
            because += f" Choose a shorter window to judge the later of its {run_count(rule.runs)}."
        return replace(found, because=because)
    less = look.value < look.usual
    found = replace(
        found,
        severity=severity,
        limit=look.limit(severity),
        evidence=found.evidence | {"baseline": look.usual, "baseline_n": rule.earlier, "p_adjusted": p},
    )
    usual = f"usually it is {percent(look.usual)} ({run_count(rule.earlier)} before this window)"
    if severity == "ok":
        return replace(
            found,
            because=f"Rule {cleaning_rule_name(rule)} is within its limits: it {verb} {said} in the most unusual run (limit "
            f"{percent(look.limit(severity))}, given how runs differ); {usual}.",
        )
    if severity == "unknown":
        return replace(
            found,
            because=f"Rule {cleaning_rule_name(rule)} {verb} {said_then}; {usual}. That is beyond the limit of "
            f"{percent(look.limit(severity))}, but may be chance, given how many runs were compared: a decision needs "
            f"{'larger runs' if look.rows < ENOUGH_ROWS else 'more runs'}.",
        )
    more_or_less = "less" if less else "more"
    beyond_all = look.value < look.reached[0] if less else look.value > look.reached[1]
    unusual = [each.at for (each, _), bad in zip(own, severities, strict=True) if needs_action(bad)]
    onset = max(aware_utc(min(unusual)), context.window.start)
    return replace(
        found,
        likely_source="input",
        onset=onset,
        rank=2.0 if metric == DROPPED else 1.0,
        evidence=found.evidence | {"onset_known": "dated", "unusual": [f"{each:%Y-%m-%dT%H:%M:%S.%f}" for each in unusual]},
        because=f"Rule {cleaning_rule_name(rule)} {verb} {more_or_less} than before: {said_then}"
        f"{f', {more_or_less} than in any earlier run' if beyond_all else ''}; {usual}.",
    )


def cleaned_group_findings(rule: CleaningRule, groups: list[tuple[CleanedGroup, float]], context: Context) -> Iterator[Finding]:
    """Yield, for each column, the finding about the group with the highest drop rate relative to the other groups."""
    for column in dict.fromkeys(each.column for each, _ in groups):
        own = [each for each in groups if each[0].column == column]
        judged = [each for each in own if not np.isnan(each[0].p_value)]
        base = replace(undecided_cleaning(context, rule, cleaning_history.GAP, 0), against="peers")
        if not judged:
            rows = int(sum(each.rows for each, _ in own))
            because = (
                f"Drop rates of rule {cleaning_rule_name(rule)} by `{column}` cannot be compared on {rows:,} rows; each group "
                f"needs {GROUP_ROWS} rows."
            )
            yield replace(base, n=rows, slice=str(Slice(((column, own[0][0].level),))), because=because)
            continue
        yield about_group(rule, base, *max(judged, key=lambda each: (each[0].gap.value or 0.0, each[0].level)), context)


def about_group(rule: CleaningRule, base: Finding, group: CleanedGroup, p: float, context: Context) -> Finding:
    """Return the finding about the group with the highest drop rate. It is a warning if the rate is significantly and substantially higher
    than in the other groups.
    """
    gap, rate, others = group.gap.value or 0.0, group.dropped / group.rows, group.others_dropped / group.others
    severity: Severity = "ok" if gap < GROUP else "watch" if p <= context.budget else "unknown"
    who = f"`{group.column} = {group.level}`"
    how = f"{percent(rate)} of {group.rows:,.0f} rows against {percent(others)} of the other {group.others:,.0f}"
    words = {
        "watch": f"Rule {cleaning_rule_name(rule)} drops more rows of {who}: {how}.",
        "ok": f"Rule {cleaning_rule_name(rule)} drops similar shares of all groups of `{group.column}`: the highest for {who}, {how}.",
        "unknown": f"Whether rule {cleaning_rule_name(rule)} drops more rows of {who} is not yet known: {how}; it needs "
        f"{missing_group_rows(group)}.",
    }[severity]
    return replace(
        base,
        n=int(group.rows + group.others),
        value=group.gap.value,
        low=group.gap.low,
        high=group.gap.high,
        limit=GROUP,
        severity=severity,
        slice=str(Slice(((group.column, group.level),))),
        because=words,
        onset=context.window.start if severity == "watch" else None,
        likely_source="input" if severity == "watch" else None,
        rank=1.5,
        evidence={"others": others, "p_adjusted": p} | ({"onset_known": "vague"} if severity == "watch" else {}),
    )


def missing_group_rows(group: CleanedGroup) -> str:
    """Return in words how many more rows of a group are needed to distinguish its drop rate from that of the others."""
    others, gap = group.others_dropped / group.others, group.gap.value or 0.0
    needed = needed_n_for_proportion(others, gap) or 0
    return f"about {needed - group.rows:,.0f} more rows of it" if needed > group.rows else "more rows"


def data_audit_findings(audit: AuditedData, before: AuditedData | None, context: Context) -> Iterator[Finding]:
    """Yield the findings of an audit of data. They name the model that is trained on the dataset if the audit names it."""
    model, version = audit.model or (None, None)
    if context.window.model and model not in (None, context.window.model):
        return
    evidence = {"dataset": audit.dataset, "dataset_version": audit.version, "audited": iso(audit.at), "onset_known": "dated"}
    for claim in data_audit_claims(audit, before):
        bad = needs_action(claim.severity)
        blank = context.undecided(NAME, f"dataset:{audit.dataset}", claim.metric, round(claim.interval.n), claim.because, against="level")
        blank = replace(blank, **claim.interval.fields, severity=claim.severity, limit=claim.limit, model=model, version=version)
        yield replace(
            blank,
            onset=audit.at if bad else None,
            likely_source="input" if bad else None,
            news=claim.news,
            rank=3.0,
            evidence=evidence | {"standing": claim.news in ("ongoing", "worse")} | claim.evidence if bad else evidence | claim.evidence,
        )


def cleaning_rule_name(rule: CleaningRule) -> str:
    """Return the name of the rule with the dataset that it cleans."""
    return f"`{rule.name}`" + (f" on `{rule.dataset}`" if rule.dataset else "")


def run_count(n: int) -> str:
    """Return a count of runs in words: `1 run`, `5 runs`."""
    return f"{n:,} {'run' if n == 1 else 'runs'}"


ANALYZER = Analyzer(
    NAME,
    "Do cleaning rules drop and change as much as before, and equally across groups, and what did audits of data find?",
    needs,
    analyze,
    about="records",
    proofs=CLEANING_PROOFS,
)
