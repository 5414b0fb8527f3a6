"""The batches page: deliveries of each source, their timeliness and completeness, and the outcomes of their predictions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.data import batches as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import hours_in_words
from observability.core.questions import Aggregate, By, Records
from observability.core.window import EPOCH, Slice, Window
from observability.dashboard import choice_box, clicks, empty_states, frame, links, load, sample_figures, theme, time_zone
from observability.dashboard.cells import (
    UNKNOWN_CELL,
    attention_note,
    count_and_share_cell,
    filled_columns,
    first_finding,
    severity_cell,
    severity_order,
    share_cell,
)
from observability.dashboard.charts import records as charts_records
from observability.dashboard.data.records_summary import attention_count, dates_note
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_of_table

MAX_TABLE_ROWS = 20
STATISTICS = {"std": "Standard deviation", "null_share": "Null", "out_of_range_share": "Out of range"}
"""Titles of the column statistics whose names are not words."""
METRICS = ("batch_rows", "batch_rejected_rate", "batch_gap_hours", "batch_delay_hours")
DRAWN = {
    "batch_rows": ("rows", "rows"),
    "batch_rejected_rate": ("rejected rows, share", "share"),
    "batch_gap_hours": ("hours since the batch before", "hours"),
    "batch_delay_hours": ("delay after capture, hours", "hours"),
    "batch_delay_p95_hours": ("delay after capture, hours", "hours"),
}
"""Name and unit of the drawn value of a batch, by the metric of its finding."""
BATCHES = Records("batch", ("batch", "at", "source", "rows", "device", "rejected_rows", "captured_from", "captured_to"))
MAX_NAMED = 4
"""Maximum number of batch records of one name that are linked."""
MAX_SEARCHED = 50
"""Maximum number of a source's newest batches that are searched for one with column statistics."""
HOW = """import observability as obs
log = obs.Logger()
log.batch(batch="2026-03-02", source="clinic", rows=1000, rejected_rows=12,
          captured_from="2026-03-01T00:00:00Z", captured_to="2026-03-02T00:00:00Z")
log.prediction(id="a1", model="loan", version="3", features={"age": 41}, score=0.62, batch="2026-03-02")"""
SOURCES = columns_on_phone(
    "source status rejected",
    column("source", "Source", strong=True),
    column("status", "Status", width="7rem"),
    *number_columns(batches="Batches", rows="Rows"),
    column("rejected", "Rejected", align="right", help="Rejected rows ÷ rows, of batches that log rejections"),
    column("last", "Newest (UTC)", short=True, help="When its newest batch of this window arrived"),
)
COLUMNS = columns_on_phone(
    "batch at rejected",
    column("batch", "Batch", strong=True),
    column("at", "Arrived (UTC)", width="9rem", short=True),
    column("captured", "Captured (UTC)", help="Start and end of the capture of its data, and its duration"),
    column("delay", "Delay", align="right", help="Time from the end of the capture to the arrival"),
    column("rows", "Rows in", align="right"),
    column("kept", "Kept", align="right", help="Rows minus rejected rows"),
    column("rejected", "Rejected", align="right"),
    column("predictions", "In window", align="right", help="Predictions of this window that name the batch"),
    column("failed", "Failed", align="right", help="Predictions in the window with a status other than ok"),
    column("cost", "Cost", align="right", help="Sum of the logged cost of those predictions, in the currency of the log"),
)
REQUIRED = ("batch", "at", "rows")
MOST_URGENT = "Most urgent"


@dataclass(frozen=True)
class BatchOutcome:
    """The predictions of one model that name a batch: their number, how many failed, and their cost (None if none was logged)."""

    model: str
    predictions: int
    failed: int
    cost: float | None


def no_batches() -> None:
    """Draw the empty state: no batch in these dates, or no batch in the store and how to log one."""
    step = "One record per delivery shows late, missing and short ones."
    empty_states.not_logged_state("batch", "batches", "No batch has been logged yet.", step, HOW, ("Rows of each batch", _sample_figure))


