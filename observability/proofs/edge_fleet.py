"""Write SQL for shares of the devices that serve a model, from their reports. Each device counts once."""

from datetime import timedelta

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.metrics.edge_fleet import DISAGREES, GROUPS, LATE_HOURS, MEASURES, MIN_COMPARED
from observability.proofs.rows import known_record_conditions, number_literal, text_literal, time_literal, where_clause

FLAGS = {
    "device_late_share": f"CASE WHEN lag IS NOT NULL THEN lag > {number_literal(LATE_HOURS)} END",
    "device_crash_share": "crashes > 0",
    "device_memory_share": "out_of_memory > 0",
    "device_disagree_share": f"CASE WHEN compared >= {MIN_COMPARED} "
    f"THEN coalesce(1 - agreed / compared > {number_literal(DISAGREES)}, false) END",
}
"""For each metric, SQL that tells whether a device has the property; null if this is unknown."""
PAST_DAYS, GRACE_DAYS = 28, 14
"""First value: reports from up to this many days before the window show when a version was first seen. Second value: this many days after
that, it should have replaced the version before.
"""


def devices_sql(finding: Finding, context: Context) -> str:
    """SQL for the devices of a model in the window (`devices`): their groups according to the newest report, and figures over all their
    reports.
    """
    groups = ", ".join(f'arg_max({name}, "at")::VARCHAR AS {name}' for name in GROUPS)
    return f"""devices AS (
  SELECT device, {groups}, sum(crashes) AS crashes, sum(out_of_memory) AS out_of_memory, sum(compared) AS compared, sum(agreed) AS agreed,
    max(date_diff('microsecond', coalesce(oldest_at, "at"), synced_at)) / 3.6e9 AS lag
  FROM device_reports
  {where_clause([*_of_model(finding, context), f'"at" >= {time_literal(finding.start)}'])}
  GROUP BY device
)"""


def device_share_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of devices that have a property. If the finding is about a group, only devices of the group count."""
    group, level = finding.evidence.get("group"), finding.evidence.get("level")
    where = ["flag IS NOT NULL", *([f"{group} = {text_literal(str(level))}"] if group else [])]
    return f"""WITH {devices_sql(finding, context)}, flagged AS (
  SELECT *, {FLAGS[finding.metric]} AS flag FROM devices
)
SELECT count(*) FILTER (flag) / count(*) AS {finding.metric} FROM flagged
{where_clause(where)}"""


def stale_share_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of outdated devices: their version is older than the newest version that was first reported at least two weeks
    ago.
    """
    since = time_literal(finding.start - timedelta(days=PAST_DAYS))
    settled = time_literal(finding.end - timedelta(days=GRACE_DAYS))
    return f"""WITH {devices_sql(finding, context)}, versions AS (
  SELECT version, min("at") AS first FROM device_reports
  {where_clause([*_of_model(finding, context), f'"at" >= {since}', "version IS NOT NULL"])}
  GROUP BY version
), fresh AS (
  SELECT version FROM versions
  WHERE first > {settled}
    OR version = (SELECT arg_max(version, struct_pack(a := first, b := version)) FROM versions WHERE first <= {settled})
)
SELECT count(*) FILTER (version IS NULL OR version NOT IN (SELECT version FROM fresh)) / count(*) AS device_stale_share FROM devices"""


def latency_ratio_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the mean ratio of each device's latency to its own past. If the finding is about a group, only devices of the group
    count.
    """
    if finding.against != "past":
        return None
    group, level = finding.evidence.get("group"), finding.evidence.get("level")
    since = time_literal(finding.start - timedelta(days=PAST_DAYS))
    column = f'arg_max({group}, "at")::VARCHAR' if group else "NULL"
    part = f"WHERE part = {text_literal(str(level))}" if group else ""
    value = "median(latency_p99_ms::DOUBLE)"
    known = _of_model(finding, context)
    return f"""WITH now AS (
  SELECT device, {column} AS part, {value} AS latency FROM device_reports
  {where_clause([*known, f'"at" >= {time_literal(finding.start)}'])}
  GROUP BY device HAVING {value} > 0
), past AS (
  SELECT device, {value} AS latency FROM device_reports
  {where_clause([*known, f'"at" >= {since}', f'"at" < {time_literal(finding.start)}'])}
  GROUP BY device HAVING {value} > 0
)
SELECT exp(avg(ln(now.latency / past.latency))) AS device_latency_ratio FROM now JOIN past USING (device)
{part}"""


def ring_gap_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of a ring's devices that crashed on a version, minus the share that crashed on earlier versions on the same
    days.
    """
    version, ring = (text_literal(str(finding.evidence[name])) for name in ("version", "ring"))
    return f"""WITH reports AS (
  SELECT device, version = {version} AS fresh, ring, crashes, "at" FROM device_reports
  {where_clause([*_of_model(finding, context), f'"at" >= {time_literal(finding.start)}', "version IS NOT NULL"])}
), devices AS (
  SELECT device, fresh, sum(crashes) > 0 AS crashed FROM reports
  WHERE CASE WHEN fresh THEN ring = {ring} ELSE "at" >= (SELECT min("at") FROM reports WHERE fresh AND ring = {ring}) END
  GROUP BY device, fresh
)
SELECT avg(crashed::INTEGER) FILTER (fresh) - avg(crashed::INTEGER) FILTER (NOT fresh) AS ring_crash_gap FROM devices"""


def _of_model(finding: Finding, context: Context) -> list[str]:
    """The conditions that select the reports about a finding's model, up to the end of its window."""
    return [f"model = {text_literal(finding.model or '')}", f'"at" < {time_literal(finding.end)}', *known_record_conditions(context)]


EDGE_FLEET_PROOFS: Proofs = {
    **{measure.metric: device_share_proof for measure in MEASURES},
    "device_stale_share": stale_share_proof,
    "ring_crash_gap": ring_gap_proof,
    "device_latency_ratio": latency_ratio_proof,
    "device_latency_ratio otherwise": "it compares devices without a past with the others",
}
