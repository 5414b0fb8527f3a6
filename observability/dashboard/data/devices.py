"""The devices page: what each collecting device delivered by day, and how it differs from its own past and from other
devices of its kind.
"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.data import batches as judged_batches
from observability.analyzers.data import devices as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.named_numbers import named_numbers, stacked_numbers
from observability.core.numerals import hours_in_words, percent
from observability.core.window import Window
from observability.dashboard import (
    choice_box,
    clicks,
    empty_states,
    figure_capture,
    frame,
    links,
    load_findings,
    sample_figures,
    theme,
    time_zone,
)
from observability.dashboard.cells import (
    UNKNOWN_CELL,
    attention_note,
    filled_columns,
    first_finding,
    severity_cell,
    severity_order,
    share_cell,
)
from observability.dashboard.charts import collection as charts_collection
from observability.dashboard.charts import records as charts_records
from observability.dashboard.data import batches
from observability.dashboard.data.records_summary import attention_count, dates_note
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_of_table, cut_note, plain_caption
from observability.detection.batch_statistics import ALMOST_CONSTANT, NAMES, NULLS, OUTSIDE, SATURATED, STUCK, device_subject
from observability.detection.device_kinds import FOLLOWED, units_of_kinds
from observability.detection.own_history import MIN_SPREAD
from observability.metrics.collection import (
    Concentration,
    bad_values_by_device,
    device_deliveries,
    devices_behind,
    rejected_rows_by_device,
)
from observability.records.kinds import BATCH_STATISTICS
from observability.stats.arrays import Floats
from observability.stats.column_quantiles import column_medians

ANALYZERS = (judged.NAME, judged_batches.NAME)
METRICS = (OUTSIDE, NULLS, STUCK, SATURATED, "batch_mean", "batch_std")
MAX_TABLE_ROWS = 100
MAX_DRAWN = 60
"""Maximum number of devices that the heat map draws, starting with the most urgent."""
HOW = """import observability as obs
log = obs.Logger()
log.batch(batch="d7 2026-03-02", source="greenhouse", device="d7", rows=1440, rejected_rows=2,
          captured_from="2026-03-01T00:00:00Z", captured_to="2026-03-02T00:00:00Z",
          stats={"temperature": {"mean": 21.4, "std": 3.2, "null_share": 0.01, "stuck_share": 0.0, "out_of_range_share": 0.002}})

# or from a file, with the statistics computed:
# python -m observability profile day.csv --source greenhouse --device d7"""
COLUMNS = columns_on_phone(
    "device status complete rejected",
    column("device", "Device", strong=True),
    column("status", "Status", width="7rem"),
    *number_columns(batches="Batches", rows="Rows in"),
    column("complete", "Completeness", align="right", help="Kept rows ÷ rows of a usual schedule with batches of usual size"),
    column("p50", "Delay p50", align="right", help="Median time from the end of the capture to the arrival"),
    column("p95", "Delay p95", align="right", help="95th percentile of the time from the end of the capture to the arrival"),
    column("rejected", "Rejected", align="right"),
    column("outside", "Out of range", align="right", help="Values outside their column's range, of those checked"),
    column("last", "Newest (UTC)", short=True),
)
MEASURES: dict[str, tuple[str, str]] = {
    OUTSIDE: ("out-of-range values", "share"),
    NULLS: ("missing values", "share"),
    STUCK: ("stuck values", "share"),
    SATURATED: ("saturated values", "share"),
    "batch_rejected_rate": ("rejected rows", "share"),
    "batch_mean": ("mean, distance from its median", "standard deviations"),
    "batch_std": ("standard deviation, distance from its median", "standard deviations"),
    "batch_rows": ("rows ÷ its median", "factor"),
}
"""The values that the heat map can show for each device and day, with their units. A measure of columns is shown for the column in which it
is largest.
"""
BAD = {"out-of-range values": OUTSIDE, "stuck values": STUCK, "saturated values": SATURATED, "missing values": NULLS}