def _sample_figure(folder: Path) -> Any:
    """The rows of the newest batches of one source of the sample."""
    rows = pd.read_parquet(folder / "weather.batches.parquet", columns=["source", "at", "rows"])
    drawn = rows[rows["source"] == rows["source"].min()].sort_values("at").tail(60).rename(columns={"rows": "value"})
    drawn = drawn.assign(at=sample_figures.naive_times(drawn["at"]), severity="ok", words="")
    return charts_records.record_marks(drawn, name=DRAWN["batch_rows"][0], usual=float(drawn["value"].median()))


def batches_in_scope(scope: Scope, numbers: tuple[str, ...] = ()) -> tuple[pd.DataFrame, Window]:
    """Return the batches of the chosen dates, oldest first, and these dates. numbers: names of column statistics, which are then included
    as `stats`.
    """
    window = load.window_of_records(scope, judged.ANALYZER)
    asked = replace(BATCHES, columns=(*(BATCHES.columns or ()), "stats"), numbers=numbers) if numbers else BATCHES
    return load.ask_store(asked, window), window


def batches_summary(rows: pd.DataFrame, found: Sequence[Finding], window: Window) -> str:
    """Return the numbers of batches and sources and how many sources need attention, as Markdown."""
    sources, needy = formatting.plural(rows["source"].nunique(), "source"), attention_count(found, "source")
    return f"**{formatting.plural(len(rows), 'batch', 'batches')}** of {sources}{dates_note(window)}; {needy}."


def source_of_finding(finding: Finding) -> str:
    """Return the source that a finding is about, or the source of the device that it is about."""
    return finding.subject.removeprefix("source:").partition("/device:")[0]


def findings_about_source(found: Sequence[Finding], source: str) -> list[Finding]:
    """Findings about one source and its devices, worst first."""
    return [finding for finding in found if source_of_finding(finding) == source]


def sources_table(rows: pd.DataFrame, found: Sequence[Finding], chosen: str | None, scope: Scope) -> None:
    """Draw a row for each source with its most urgent finding, the most urgent source first."""
    named = {*rows["source"], *map(source_of_finding, found)}
    first = {source: first_finding(findings_about_source(found, source)) for source in named}
    lines = []
    for source in sorted(named, key=lambda source: (severity_order(first[source]), source)):
        part, finding = rows[rows["source"] == source], first[source]
        counted = part[part["rejected_rows"].notna()]
        total, rejected = int(counted["rows"].sum()), int(counted["rejected_rows"].sum())
        target = links.link_cell(source, "batches", scope, source=source)
        cells: dict[str, Cell] = {
            "source": target,
            "status": severity_cell(finding.severity if finding else None),
            "batches": {"t": f"{len(part):,}"},
            "rows": {"t": f"{int(part['rows'].sum()):,}"},
            "rejected": share_cell(rejected / total if total else None),
            "last": {"t": time_zone.zoned_minute(part["at"].iloc[-1]) if len(part) else "none in this window"},
        }
        selected = source == chosen
        lines.append(table_row(cells, attention_note(finding, target, selected=selected and len(part) > 0), selected=selected))
    draw_table("sources", "Sources and their deliveries", SOURCES, lines)


def chosen_source(rows: pd.DataFrame, found: Sequence[Finding]) -> str | None:
    """Return the source in the address; if there is none, the most urgent source, else the source with the most batches."""
    names = sorted({*rows["source"], *map(source_of_finding, found)})
    missing = "The link names the source {}, which delivered nothing in these dates."
    chosen = choice_box.address_selectbox("source", "Source", names, placeholder=MOST_URGENT, width=420, missing=missing)
    bad = first_finding(finding for finding in found if finding.needs_action)
    return chosen or (source_of_finding(bad) if bad else rows["source"].mode().iloc[0] if len(rows) else None)


