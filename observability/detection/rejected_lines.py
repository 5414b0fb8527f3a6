"""Check ingest counters: rejected lines, duplicate lines and unregistered columns."""

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
"""Limits for `watch` and `act`. Retrying loggers repeat about one line in a thousand; one rejected line in twenty is data loss."""
MINIMUM_LINES = 100
COLUMN_SHARE, COLUMN_ROWS = 0.01, 10
"""Minimum share and number of predictions with an unregistered column; fewer are treated as typing errors."""
NAMED = 5
SAID = {"duplicate_rate": "repeated a prediction that was already stored", "rejected_rate": "broke a rule and were rejected"}


def line_claims(context: Context, rows: int) -> list[QualityClaim]:
    """Return claims from ingest counters; empty where there are none in these hours. rows: predictions in the window."""
    if context.window.slice is not None:
        return []
    counters = context.counters
    parts = {"duplicate_rate": counters.get("duplicates", 0), "rejected_rate": counters.get("rejected", 0)}
    lines = counters.get("stored", 0) + sum(parts.values())
    claims = [line_rate_claim(metric, int(hits), int(lines), context) for metric, hits in parts.items()] if lines else []
    return [*claims, *unknown_columns(context, rows)]


def line_rate_claim(metric: str, hits: int, lines: int, context: Context) -> QualityClaim:
    """Return the claim about one rate; it exceeds a limit when the low end of its interval does."""
    at = quality_limits(context, metric, *LIMITS[metric])
    known = rate_interval(hits, lines)
    assert known.low is not None
    because = f"{hits:,} of {rounded_count(lines, 'line')} that arrived {SAID[metric]} ({quality_percent(hits / lines)})"
    base = replace(
        rejected_finding(context, metric, lines),
        value=known.value,
        low=known.low,
        high=known.high,
        likely_source="system",
        rank=1 + hits / lines,
    )
    if lines < MINIMUM_LINES:
        finding = replace(base, because=f"{because}: too few to judge by, it needs about {MINIMUM_LINES - lines} more.")
    else:
        finding = replace(base, severity=by_size(known.low, at), because=f"{because}.")
    return QualityClaim(finding, float("nan"), at)


def unknown_columns(context: Context, rows: int) -> list[QualityClaim]:
    """Return the claim about features that no version was registered with; empty where there are none."""
    columns = context.counters.get("unknown_columns") or {}
    often = {
        name: n for name, n in sorted(columns.items(), key=lambda each: (-each[1], each[0])) if n >= max(COLUMN_ROWS, COLUMN_SHARE * rows)
    }
    if not columns:
        return []
    named = ", ".join(f"`{name}` in {rounded_count(n, 'prediction')}" for name, n in list((often or columns).items())[:NAMED])
    more = f" and {len(often) - NAMED} more" if len(often) > NAMED else ""
    count = float(len(often or columns))
    finding = replace(
        rejected_finding(context, "unknown_columns", rows),
        value=count,
        low=count,
        high=count,
        against="reference",
        severity="watch" if often else "ok",
        likely_source="input",
        rank=1.0,
        because=f"{rounded_count(count, 'unregistered column')} arrived: {named}{more}.",
        evidence={"columns": dict(often or columns)},
    )
    return [QualityClaim(finding, float("nan"), (0.0, 0.0))]


def rejected_finding(context: Context, metric: str, n: int) -> Finding:
    """Return the finding of severity `unknown` about the lines of all versions."""
    return undecided_quality(context, "model", metric, n, "", against="level", whole_model=True)
