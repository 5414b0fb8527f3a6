"""Write SQL for figures of the devices of a training run, from their readings."""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause

MOST_READINGS = 50_000
"""Maximum number of readings that are read; the newest of all runs (`analyzers/training/runs.py`)."""
FIGURES_OF_DEVICES = {
    "device_temperature": ("quantile_cont(temperature_c, 0.9)", "NOT isnan(temperature_c)"),
    "device_idle_share": ("avg((utilisation < 0.1)::INTEGER)", "NOT isnan(utilisation)"),
    "device_power_drop": (
        "median(watts) FILTER (place > n - ceil(n / 4)) / median(watts) FILTER (place <= n // 2)",
        "NOT isnan(watts) AND NOT isnan(utilisation)",
    ),
}
"""For each metric: the figure over the readings of a device, and which readings have what the figure needs. place: position in order of
time, from 1, among n.
"""


def run_device_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a figure of one device of a run; None if the finding does not name the device."""
    kept = finding.evidence.get("reader")
    if kept is None:
        return None
    figure, known = FIGURES_OF_DEVICES[finding.metric]
    read = where_clause([f'"at" < {time_literal(context.window.end)}', *known_record_conditions(context)])
    own = [
        f"run = {text_literal(finding.subject.removeprefix('run:').rpartition('/device:')[0])}",
        f"device = {text_literal(kept['device'])}",
    ]
    own += [f"coalesce(host, '') = {text_literal(kept['host'])}", known]
    return f"""WITH readings AS (
  SELECT * FROM resources {read} ORDER BY "at" DESC LIMIT {MOST_READINGS}
), known AS (
  SELECT *, row_number() OVER (ORDER BY "at") AS place, count(*) OVER () AS n FROM readings {where_clause(own)}
)
SELECT {figure} AS {finding.metric} FROM known"""