def batch_outcomes(window: Window, scope: Scope, names: Sequence[str]) -> dict[str, list[BatchOutcome]]:
    """Return by batch the outcomes of the predictions that name it, of the chosen model or of all models."""
    found: dict[str, list[BatchOutcome]] = {}
    for model in load.catalog().models:
        if scope.model not in (None, model.name):
            continue
        own = Window(model.name, window.start, window.end)
        counts = load.ask_store(Aggregate("predictions", keys=(By("batch"), By("status"))), own)
        costs = load.ask_store(Aggregate("predictions", keys=(By("batch"),), sums=("cost",)), own)
        money = costs.groupby("batch")["total"].sum().to_dict() if len(costs) else {}
        for batch, part in counts[counts["batch"].isin(names)].groupby("batch"):
            n, fine = int(part["n"].sum()), int(part.loc[part["status"] == "ok", "n"].sum())
            found.setdefault(str(batch), []).append(BatchOutcome(model.name, n, n - fine, money.get(batch)))
    return found


def _severity_by_batch(found: Sequence[Finding]) -> dict[str, str]:
    """Return the severity, `act` or `watch`, of each batch that a finding names."""
    bad = sorted((finding for finding in found if finding.needs_action), key=lambda finding: finding.severity == "act")
    return {str(name): finding.severity for finding in bad for name in finding.evidence.get("unusual", []) if name is not None}


def batch_chart(rows: pd.DataFrame, found: Sequence[Finding], source: str) -> None:
    """Draw one metric for each batch of a source over time, with its usual value. It is the metric of the most urgent finding about the
    source, or the number of rows if no finding is urgent.
    """
    bad = first_finding(finding for finding in found if finding.needs_action and finding.metric in DRAWN)
    metric = bad.metric if bad else "batch_rows"
    name, unit = DRAWN[metric]
    severities = _severity_by_batch([finding for finding in found if finding.metric == metric])
    drawn = rows[["at", "batch"]].assign(value=batch_values(rows, metric))
    drawn = drawn.assign(severity=[severities.get(str(batch), "ok") for batch in rows["batch"]])
    drawn = drawn[drawn["value"].notna()]
    words = [_batch_value_words(value, unit) for value in drawn["value"]]
    drawn["words"] = [
        f"{theme.inert_label(batch)}<br>{time_zone.named_minute(at)}<br>{said}"
        for batch, at, said in zip(drawn["batch"], drawn["at"], words)
    ]
    usual = next((finding.evidence.get("baseline") for finding in found if finding.metric == metric), None)
    figure = charts_records.record_marks(drawn, name=name, usual=usual, share=unit == "share")
    ends = [_batch_value_words(value, unit) for value in (drawn["value"].min(), drawn["value"].max())] if len(drawn) else []
    alt = f"{source}: {name} of {formatting.plural(len(drawn), 'batch', 'batches')}{', ' if ends else ''}{' to '.join(ends)}."
    columns = {"at": "Arrived (UTC)", "batch": "Batch", "value": name.capitalize(), "severity": "Status"}
    on_drag = clicks.DateSelection("batch-rows", drawn["at"])
    frame.chart_with_table(
        figure, drawn.drop(columns="words"), key="batch-rows", alt=alt, metrics=METRICS, columns=columns, on_select=on_drag
    )


def batch_values(rows: pd.DataFrame, metric: str) -> "pd.Series[float]":
    """The value of a metric for each batch of one source, oldest first; NaN if the batch does not log it."""
    if metric == "batch_rejected_rate":
        return rows["rejected_rows"].astype(float) / rows["rows"].astype(float)
    if metric == "batch_gap_hours":
        return rows["at"].diff().dt.total_seconds() / 3600
    if metric in ("batch_delay_hours", "batch_delay_p95_hours"):
        return (rows["at"] - pd.to_datetime(rows["captured_to"])).dt.total_seconds() / 3600
    return rows["rows"].astype(float)


def _batch_value_words(value: float, unit: str) -> str:
    """A value of a batch in words."""
    if unit == "hours":
        return hours_in_words(value)
    return formatting.format_share(value) if unit == "share" else f"{value:,.0f} rows"


