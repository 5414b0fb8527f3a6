"""Which lines did the loader refuse, which did it see twice, and which columns does nobody know?"""

from dataclasses import replace

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.detection.significant_claims import Claim, blank, by_size, limits, percent, plural
from observability.stats.interval import rate_interval

LIMITS = {"duplicate_rate": (0.01, 0.1), "rejected_rate": (0.01, 0.05)}
"""A logger that retries repeats a line in a thousand now and then. One refused line in twenty is data that is lost."""
MINIMUM_LINES = 100
COLUMN_SHARE, COLUMN_ROWS = 0.01, 10
"""A column that nobody registered is worth a word once it is in one prediction of a hundred, and in ten of them: less is a typing error."""
NAMED = 5
SAID = {"duplicate_rate": "repeated a prediction that was already stored", "rejected_rate": "broke a rule and were rejected"}


def line_claims(context: Context, rows: int) -> list[Claim]:
    """Claims from what the loader counted; none where it counted nothing in these hours. rows: predictions in the window."""
    if context.window.slice is not None:
        return []
    counters = context.counters
    parts = {"duplicate_rate": counters.get("duplicates", 0), "rejected_rate": counters.get("rejected", 0)}
    lines = counters.get("stored", 0) + sum(parts.values())
    claims = [rate_claim(metric, int(hits), int(lines), context) for metric, hits in parts.items()] if lines else []
    return [*claims, *unknown_columns(context, rows)]


def rate_claim(metric: str, hits: int, lines: int, context: Context) -> Claim:
    """One rate against its level: it counts as beyond it when the low end of its interval is."""
    at = limits(context, metric, *LIMITS[metric])
    known = rate_interval(hits, lines)
    assert known.low is not None
    because = f"{hits:,} of {plural(lines, 'line')} that arrived {SAID[metric]} ({percent(hits / lines)})"
    base = replace(
        about(context, metric, lines), value=known.value, low=known.low, high=known.high, likely_source="system", rank=1 + hits / lines
    )
    if lines < MINIMUM_LINES:
        finding = replace(base, because=f"{because}: too few to judge by, it needs about {MINIMUM_LINES - lines} more.")
    else:
        finding = replace(base, severity=by_size(known.low, at), because=f"{because}.")
    return Claim(finding, float("nan"), at)


def unknown_columns(context: Context, rows: int) -> list[Claim]:
    """Features that arrive and that no version was registered with; silent where none is known of."""
    columns = context.counters.get("unknown_columns") or {}
    often = {
        name: n for name, n in sorted(columns.items(), key=lambda each: (-each[1], each[0])) if n >= max(COLUMN_ROWS, COLUMN_SHARE * rows)
    }
    if not columns:
        return []
    named = ", ".join(f"`{name}` in {plural(n, 'prediction')}" for name, n in list((often or columns).items())[:NAMED])
    more = f" and {len(often) - NAMED} more" if len(often) > NAMED else ""
    count = float(len(often or columns))
    finding = replace(
        about(context, "unknown_columns", rows),
        value=count,
        low=count,
        high=count,
        against="reference",
        severity="watch" if often else "ok",
        likely_source="input",
        rank=1.0,
        because=f"{plural(count, 'column')} arrived that the reference does not have: {named}{more}.",
        evidence={"columns": dict(often or columns)},
    )
    return [Claim(finding, float("nan"), (0.0, 0.0))]


def about(context: Context, metric: str, n: int) -> Finding:
    """A finding about the lines of every version."""
    return blank(context, "model", metric, n, "", against="level", whole_model=True)
