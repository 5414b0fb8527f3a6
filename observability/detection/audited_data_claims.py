"""Judges an audit of data: overlap with held-out rows, a column that reveals the label, conflicting labels, suspect labels
and duplicates.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from observability.core.finding import News, Severity, needs_action
from observability.core.formatting import join_words
from observability.core.metric_definitions import METRICS
from observability.core.numerals import format_figure, percent
from observability.metrics.audit_model import KNOWS
from observability.metrics.audited_data import AuditedData, AuditedRule
from observability.metrics.data_audit import CONFLICTS, DUPLICATES, NEAR_DUPLICATES, OUTLIERS, SUSPECTS, suspect_accuracy_words
from observability.stats.interval import Interval, rate_interval

OVERLAP, LEAK = "audited_overlap", "audited_leak"
CONFLICTING, REPEATED, SUSPECT = "audited_conflicts", "audited_duplicates", "audited_suspects"
LEVELS: dict[str, tuple[float, float]] = {
    OVERLAP: (0.01, 0.05),
    LEAK: (0.9, KNOWS),
    CONFLICTING: (0.01, 0.1),
    REPEATED: (0.05, 0.25),
    SUSPECT: (0.01, 1.0),
}
"""Shares of rows from which a finding is `watch` and `act`. Suspect labels are `watch` only if a model is better without them."""
CHECK_METRICS = {CONFLICTS: CONFLICTING, DUPLICATES: REPEATED, SUSPECTS: SUSPECT}
"""For each check that is judged by its share of rows, the metric of its finding."""
COARSE = 0.5
"""If at least this share of rows is expected to be equal by chance, the number of equal rows cannot be judged."""
MIN_CHANGE = 0.01
"""Smallest change of a share from one audit to the next that is reported."""


@dataclass(frozen=True)
class DataAuditClaim:
    """A claim that an audit makes about a dataset. limit: the share up to which the claim is ok; None if the share alone does not
    decide.
    """

    metric: str
    interval: Interval
    severity: Severity
    limit: float | None
    because: str
    news: News | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def data_audit_claims(audit: AuditedData, before: AuditedData | None = None) -> list[DataAuditClaim]:
    """Return the claims about an audit, each marked with what changed since the previous audit."""
    earlier = {claim.metric: claim for claim in _claims(before)} if before else {}
    return [_with_news(claim, earlier.get(claim.metric)) for claim in _claims(audit)]


def _with_news(claim: DataAuditClaim, before: DataAuditClaim | None) -> DataAuditClaim:
    """The claim, marked with what changed since the claim of the previous audit."""
    bad, was_bad = needs_action(claim.severity), before is not None and needs_action(before.severity)
    if not bad:
        return replace(claim, news="recovered") if was_bad and claim.severity == "ok" else claim
    if before is None or not was_bad:
        return replace(claim, news="new")
    now, then = claim.interval, before.interval
    ends = (now.value, now.low, then.value, then.high)
    value, low, earlier, high = (np.nan if end is None else end for end in ends)
    worse = value - earlier > max(float(np.hypot(value - low, high - earlier)), MIN_CHANGE)
    same = f"{claim.because} Before: {percent(earlier)}." if worse else claim.because
    return replace(claim, news="worse" if worse else "ongoing", because=same)


def _claims(audit: AuditedData) -> Iterator[DataAuditClaim]:
    """The claims about one audit alone."""
    yield from _overlap_claim(audit)
    yield from _leak_claim(audit)
    for metric, name, does in (
        (CONFLICTING, CONFLICTS, "have the features of a row with another label"),
        (REPEATED, DUPLICATES, "repeat an earlier row, label included"),
    ):
        if rule := audit.rule(name):
            severity, limit = share_severity(metric, rule.share, audit.chance)
            because = f"`{audit.dataset}`: {rows_words(rule.found, rule.share)} {does}{_level_tail(severity, limit, audit.chance)}."
            yield DataAuditClaim(metric, rule.share, severity, limit, because)
    if rule := audit.rule(SUSPECTS):
        yield _suspect_claim(audit, rule)


def share_severity(metric: str, share: Interval, chance: float = 0.0) -> tuple[Severity, float]:
    """Return the severity of a share, and its limit. chance: the share that is expected by chance; it raises the limit."""
    value, low = share.value or 0.0, share.low or 0.0
    if chance >= COARSE:
        return "unknown" if value > LEVELS[metric][0] else "ok", LEVELS[metric][0]
    watch, act = (level / (1 - chance) for level in LEVELS[metric])
    if low > act:
        return "act", min(act, 1.0)
    severity: Severity = "watch" if low > watch else "unknown" if value > watch else "ok"
    return severity, min(watch, 1.0)


def rows_words(found: int, share: Interval) -> str:
    """Return the number of rows found, with its share and interval: `60 of 960 rows (6.25 %; 4.9 to 8 %)`."""
    rows = round(share.n)
    if not found:
        return f"none of {rows:,} rows"
    ends = "" if share.low is None or share.high is None else f"; {percent(share.low)} to {percent(share.high)}"
    return f"{found:,} of {rows:,} rows ({percent(found / rows)}{ends})"


def _level_tail(severity: Severity, limit: float, chance: float) -> str:
    """The end of a sentence that names the limit with which a share is compared."""
    part = percent(chance, 2)
    natural = f"; its columns hold few values, so about {part} of the equal rows are expected by chance" if chance >= 0.05 else ""
    if severity == "unknown" and chance >= COARSE:
        return f"{natural}; whether there are more is unknown"
    if severity == "unknown":
        return f"{natural}; whether that exceeds {percent(limit)} is not yet known: it needs more rows"
    return f"{natural}; the limit is {percent(limit)}"


def _overlap_claim(audit: AuditedData) -> Iterator[DataAuditClaim]:
    """Yield the claim about the share of held-out rows that are training rows, if held-out rows were given. Yields nothing for data of a
    model, because the model's leakage audit judges this.
    """
    if audit.leakage_of is not None or not (said := _overlap_words(audit)):
        return
    held = audit.held_out or {}
    share, chance = rate_interval(int(held["in_training"]), int(held["rows"])), float(held.get("chance") or 0.0)
    severity, limit = share_severity(OVERLAP, share, chance)
    ends = ": a metric on them flatters the model" if needs_action(severity) else ""
    because = f"`{audit.dataset}`: {said}{_level_tail(severity, limit, chance)}{ends}."
    yield DataAuditClaim(OVERLAP, share, severity, limit, because)


def _overlap_words(audit: AuditedData) -> str:
    """Words for how many held-out rows equal a training row; empty if no held-out rows were given."""
    held = audit.held_out
    if held is None or not held.get("rows"):
        return ""
    shared, rows = int(held["in_training"]), int(held["rows"])
    said = rows_words(shared, rate_interval(shared, rows)).replace(" rows", " held-out rows", 1)
    same = f", {int(held['same_label']):,} with its label" if shared else ""
    same += f", {int(held['near']):,} more nearly" if held.get("near") else ""
    return f"{said} have the features of a training row{same}"


def _leak_claim(audit: AuditedData) -> Iterator[DataAuditClaim]:
    """Yield the claim about the column that predicts the label best: whether this column alone reveals the label. Yields nothing for data
    of a model, because the model's leakage audit judges this.
    """
    if audit.leakage_of is not None:
        return
    for name, share in list(audit.columns_alone.items())[:1]:
        severity, limit = share_severity(LEAK, share)
        ends = f"{percent(share.low or 0.0)} to {percent(share.high or 0.0)}"
        way = f"label predictability {percent(share.value or 0.0)} ({ends}; 0 % chance, 100 % perfect)"
        others = [column for column, each in audit.columns_alone.items() if needs_action(share_severity(LEAK, each)[0]) and column != name]
        asked = "Were they" if others else "Was it"
        more = f" Also {join_words([f'`{other}`' for other in others[:3]])}." if others else ""
        because = {
            "ok": f"No column of `{audit.dataset}` alone gives the label: `{name}` has the highest {way}; the limit is {percent(limit)}.",
            "unknown": f"Whether `{name}` of `{audit.dataset}` alone gives the label is unknown: {way}; more rows are needed.",
        }.get(
            severity,
            f"`{name}` of `{audit.dataset}` alone gives the label, {way}.{more} {asked} known at prediction time?",
        )
        yield DataAuditClaim(LEAK, share, severity, limit, because, evidence={"column": name})


def _suspect_claim(audit: AuditedData, rule: AuditedRule) -> DataAuditClaim:
    """The claim about the share of suspect labels. It is a warning if a model is better without these rows."""
    gain = rule_gain(rule)
    said = f"`{audit.dataset}`: the labels of {rows_words(rule.found, rule.share)} are suspect"
    better = gain is not None and gain.low is not None and gain.low > 0
    severity: Severity = "watch" if better and (rule.share.low or 0.0) > LEVELS[SUSPECT][0] else "ok"
    limit = LEVELS[SUSPECT][0] if severity == "watch" else None
    return DataAuditClaim(SUSPECT, rule.share, severity, limit, f"{said}; {rule_effect_words(rule)}.")


def rule_gain(rule: AuditedRule) -> Interval | None:
    """Return how much better the metric is without the rows found by a check (negative if it is worse); None if it was not measured."""
    if rule.metric is None or rule.before is None or rule.after is None:
        return None
    sign = -1.0 if rule.metric in METRICS and METRICS[rule.metric].better == "low" else 1.0
    ends = [None if end is None else sign * end for end in (rule.low, rule.high)]
    low, high = ends if sign > 0 else ends[::-1]
    return Interval(sign * (rule.after - rule.before), low, high, 0)


def rule_effect_words(rule: AuditedRule) -> str:
    """Return words for the effect on a model of dropping the rows found by a check: the metric with these rows, without them, and the
    difference.
    """
    if rule.before is None or rule.after is None or rule.metric is None:
        return "no model was fitted without them"
    title = METRICS[rule.metric].title if rule.metric in METRICS else rule.metric
    if rule.low is None or rule.high is None:
        return f"{title} {format_figure(rule.before)} of a model with all rows"
    ends = f"{format_figure(rule.low, 3, sign=True)} to {format_figure(rule.high, 3, sign=True)}"
    gap = f"{format_figure(rule.after - rule.before, 3, sign=True)}, 95 % interval {ends}"
    return f"{title} {format_figure(rule.before)} with them, {format_figure(rule.after)} without ({gap})"


def data_audit_lines(audit: AuditedData) -> list[str]:
    """Return the findings of an audit as lines of text. Findings that are judged by a limit come first."""
    claims = data_audit_claims(audit)
    lines = [f"{STATE_WORDS[claim.severity]}: {claim.because.replace('`', '')}" for claim in claims]
    unjudged = [rule for rule in audit.rules if rule.name in (NEAR_DUPLICATES, OUTLIERS) or (rule.own and 0 < rule.found < audit.rows)]
    lines += [f"{rule.name}: {rows_words(rule.found, rule.share)}; {rule_effect_words(rule)}." for rule in unjudged]
    effects = [rule for rule in audit.rules if rule.name in (CONFLICTS, DUPLICATES) and rule.found and rule.metric]
    lines += [f"{rule.name}: {rule_effect_words(rule)}." for rule in effects]
    if audit.leakage_of is not None:
        lines += [f"{said[0].upper()}{said[1:]}."] if (said := _overlap_words(audit)) else []
        lines.append(f"The leakage audit of {' '.join(audit.leakage_of)} judges how well each column alone predicts the label.")
    return [f"  {line}" for line in (*lines, *audit_notes(audit))]


def audit_notes(audit: AuditedData) -> list[str]:
    """Return the notes of an audit: which rows were not analyzed, why no effect was measured, and the served version."""
    found = []
    among = audit.content.get("near_duplicates_among")
    if isinstance(among, int) and among < audit.rows:
        found.append(f"Near-duplicates were looked for among {among:,} of {audit.rows:,} rows.")
    if own := audit.content.get("model_without_suspects"):
        found.append(f"{suspect_accuracy_words(own)} A fitted model contradicts suspect labels; people have not checked them.")
    extremes = {0: "no row", audit.rows: "every row"}
    found += [
        f"The rule {rule.name} drops {extremes[rule.found]}: its effect on a model was not measured."
        for rule in audit.rules
        if rule.own and rule.found in extremes
    ]
    if obstacle := audit.content.get("no_model_because"):
        found.append(f"No model was fitted: {obstacle}.")
    return found


STATE_WORDS: dict[Severity, str] = {"act": "Critical", "watch": "Warning", "unknown": "Unknown", "ok": "OK"}