def batches_table(
    rows: pd.DataFrame,
    found: Sequence[Finding],
    outcomes: dict[str, list[BatchOutcome]],
    chosen: str | None,
    scope: Scope,
    source: str,
    window: Window,
) -> None:
    """Draw the newest batches of a source or of one of its devices, with the outcomes of their predictions. Columns that are empty are left
    out.
    """
    severities, lines = _severity_by_batch(found), []
    newest = rows.iloc[::-1]
    shown = newest[(np.arange(len(newest)) < MAX_TABLE_ROWS) | (newest["batch"].astype(str) == chosen)]
    for batch in shown.to_dict("records"):
        name = str(batch["batch"])
        cells = _batch_cells(batch, outcomes.get(name, []), scope, source)
        cells["batch"] |= {"s": severities[name]} if name in severities else {}
        lines.append(table_row(cells, selected=name == chosen))
    draw_table("batches", f"Batches of {source}, newest first", filled_columns(COLUMNS, lines, REQUIRED), lines)
    csv_of_table("batches", lambda: _batches_frame(rows, outcomes, source, window), len(rows), MAX_TABLE_ROWS)


def _batch_cells(batch: dict[Any, Any], outcomes: Sequence[BatchOutcome], scope: Scope, source: str) -> dict[str, Cell]:
    """The cells of one batch."""
    name, arrived, rows, rejected = str(batch["batch"]), batch["at"], int(batch["rows"]), _optional_count(batch["rejected_rows"])
    begin, end = _optional_instant(batch["captured_from"]), _optional_instant(batch["captured_to"])
    cells: dict[str, Cell] = {column["key"]: dict(UNKNOWN_CELL) for column in COLUMNS}
    cells["batch"] = {**links.link_cell(name, "batches", scope, source=source, batch=name), "sub": batch["device"]}
    cells |= {"at": {"t": time_zone.zoned_minute(arrived)}, "rows": {"t": f"{rows:,}"}}
    if begin and end:
        hours = hours_in_words((end - begin).total_seconds() / 3600)
        cells["captured"] = {"t": f"{time_zone.zoned_minute(begin)} to {time_zone.zoned_minute(end)}", "sub": hours}
    elif begin:
        cells["captured"] = {"t": f"from {time_zone.zoned_minute(begin)}"}
    elif end:
        cells["captured"] = {"t": f"to {time_zone.zoned_minute(end)}"}
    if end:
        cells["delay"] = {"t": hours_in_words((arrived - end).total_seconds() / 3600)}
    if rejected is not None:
        cells |= {"kept": {"t": f"{rows - rejected:,}"}, "rejected": count_and_share_cell(rejected, rows)}
    if outcomes:
        total = f"{sum(outcome.predictions for outcome in outcomes):,}"
        if len(outcomes) == 1:
            cells["predictions"] = _cases_link(total, outcomes[0].model, name, scope)
        else:
            each_model = [_cases_link(f"{outcome.model}: {outcome.predictions:,}", outcome.model, name, scope) for outcome in outcomes]
            cells["predictions"] = {"t": total, "more": each_model}
        cells["failed"] = {"t": f"{sum(outcome.failed for outcome in outcomes):,}"}
        costs = [outcome.cost for outcome in outcomes if outcome.cost is not None]
        cells["cost"] = {"t": formatting.format_number(sum(costs) if costs else None)}
    return cells


def _cases_link(text: str, model: str, batch: str, scope: Scope) -> Cell:
    """The link to the predictions of a model that name a batch."""
    return links.link_cell(text, "cases", replace(scope.about(model), slice=Slice((("batch", batch),))), q=clicks.EVERY)


