"""Checks the counters of ingestion: rejected lines, duplicate lines and unregistered columns.

Only lines sent by services are counted: a person who loads a file sees in the output which lines are rejected.
"""

from dataclasses import replace

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.detection.significant_claims import (
    QualityClaim,
    by_size,
    quality_limits,
    quality_percent,
    rounded_count,
    undecided_quality,
)
from observability.stats.interval import rate_interval

LIMITS = {"duplicate_rate": (0.01, 0.1), "rejected_rate": (0.01, 0.05)}
"""Limits for `watch` and `act`. Loggers that retry repeat about one line in a thousand; one rejected line in twenty is data loss."""
MINIMUM_LINES = 100
KEEPS_COMING = 3
"""Such lines are a fault of the system only if they arrive in at least this many hours. A single faulty start or repeated transfer ends
sooner.
"""
MAX_RULES = 3
COUNTERS = {"duplicate_rate": ("duplicates", "duplicate_hours"), "rejected_rate": ("rejected", "rejected_hours")}
"""For each metric, the counter of lines, and the counter of hours in which such lines arrived."""
COLUMN_SHARE, COLUMN_ROWS = 0.01, 10
"""An unregistered column is reported if at least this share, and this number, of predictions have it; fewer are treated as typing
errors.
"""
NAMED = 5
SAID = {"duplicate_rate": "repeated a prediction that was already stored", "rejected_rate": "broke a rule and were rejected"}


def line_claims(context: Context, rows: int) -> list[QualityClaim]:
    """Return the claims from the counters of ingestion; empty without counters for these hours. rows: number of predictions in the
    window.
    """
    if context.window.slice is not None:
        return []
    counters = context.counters
    parts = {metric: (int(counters.get(name, 0)), int(counters.get(hours, 0))) for metric, (name, hours) in COUNTERS.items()}
    lines = int(counters.get("stored", 0)) + sum(hits for hits, _ in parts.values())
    claims = [line_rate_claim(metric, hits, lines, hours, context) for metric, (hits, hours) in parts.items()] if lines else []
    return [*claims, *unknown_columns(context, rows)]


def line_rate_claim(metric: str, hits: int, lines: int, hours: int, context: Context) -> QualityClaim:
    """Return the claim about one rate. The rate counts as beyond a limit if the lower end of its interval is.

    hours: hours in which such lines arrived. With fewer than KEEPS_COMING hours it is not clear whether more will come.
    """
    at = quality_limits(context, metric, *LIMITS[metric])
    known = rate_interval(hits, lines)
    assert known.low is not None
    because = f"{hits:,} of {rounded_count(lines, 'line')} that services sent {SAID[metric]} ({quality_percent(hits / lines)})"
    if metric == "rejected_rate" and hits:
        because += f": {broken_rules(context)}"
    base = replace(
        rejected_finding(context, metric, lines),
        value=known.value,
        low=known.low,
        high=known.high,
        likely_source="system",
        rank=1 + hits / lines,
    )
    if lines < MINIMUM_LINES:
        finding = replace(base, because=f"{because}. Too few to judge: about {MINIMUM_LINES - lines} more are needed.")
    elif hours < KEEPS_COMING and by_size(known.low, at) != "ok":
        finding = replace(
            base,
            likely_source=None,
            because=f"{because}. They came in {rounded_count(hours, 'hour')}: whether they keep coming is not yet known, that needs such "
            f"lines in {KEEPS_COMING} hours.",
        )
    elif by_size(hits / lines, at) != "ok" == by_size(known.low, at):
        finding = replace(
            base, because=f"{because}. Whether that is beyond {quality_percent(at[0])} is not yet known, it needs more lines."
        )
    else:
        finding = replace(base, severity=by_size(known.low, at), because=f"{because}.")
    return QualityClaim(finding, float("nan"), at)


def broken_rules(context: Context) -> str:
    """Return words for the rules that rejected lines broke, most frequent first, each with its number of lines."""
    rules = context.counters.get("rules") or {}
    often = sorted(rules.items(), key=lambda rule: (-rule[1], rule[0]))
    more = f"; and {rounded_count(len(often) - MAX_RULES, 'more rule')}" if len(often) > MAX_RULES else ""
    return "; ".join(f"{rule} ({rounded_count(n, 'line')})" for rule, n in often[:MAX_RULES]) + more or "their rules were not recorded"


def unknown_columns(context: Context, rows: int) -> list[QualityClaim]:
    """Return the claim about features with which no version was registered; empty without such features."""
    columns = context.counters.get("unknown_columns") or {}
    often = {
        name: n for name, n in sorted(columns.items(), key=lambda each: (-each[1], each[0])) if n >= max(COLUMN_ROWS, COLUMN_SHARE * rows)
    }
    if not columns:
        return []
    named = ", ".join(f"`{name}` in {rounded_count(n, 'prediction')}" for name, n in list((often or columns).items())[:NAMED])
    more = f" and {len(often) - NAMED} more" if len(often) > NAMED else ""
    count = float(len(often))
    rare = "" if often else ", in too few predictions to count"
    finding = replace(
        rejected_finding(context, "unknown_columns", rows),
        value=count,
        low=count,
        high=count,
        against="reference",
        severity="watch" if often else "ok",
        likely_source="input",
        rank=1.0,
        because=f"{rounded_count(len(often or columns), 'unregistered column')} arrived{rare}: {named}{more}.",
        evidence={"columns": dict(often or columns)},
    )
    return [QualityClaim(finding, float("nan"), (0.0, 0.0))]


def rejected_finding(context: Context, metric: str, n: int) -> Finding:
    """Return the finding of severity `unknown` about the lines of all versions."""
    return undecided_quality(context, "model", metric, n, "", against="level", whole_model=True)