PENDING_CELL: Cell = {"t": "Pending"}
"""The status of a device before its findings are known."""


def no_devices() -> None:
    """Draw the empty state: no batch in these dates, or no batch in the store and how to log one."""
    step = "One record per delivery, with column statistics, shows devices that fail."
    empty_states.not_logged_state(
        "batch", "batches", "No batch has been logged yet.", step, HOW, ("Missing values by device and day", _sample_figure)
    )


def _sample_figure(folder: Path) -> Any:
    """A figure of the sample: the missing values of its devices by day in the newest month."""
    rows = pd.read_parquet(folder / "sensors.batches.parquet", columns=["source", "device", "at", "rows", "stats"])
    rows = rows.assign(at=sample_figures.naive_times(rows["at"]))
    rows = with_subjects(rows[rows["at"] >= rows["at"].max() - pd.Timedelta(days=28)])
    stats = pd.Series([named_numbers(each, BATCH_STATISTICS) for each in rows["stats"]], index=rows.index, dtype=object)
    days = device_days(rows.assign(stats=stats), NULLS)
    labelled = days.assign(label=[device_name(each) for each in days["subject"]])
    name, unit = MEASURES[NULLS]
    return charts_collection.device_day_heatmap(labelled, name=name, unit=unit, selected=None)


def devices_in_scope(scope: Scope) -> tuple[pd.DataFrame, Window]:
    """Return the batches of the chosen dates, with their column statistics as numbers and the `subject` of their device, and these
    dates.
    """
    rows, window = batches.batches_in_scope(scope, BATCH_STATISTICS)
    return with_subjects(rows), window


def known_findings(scope: Scope, rows: pd.DataFrame) -> tuple[list[Finding] | None, bool]:
    """The findings about the batches of devices, and whether newer findings are being computed. The findings are None if the page is drawn
    before they are known.

    A figure that is opened on its own waits for the findings. A page without batches waits too, because there is little to analyze.
    """
    if rows.empty or figure_capture.COLLECTOR.get() is not None:
        return load_findings.scope_record_findings(scope, *ANALYZERS), False
    return load_findings.known_record_findings(scope, *ANALYZERS)


def pending_notice(scope: Scope) -> None:
    """Show that findings are being computed, and draw the page again once they are known."""
    frame.refresh_when_known(partial(load_findings.record_findings_pending, scope, *ANALYZERS), lambda _: "Findings pending.")