def batch_links(names: Sequence[str], scope: Scope) -> list[Cell]:
    """Return the links to the batches of these names in all dates, in the order of the names. Each is followed by the link to the device of
    the batch. The list is empty if no record has one of the names.

    Several sources may use the same batch name. At most MAX_NAMED records are linked.
    """
    always = Window("", EPOCH, load.page_clock())
    found = load.ask_store(Records("batch", ("batch", "source", "device"), ever=True, only=(("batch", tuple(names)),)), always)
    around, targets = replace(scope, version=None, slice=None, start=None, end=None, span="all"), []
    found = found.drop_duplicates().sort_values("batch", key=lambda batch: batch.map(names.index), kind="stable")
    for batch, source, device in found.head(MAX_NAMED).itertuples(index=False):
        targets.append(links.link_cell(f"Batch {batch} of {source}", "batches", around, source=source, batch=batch))
        if isinstance(device, str):
            targets.append(links.link_cell(f"Device {device} of {source}", "devices", around, device=f"source:{source}/device:{device}"))
    return targets


def _optional_count(value: Any) -> int | None:
    """Return a count of a record; None if the record has none."""
    return None if value is None or value != value or str(value) == "<NA>" else int(value)


def _optional_instant(value: Any) -> datetime | None:
    """Return a time of a record; None if the record has none."""
    return None if value is None or value != value else value.to_pydatetime()


def _batches_frame(rows: pd.DataFrame, outcomes: dict[str, list[BatchOutcome]], source: str, window: Window) -> pd.DataFrame:
    """Return the batches with every field of their records, as they stand in the CSV."""
    logged = load.ask_store(Records("batch", only=(("source", source),)), window)
    logged = logged[logged["batch"].isin(rows["batch"]) & logged["device"].fillna("").isin(rows["device"].fillna(""))]
    own = [outcomes.get(str(name), []) for name in logged["batch"]]
    return logged.assign(
        stats=logged["stats"].map(lambda stats: json.dumps(stats) if stats else None),
        predictions=[sum(outcome.predictions for outcome in several) for several in own],
        failed=[sum(outcome.failed for outcome in several) for several in own],
    )


def batch_columns(source: str, window: Window, asked: str | None) -> None:
    """Draw the column statistics of a batch, which are in its field `stats`. asked: the name of the batch; None for the newest batch of the
    source that has statistics.
    """
    only = (("source", source), *((("batch", asked),) if asked else ()))
    part = load.ask_store(Records("batch", ("batch", "at", "stats"), rows=MAX_SEARCHED, only=only), window)
    part = part if asked else part[[bool(each) for each in part["stats"]]]
    if part.empty:
        return
    each = part.iloc[-1]
    st.header(f"Columns of batch {formatting.escape_markdown(each['batch'])}", anchor=False)
    stats = {name: value for name, value in (each["stats"] or {}).items() if isinstance(value, dict)}
    if not stats:
        st.markdown("No column statistics: this batch was logged without `stats`, as `{column: {mean: 4.2}}`.")
        return
    column_statistics_table("stats", f"Column statistics of batch {each['batch']}", stats)


def column_statistics_table(key: str, caption: str, stats: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw a row for each column, with every statistic that at least one column has."""
    names = list(dict.fromkeys(name for value in stats.values() for name in value))
    columns = [column("column", "Column", strong=True)]
    for place, name in enumerate(names):
        title = STATISTICS.get(name, name.replace("_", " ").capitalize())
        columns.append(column(f"c{place}", formatting.truncate(title, 30), align="right", phone=place < 2))
    lines = [
        table_row({f"c{place}": _statistic_cell(value.get(key), key) for place, key in enumerate(names)}, column=name)
        for name, value in sorted(stats.items())
    ]
    draw_table(key, caption, columns, lines, compact=True)


def _statistic_cell(value: Any, name: str) -> Cell:
    """Return the cell of a column statistic as it was logged: a share or rate as a percentage, a whole number without decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {"t": formatting.DASH if value is None else formatting.truncate(str(value), 40)}
    if isinstance(value, int):
        return {"t": f"{value:,}"}
    is_share = name.endswith(("share", "rate")) and 0 <= value <= 1
    return {"t": formatting.format_share(float(value)) if is_share else formatting.format_number(float(value), 4)}
