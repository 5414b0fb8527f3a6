"""The page of devices that serve a model: groups of devices compared, versions by day, late answers, and the rings of a roll-out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.serving import edge_fleet as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import format_figure, hours_in_words, percent
from observability.core.window import Window
from observability.dashboard import clicks, empty_states, frame, load, sample_figures
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns, severity_cell, share_cell
from observability.dashboard.charts import edge_fleet as charts_edge_fleet
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.data.records_summary import dates_note
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import cut_note, plain_paragraph
from observability.detection.roll_out_rings import ring_criteria, rolled_out_version
from observability.metrics.edge_fleet import (
    GROUPS,
    LATE_HOURS,
    MEASURES,
    REPORTS,
    VERSIONS_EVER,
    arrival_by_age,
    first_seen,
    report_lag_hours,
    restated_days,
    ring_order,
)
from observability.metrics.late_answers import ANSWER_ROWS
from observability.stats.interval import rate_interval

HOW = """import observability as obs
log = obs.Logger(url="https://observability.example.com", token="…")   # keeps records while it is offline
log.device_report(device="d17", model="cough", version="2", device_class="phone", firmware="5.2", ring="ring 1",
                  at="2026-03-02T20:00:00Z", oldest_at="2026-03-02T08:00:00Z", synced_at="2026-03-02T21:10:00Z",
                  answers=60, crashes=0, out_of_memory=0, compared=20, agreed=20, battery=0.7, memory_peak_mb=181)"""
TITLES = {"late": "Late", "crashed": "Crashed", "starved": "Out of memory", "differs": "Differs from server"}
COLUMNS = (
    column("group", "Group", strong=True),
    column("devices", "Devices", align="right"),
    *(
        column(each.flag, TITLES[each.flag], align="right", help=f"Devices that {each.words}", phone=each.flag in ("late", "crashed"))
        for each in MEASURES
    ),
    column(
        "latency",
        "Latency p99",
        align="right",
        help="Median over devices of the p99 latency that they report; below it the 99th percentile over devices",
    ),
    column("lag", "Lag p95", align="right", phone=False, help="95th percentile over devices of their longest lag"),
    column("battery", "Battery p5", align="right", phone=False, help="5th percentile over devices of their lowest charge"),
    column("memory", "Memory p95", align="right", phone=False, help="95th percentile over devices of their highest memory use"),
)
MAX_RESTATED = 7
RESTATED = (
    column("day", "Changed day", strong=True, help=f"Days with reports that arrived more than {LATE_HOURS:g} h after their end"),
    column("late", "Late reports", align="right", phone=False),
    column("answers", "Answers", align="right", help="Before the late reports, and now"),
    column("devices", "Devices", align="right", phone=False),
    column("crashed", "Crashed devices", align="right", help="Share of the day's devices, before the late reports and now"),
)
LATE_ANSWERS = (
    column("day", "Day", strong=True),
    column("answers", "Answers", align="right", phone=False, help=f"Of at most {ANSWER_ROWS:,} answers of the dates, drawn at random"),
    column("late", "Sent late", align="right", help=f"More than {LATE_HOURS:g} h after the end of the day, by `synced_at`"),
)
RINGS = columns_on_phone(
    "ring state new",
    column("ring", "Ring", strong=True, width="5rem", short=True),
    column("state", "Criterion", width="9rem"),
    column("new", "New version", align="right", width="8rem", help="Devices on the newest version, and the share of them that crashed"),
    column("old", "Earlier versions", align="right", width="8rem", help="Devices on earlier versions, and the share of them that crashed"),
    column("said", "Why", wide=True),
)


def reports_in_scope(scope: Scope) -> tuple[pd.DataFrame, Window]:
    """The reports in the window of device reports, and that window."""
    window = load.window_of_records(scope, judged.ANALYZER)
    rows = load.ask_store(REPORTS, window)
    return (rows[rows["model"] == scope.model] if scope.model else rows), window


def no_reports() -> None:
    """Draw the empty state: no report in these dates, or, if the store has no report at all, how to log one."""
    step = "One record per synchronisation shows late, crashing and differing devices."
    empty_states.not_logged_state(
        "device_report",
        "device reports",
        "No device that serves a model has reported yet.",
        step,
        HOW,
        ("Versions of devices by day", _sample_figure),
    )


def one_model(reports: pd.DataFrame, scope: Scope) -> str:
    """The model whose devices are shown: the model of the scope, else the one with most reports."""
    return scope.model or str(reports["model"].mode().iloc[0])


def fleet_summary(model: str, reports: pd.DataFrame, spans: pd.DataFrame, window: Window) -> None:
    """Draw how many devices and reports there are, and whether the reports are simulated."""
    versions = formatting.plural(spans["version"].nunique(), "version")
    said = f"**{formatting.plural(len(spans), 'device')}** of {formatting.escape_markdown(model)} on {versions}"
    said += f"{dates_note(window)}: {len(reports):,} reports"
    total = reports["answers"].astype(float).sum()
    said += f" of {total:,.0f} answers." if total > 0 else "."
    if (reports["source"] == "simulated").all():
        said += " These reports are simulated."
    st.markdown(said)


def groups_table(spans: pd.DataFrame) -> None:
    """Draw a table with a row for each level of the chosen column: the share of its devices with each property, and its figures."""
    with_levels = [name for name in GROUPS if spans[name].notna().any()]
    missing = "The link groups devices by {}, which no report says."
    chosen = address_selectbox(
        "by", "Group devices by", with_levels, words=GROUPS.__getitem__, placeholder=GROUPS[with_levels[0]], missing=missing, width=220
    )
    by = chosen or with_levels[0]
    lines = []
    for level, part in sorted(spans[spans[by].notna()].groupby(by), key=lambda pair: ring_order(str(pair[0]))):
        cells: dict[str, Cell] = {key["key"]: dict(UNKNOWN_CELL) for key in COLUMNS}
        cells |= {"group": {"t": str(level)}, "devices": {"t": f"{len(part):,}"}}
        for measure in MEASURES:
            known = part[measure.flag].dropna()
            if len(known):
                cells[measure.flag] = share_cell(*rate_interval(float(known.sum()), len(known)).triple)
        for key, q, unit in (("lag", 0.95, "h"), ("battery", 0.05, ""), ("memory", 0.95, "MB")):
            values = part[key].astype(float).dropna()
            if len(values):
                value = float(np.quantile(values, q))
                cells[key] = {"t": percent(value, 2) if key == "battery" else f"{format_figure(value, 3)} {unit}"}
        latency = part["latency"].astype(float).dropna()
        if len(latency):
            middle, high = (format_figure(float(np.quantile(latency, q)), 3) for q in (0.5, 0.99))
            cells["latency"] = {"t": f"{middle} ms", "sub": f"p99 {high} ms"}
        lines.append(table_row(cells))
    draw_table("edge-groups", f"Devices by {GROUPS[by]}", filled_columns(COLUMNS, lines, ("group", "devices")), lines)


def versions_seen(model: str, window: Window) -> dict[str, datetime]:
    """For each version of a model, the time at which it was first reported, which may be before the window."""
    rows = load.ask_store(VERSIONS_EVER, window)
    return first_seen([rows[rows["model"] == model]])


def version_days(reports: pd.DataFrame, seen: Mapping[str, datetime]) -> tuple[pd.DataFrame, list[str]]:
    """For each version and day, the number and share of the devices that reported it; and all versions in the order of their first
    report.
    """
    table = reports.assign(day=reports["at"].dt.floor("D"))
    newest = table.sort_values("at", kind="stable").groupby(["day", "device"], as_index=False).last()
    counts = newest.groupby(["version", "day"]).agg(devices=("device", "nunique")).reset_index()
    counts["share"] = counts["devices"] / counts.groupby("day")["devices"].transform("sum")
    days = pd.DataFrame({"day": sorted(counts["day"].unique())})
    versions = sorted(seen, key=lambda version: (seen[version], version))
    shown_versions = [each for each in versions if (counts["version"] == each).any()]
    parts = [days.merge(counts[counts["version"] == each], how="left").assign(version=each) for each in shown_versions]
    shown = pd.concat(parts, ignore_index=True).fillna({"devices": 0, "share": 0.0})
    return shown, versions


def _sample_figure(folder: Path) -> Any:
    """The chart of versions by day from the reports of the sample."""
    reports = pd.read_parquet(folder / "edge.reports.parquet")
    reports["at"] = sample_figures.naive_times(reports["at"])
    return charts_edge_fleet.version_shares(*version_days(reports, first_seen([reports])))


def version_chart(reports: pd.DataFrame, seen: Mapping[str, datetime], found: Sequence[Finding]) -> None:
    """Draw, by day, the share of reporting devices on each version, and name the share on an old version. found: findings about the
    devices.
    """
    shown, versions = version_days(reports, seen)
    last = shown[shown["day"] == shown["day"].max()].sort_values("share").iloc[-1]
    alt = f"On the last day {formatting.format_share(last['share'])} of devices reported version {last['version']}."
    st.header("Versions by day", anchor=False)
    for stale in found:
        if stale.metric == judged.STALE and stale.value is not None:
            share = formatting.value_with_interval(stale.value, stale.low, stale.high, "share")
            plain_paragraph(f"On a version replaced two weeks ago or earlier: {share} of {formatting.plural(stale.n, 'device')}.")
    figure, on_drag = charts_edge_fleet.version_shares(shown, versions), clicks.DateSelection("edge-versions", shown["day"])
    frame.chart_with_table(figure, shown, key="edge-versions", alt=alt, metrics=(judged.STALE,), on_select=on_drag)


def lag_chart(reports: pd.DataFrame) -> None:
    """Draw, by day, how late reports arrive."""
    table = pd.DataFrame({"day": reports["at"].dt.floor("D"), "lag": report_lag_hours(reports)}).dropna()
    if table.empty:
        return
    days = table.groupby("day")["lag"].agg(p50="median", p95=lambda lag: lag.quantile(0.95), n="size").reset_index()
    st.header("Delay until arrival", anchor=False)
    arrived = [
        f"{percent(share, 2)} after {hours_in_words(hour)}" for hour, share in arrival_by_age(reports).items() if hour in (6, 24, 72)
    ]
    if arrived:
        plain_paragraph(f"Answers that had arrived: {formatting.join_words(arrived)}.")
    alt = f"The 95th percentile of the lag is between {days['p95'].min():.3g} and {days['p95'].max():.3g} hours."
    figure, on_drag = charts_edge_fleet.lag_lines(days, LATE_HOURS), clicks.DateSelection("edge-lag", days["day"])
    frame.chart_with_table(figure, days, key="edge-lag", alt=alt, metrics=("device_late_share",), on_select=on_drag)


def restated_table(reports: pd.DataFrame) -> None:
    """Draw the newest days whose figures changed because reports came late, with the figures before and after. Draws nothing if no report
    came late.
    """
    days = restated_days(reports)
    if days.empty:
        return
    lines = []
    for row in days.head(MAX_RESTATED).to_dict("records"):
        shares = [row[f"crashed{when}"] / row[f"devices{when}"] if row[f"devices{when}"] else None for when in ("_before", "")]
        words = [formatting.DASH if share is None else percent(share, 2) for share in shares]
        more = row["answers"] - row["answers_before"]
        cells: dict[str, Cell] = {"day": {"t": formatting.format_day(row["day"])}, "late": {"t": f"{row['late']:,}"}}
        cells["answers"] = {"t": f"{row['answers_before']:,.0f} → {row['answers']:,.0f}", "sub": f"{more:+,.0f}"}
        cells["devices"] = {"t": f"{row['devices_before']:,} → {row['devices']:,}"}
        cells["crashed"] = {"t": words[0] if words[0] == words[1] else f"{words[0]} → {words[1]}"}
        lines.append(table_row(cells))
    draw_table("edge-restated", "Days that late reports changed", RESTATED, lines)
    cut_note(len(days), MAX_RESTATED, "The newest {0} of {1} changed days.")


def late_answers_table(scope: Scope, model: str) -> None:
    """Draw the newest days whose figures changed after they were shown, because answers of a model came late. Draws nothing if no day
    changed much.
    """
    if model not in load.catalog().by_name:
        return
    known = load.late_answers_in(load.window(scope, model))
    if known is None or not known.words:
        return
    lines = []
    for row in known.changed[::-1].head(MAX_RESTATED).to_dict("records"):
        share = share_cell(*rate_interval(float(row["late"]), int(row["answers"])).triple)
        lines.append(table_row({"day": {"t": formatting.format_day(row["day"])}, "answers": {"t": f"{row['answers']:,}"}, "late": share}))
    plain_paragraph(known.words)
    draw_table("edge-late-answers", "Days that late answers changed", LATE_ANSWERS, lines)
    cut_note(len(known.changed), MAX_RESTATED, "The newest {0} of {1} changed days.")


def ring_section(reports: pd.DataFrame, model: str, seen: Mapping[str, datetime]) -> None:
    """Draw the rings of the roll-out of the newest version, each with its stop criterion. Draws nothing unless devices in the window are on
    two versions.

    seen: for each version, when it was first reported.
    """
    newest = rolled_out_version(reports, seen)
    if newest is None:
        return
    criterion = judged.stop_criterion(load.catalog().by_name, model)
    st.header(f"Roll-out of version {formatting.escape_markdown(newest)}", anchor=False)
    gap = f"{100 * criterion:g} point{'' if 100 * criterion == 1 else 's'}"
    plain_paragraph(f"A ring stops if its crash rate is significantly more than {gap} above that of earlier versions.")
    lines = []
    for ring in ring_criteria(reports, newest, criterion):
        (hits, n), (old_hits, old_n) = ring.new, ring.old
        word = {"act": "Stop", "ok": "Go on"}.get(ring.severity, "Cannot tell yet")
        cells: dict[str, Cell] = {"ring": {"t": ring.ring}, "state": severity_cell(ring.severity, word), "said": {"t": ring.reason}}
        cells["new"] = {"t": f"{n:,}", "sub": f"{percent(hits / n, 2)} crashed" if n else None}
        cells["old"] = {"t": f"{old_n:,}", "sub": f"{percent(old_hits / old_n, 2)} crashed" if old_n else None}
        lines.append(table_row(cells))
    draw_table("edge-rings", f"Rings of version {newest}", RINGS, lines)


def fleet_findings(found: Sequence[Finding], model: str) -> list[Finding]:
    """The findings about the devices of a model."""
    return [each for each in found if each.analyzer == judged.NAME and each.model == model]