def with_subjects(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the batches with the `subject` of their device added."""
    devices = rows["device"].astype(object).where(rows["device"].notna(), None)
    return rows.assign(device=devices, subject=[device_subject(str(s), d) for s, d in zip(rows["source"], devices, strict=True)])


def few_peers_note(rows: pd.DataFrame) -> None:
    """Draw a note on what cannot be known about devices that have few other devices of their kind in these dates; nothing if all have
    enough.
    """
    kinds = units_of_kinds(rows["subject"].tolist(), rows["stats"].tolist())
    few = sum(len(each) for each in kinds.values() if len(each) <= FOLLOWED)
    if few:
        which = formatting.plural(few, "device has", "devices have")
        plain_caption(f"{which} fewer than {FOLLOWED} similar devices to compare with: a seasonal change can hide a wrong mean there.")


def no_past_note(scope: Scope) -> None:
    """Draw why faults within the range *Everything* are not found: it leaves no earlier batches to compare with."""
    if scope.span == "all":
        plain_caption("This time range leaves no earlier batches to compare with. Choose a shorter one to find faults within it.")


def devices_summary(rows: pd.DataFrame, found: Sequence[Finding] | None, window: Window) -> str:
    """Return the numbers of devices and batches and how many devices need attention, as Markdown. found: None if the findings are not known
    yet.
    """
    named = rows["device"].notna()
    devices = formatting.plural(rows.loc[named, "subject"].nunique(), "device")
    if not named.all():
        devices += f" and {formatting.plural(rows.loc[~named, 'subject'].nunique(), 'source')} without one"
    attention = "findings pending" if found is None else attention_count(found, "device")
    return f"**{devices}**, {formatting.plural(len(rows), 'batch', 'batches')}{dates_note(window)}; {attention}."


def device_words(subject: str) -> str:
    """Return a device in words, such as `device d7 of greenhouse`; for batches without a device, `source greenhouse`."""
    source, slash, device = subject.removeprefix("source:").partition("/device:")
    return f"device {device} of {source}" if slash else f"source {source}"


def device_name(subject: str) -> str:
    """The name of a device; for batches without a device, the name of the source."""
    return subject.removeprefix("source:").rpartition("/device:")[2]


def _named_by_subject(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the batches with the subject as `device`, because devices of several sources may share a name; None for a batch without a
    device.
    """
    return rows.assign(device=rows["subject"].where(rows["device"].notna()))


def device_concentrations(rows: pd.DataFrame) -> dict[str, Concentration]:
    """Return for each kind of bad value or row the few devices that delivered most of them. A kind is left out if these devices delivered
    no more than their share.

    A device is given by its name. If another source has a device of this name, the source is added.
    """
    named = _named_by_subject(rows)
    counts = {words: bad_values_by_device(named, NAMES[metric]) for words, metric in BAD.items()}
    counts["rejected rows"] = rejected_rows_by_device(named)
    shared = Counter(map(device_name, named["device"].dropna().unique()))

    def name(subject: str) -> str:
        return device_name(subject) if shared[device_name(subject)] == 1 else device_words(subject).removeprefix("device ")

    found = {words: devices_behind(each) for words, each in counts.items()}
    return {words: replace(each, names=tuple(map(name, each.names))) for words, each in found.items() if each is not None}


def concentration_words(words: str, found: Concentration) -> str:
    """Return the sentence about the devices behind bad values: `3 of 40 devices explain 81 % of out-of-range values, with 8 % of the data:
    d1, d2, d3`.
    """
    names = ", ".join(found.names[:5]) + (f" and {len(found.names) - 5} more" if len(found.names) > 5 else "")
    few = f"{len(found.names)} of {formatting.plural(found.devices, 'device')} {'explain' if len(found.names) > 1 else 'explains'}"
    return f"{few} {percent(found.share, 2)} of {words}, with {percent(found.of_rows, 2)} of the data: {names}."


def concentration_lines(rows: pd.DataFrame) -> None:
    """Draw a sentence for each kind of bad value that comes mostly from few devices."""
    for words, found in device_concentrations(rows).items():
        st.markdown(formatting.escape_markdown(concentration_words(words, found)))


def findings_about_device(found: Sequence[Finding], subject: str) -> list[Finding]:
    """Return the findings about one device, worst first: those about the device itself, and those about its source that name it."""
    source, _, device = subject.partition("/device:")

    def is_about(finding: Finding) -> bool:
        if finding.subject != source or finding.subject == subject:
            return finding.subject == subject
        named = finding.evidence.get("devices", []) if finding.severity == "ok" else [finding.evidence.get("device")]
        return bool(device) and device in named

    return [finding for finding in found if is_about(finding)]


def chosen_device(rows: pd.DataFrame, found: Sequence[Finding] | None) -> str | None:
    """Return the device in the address; if there is none, the most urgent device, else the device with the most batches. found: None if the
    findings are not known yet; then only the device in the address is returned.
    """
    names, missing = sorted(set(rows["subject"])), "The link names {}, which delivered nothing in these dates."
    chosen = choice_box.address_selectbox(
        "device", "Device", names, words=device_words, placeholder="Most urgent", width=420, missing=missing
    )
    if found is None:
        return chosen
    bad = first_finding(finding for finding in found if finding.needs_action and finding.subject in names)
    return chosen or (bad.subject if bad else rows["subject"].mode().iloc[0] if len(rows) else None)


def devices_table(rows: pd.DataFrame, found: Sequence[Finding] | None, chosen: str | None, scope: Scope) -> None:
    """Draw a row for each device with its most urgent finding, the most urgent device first. The table has the first MAX_TABLE_ROWS
    devices, and the CSV has all.

    found: None if the findings are not known yet; then the devices are sorted by name.
    """
    deliveries = {device_subject(each.source, each.device): each for each in device_deliveries(rows)}
    first = {subject: first_finding(findings_about_device(found or (), subject)) for subject in deliveries}
    by_subject = _named_by_subject(rows)
    rejected, outside = rejected_rows_by_device(by_subject), bad_values_by_device(by_subject, NAMES[OUTSIDE])
    newest, lines = rows.groupby("subject")["at"].max(), []
    order = sorted(deliveries, key=lambda subject: (severity_order(first[subject]), subject))
    for subject in order[:MAX_TABLE_ROWS]:
        each, finding = deliveries[subject], first[subject]
        target = links.link_cell(device_name(subject), "devices", scope, device=subject)
        cells: dict[str, Cell] = {key["key"]: dict(UNKNOWN_CELL) for key in COLUMNS}
        cells |= {
            "device": {**target, "sub": each.source},
            "status": dict(PENDING_CELL) if found is None else severity_cell(finding.severity if finding else None),
            "batches": {"t": f"{each.batches:,}"},
            "rows": {"t": f"{each.rows:,}"},
            "complete": share_cell(each.completeness),
            "last": {"t": time_zone.zoned_minute(newest[subject])},
        }
        if each.lags:
            cells |= {key: {"t": hours_in_words(max(lag, 0.0))} for key, lag in zip(("p50", "p95"), each.lags, strict=True)}
        for key, (bad, known) in (("rejected", rejected.get(subject, (0.0, 0.0))), ("outside", outside.get(subject, (0.0, 0.0)))):
            cells[key] = share_cell(bad / known if known else None)
        selected = subject == chosen
        lines.append(table_row(cells, attention_note(finding, target, selected=selected), selected=selected))
    draw_table("devices", "Devices and what they delivered", filled_columns(COLUMNS, lines, ("device", "batches", "rows")), lines)
    which = "first" if found is None else "most urgent"
    csv_of_table("devices", lambda: _deliveries_frame(deliveries), len(order), MAX_TABLE_ROWS, which)


def _deliveries_frame(deliveries: Mapping[str, Any]) -> pd.DataFrame:
    """Return the deliveries as they stand in the CSV."""
    return pd.DataFrame(
        [
            {
                "source": each.source,
                "device": each.device,
                "batches": each.batches,
                "rows": each.rows,
                "kept": each.kept,
                "expected": each.expected,
                "completeness": each.completeness,
                "delay_p50_hours": each.lags and each.lags[0],
                "delay_p95_hours": each.lags and each.lags[1],
            }
            for each in deliveries.values()
        ]
    )


def device_days(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the value of a measure for each device and day: subject, day, value, n (number of batches), column (the one that has the
    value; None for measures of rows).

    A share is the largest of any column and batch of the day. A distance is measured from the median of the device itself over the rows.
    """
    (names, logged), days, found = _column_values(rows, metric), rows["at"].dt.floor("D").to_numpy(), []
    codes, subjects = pd.factorize(rows["subject"])
    for code in np.unique(codes[np.isfinite(logged).any(1)]).tolist():
        own = np.flatnonzero(codes == code)
        values = _on_chart_scale(logged[own], metric)
        sizes = np.where(np.isfinite(values), -values if metric == "batch_rows" else np.abs(values), -np.inf)
        for day in np.unique(days[own]):
            here = np.flatnonzero(days[own] == day)
            place, row = np.unravel_index(int(np.argmax(sizes[here].T)), (len(names), len(here)))
            if np.isfinite(value := values[here[row], place]):
                found.append({"subject": subjects[code], "day": day, "value": float(value), "column": names[place]})
    if not found:
        return pd.DataFrame({"subject": [], "day": [], "value": [], "column": [], "n": []})
    worst = pd.DataFrame(found)
    counts = rows.assign(day=days).groupby(["subject", "day"]).size().rename("n").reset_index()
    return worst.merge(counts, on=["subject", "day"]).sort_values(["subject", "day"], ignore_index=True)


def _column_values(rows: pd.DataFrame, metric: str) -> tuple[list[str | None], Floats]:
    """Return the columns that the batches hold, sorted by name, and the measure of each batch (batches × columns).

    If the measure is about whole batches, the only column is None.
    """
    if metric == "batch_rows":
        return [None], rows[["rows"]].to_numpy(float)
    if metric == "batch_rejected_rate":
        with np.errstate(divide="ignore", invalid="ignore"):
            return [None], rows[["rejected_rows"]].astype("float64").to_numpy(float) / rows[["rows"]].to_numpy(float)
    stats = list(rows["stats"])
    columns = sorted({name for names in {id(each.names): each.names for each in stats}.values() for name in names})
    return [*columns], stacked_numbers(stats, columns, NAMES[metric])


def _on_chart_scale(values: Floats, metric: str) -> Floats:
    """Return values (batches × columns) on the scale of the heat map: shares unchanged, rows divided by their median, and other values as
    distances from their median in robust standard deviations.
    """
    if MEASURES[metric][1] == "share":
        return values
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without a value has no deviation
        middle = column_medians(values)
        if metric == "batch_rows":
            return np.where(middle > 0, values / middle, np.nan)
        if metric == "batch_std":  # a column that is constant on most days has no scale
            values = np.where(middle > 0, np.log(values + ALMOST_CONSTANT * middle), np.nan)
            middle = column_medians(values)
        least = MIN_SPREAD if metric == "batch_std" else 0.0
        spread = np.fmax(1.4826 * column_medians(np.abs(values - middle)), least)
        spread = np.where(spread > 0, spread, np.nanstd(values, axis=0))
        scaled = np.abs(values - middle) / spread
        return np.where(spread > 0, scaled, np.where(np.isfinite(values), 0.0, np.nan))


def device_day_chart(rows: pd.DataFrame, found: Sequence[Finding] | None, chosen: str | None) -> None:
    """Draw the heat map of devices and days for a measure that the reader chooses. Without a choice, it is the measure of the most urgent
    finding.

    A click chooses a device. found: None if the findings are not known yet; then the devices are sorted by name.
    """
    days = cache(lambda metric: device_days(rows, metric))
    offered = [metric for metric in MEASURES if np.isfinite(_column_values(rows, metric)[1]).any()]
    bad = first_finding(finding for finding in found or () if finding.needs_action and finding.metric in offered)
    st.header("Devices by day", anchor=False)
    default = bad.metric if bad else next((metric for metric in offered if days(metric)["value"].max() > 0), offered[0])
    metric = choice_box.measure_selectbox(MEASURES, offered, default, "no batch of these dates has")
    table, (name, unit) = days(metric), MEASURES[metric]
    if table.empty:
        plain_caption(f"{name.capitalize()} has no usual value on any device: it is 0 in most batches.")
        return
    order = {subject: place for place, subject in enumerate(_by_urgency(rows, found or ()))}
    table = table.assign(place=table["subject"].map(order)).sort_values(["place", "day"], ignore_index=True).drop(columns="place")
    if table["subject"].nunique() > MAX_DRAWN:
        kept = list(dict.fromkeys(table["subject"]))[:MAX_DRAWN]
        which = "first" if found is None else "most urgent"
        cut_note(table["subject"].nunique(), MAX_DRAWN, f"The {which} {{0}} of {{1}} devices.")
        table = table[table["subject"].isin(kept)].reset_index(drop=True)
    worst = table.iloc[int(np.argmax(1 - table["value"] if metric == "batch_rows" else table["value"]))]
    value = charts_collection.measure_words(float(worst["value"]), unit)
    column_name = f", column {worst['column']}" if isinstance(worst["column"], str) else ""
    place = f"{formatting.format_day(worst['day'])} at {device_words(worst['subject'])}{column_name}"
    alt = f"{name.capitalize()} by device and day: most on {place}, {value}."
    figure = charts_collection.device_day_heatmap(
        table.assign(label=[device_name(each) for each in table["subject"]]), name=name, unit=unit, selected=chosen
    )
    columns = {"subject": "Device", "day": "Day", "value": name.capitalize(), "column": "Column", "n": "Batches"}
    on_cell = clicks.DateSelection("device-days", table["day"], then=_choose_clicked_device)
    frame.chart_with_table(figure, table, key="device-days", alt=alt, metrics=(metric,), columns=columns, on_select=on_cell)
    plain_caption(largest_value_words(worst, name, value))


def largest_value_words(worst: "pd.Series[Any]", name: str, value: str) -> str:
    """Return the sentence about the largest cell of the heat map, with its device, day, and column if it has one."""
    place = f"{device_words(worst['subject'])} on {formatting.format_day(worst['day'])}"
    if not isinstance(worst["column"], str):
        return f"Worst: {place}, {name} {value}."
    return f"Each cell shows the worst column of that day. Worst of all: column {worst['column']} of {place}, {name} {value}."


def _by_urgency(rows: pd.DataFrame, found: Sequence[Finding]) -> list[str]:
    """The devices, most urgent first."""
    names = set(rows["subject"])
    first = {subject: first_finding(findings_about_device(found, subject)) for subject in names}
    return sorted(names, key=lambda subject: (severity_order(first[subject]), subject))


def _choose_clicked_device(key: str) -> None:
    """Choose the device of the cell that was clicked on the heat map."""
    points = st.session_state[key].selection.points
    if points and points[0].get("customdata"):
        st.query_params["device"] = str(points[0]["customdata"][0])


def column_chart(own: pd.DataFrame, found: Sequence[Finding]) -> None:
    """Draw the statistic of the most urgent finding about a device for each batch over time, with its usual value; nothing if there is no
    such finding.
    """
    bad = first_finding(finding for finding in found if finding.needs_action and finding.evidence.get("column"))
    if bad is None:
        return
    name, metric = str(bad.evidence["column"]), bad.metric
    values = stacked_numbers(list(own["stats"]), (name,), NAMES[metric])[:, 0]
    unusual = set(map(str, bad.evidence.get("unusual", [])))
    drawn = own[["at", "batch"]].assign(value=values, severity=[bad.severity if str(each) in unusual else "ok" for each in own["batch"]])
    drawn = drawn[drawn["value"].notna()].sort_values("at")
    noun = judged.NOUNS[metric]
    drawn["words"] = [
        f"{theme.inert_label(batch)}<br>{time_zone.named_minute(at)}<br>{judged.value_words(metric, value)}"
        for batch, at, value in zip(drawn["batch"], drawn["at"], drawn["value"], strict=True)
    ]
    low, high = (judged.value_words(metric, float(end)) for end in (drawn["value"].min(), drawn["value"].max()))
    label = theme.inert_label(f"{noun} of {name}", 60)
    figure = charts_records.record_marks(
        drawn, name=label, usual=bad.evidence.get("baseline"), share=metric not in ("batch_mean", "batch_std")
    )
    alt = f"{noun.capitalize()} of {name}: {low} to {high} in {formatting.plural(len(drawn), 'batch', 'batches')}."
    columns = {"at": "Arrived (UTC)", "batch": "Batch", "value": noun.capitalize(), "severity": "Status"}
    frame.chart_with_table(figure, drawn.drop(columns="words"), key="device-column", alt=alt, metrics=(metric,), columns=columns)
