"""The latency page: requests and errors, percentiles over time, comparison of replicas, versions and devices."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import Slice
from observability.dashboard import clicks, empty_states, frame, links, load, time_series
from observability.dashboard.cells import interval_cell, severity_cell
from observability.dashboard.charts import fairness as charts_fairness
from observability.dashboard.charts import latency as charts_latency
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import BIND
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import csv_button, cut_note, finding_line, plain_paragraph
from observability.detection.latency_sentences import share_words as fine_share
from observability.metrics.traffic import (
    ANSWERED,
    PERCENTILE_WORDS,
    QUANTILES,
    RequestCounts,
    missing_requests,
    request_counts,
    requests_by_level,
)

HOW_MEASURED = f"{PERCENTILE_WORDS} Errors and rejections are excluded, timeouts included. The p99 interval needs 500 responses."
FIELDS = {"replica": "Replica", "version": "Version", "device": "Device"}
MAX_SENTENCES = 3
"""Maximum number of claims that are drawn above the charts."""
MAX_LEVELS = 50


def requests_by_period(here: ModelPage, *, histogram: bool) -> pd.DataFrame:
    """The number of requests in the window, by hour or day and by status; with `histogram` also by latency bin."""
    bucket = Bucket("hour") if time_series.chart_grain(here.window) == "hour" else Bucket("day")
    question = Aggregate("predictions", keys=(bucket, By("status")), histogram=("latency_ms",) if histogram else ())
    return frame.answer_or_stop(lambda: load.ask_store(question, here.window))


def status_counts_frame(counts: pd.DataFrame) -> pd.DataFrame:
    """The number of requests by period, with one column for each status, `ok` first."""
    wide = counts.pivot_table(index="period", columns="status", values="n", aggfunc="sum", fill_value=0)
    names = [status for status in charts_latency.STATUSES if status in wide]
    found = wide[names].astype(int).rename_axis(columns=None).reset_index()
    return found.assign(period=pd.to_datetime(found["period"]))


def percentile_frame(latencies: pd.DataFrame) -> pd.DataFrame:
    """Columns: period, p50, p95, p99, low, high (of p99) in ms, n. The interval of p99 is missing where it has too few responses."""
    rows: list[list[Any]] = []
    for period, part in latencies.groupby("period", sort=True):
        requests = request_counts(part, part)
        values = {name: requests.quantile(q) for name, q in QUANTILES.items()}
        ends = values["latency_p99"]
        surely = missing_requests(requests, "latency_p99") == 0
        rows.append(
            [period, *(each.value for each in values.values()), ends.low if surely else None, ends.high if surely else None, requests.timed]
        )
    found = pd.DataFrame(rows, columns=["period", "p50", "p95", "p99", "low", "high", "n"])
    return found.astype(dict.fromkeys(("p50", "p95", "p99", "low", "high"), float))


def service_frame(here: ModelPage, field: str) -> pd.DataFrame:
    """One row for each replica, device or version: name, n, answers, error rate and percentiles with their intervals, and for each
    percentile whether n is large enough.
    """
    keys = (By(field), By("status")) if field == "version" else (Bucket("day"), By(field), By("status"))
    question = Aggregate("predictions", keys=keys, histogram=("latency_ms",))
    answer = frame.answer_or_stop(lambda: load.ask_store(question, here.window))
    if field == "version":
        answer = answer.assign(period=pd.Timestamp(0))
    found = requests_by_level(answer, field)
    order = sorted(found, key=lambda name: (-found[name].n, name))
    return pd.DataFrame([_service_figures(name, found[name]) for name in order])


def _service_figures(name: str, requests: RequestCounts) -> dict[str, Any]:
    """The row of one replica, device or version."""
    errors = requests.error_rate()
    found: dict[str, Any] = {"name": name, "n": requests.n, "answers": requests.timed, "error_rate": errors.value}
    found |= {"error_rate_low": errors.low, "error_rate_high": errors.high}
    for metric, q in QUANTILES.items():
        value = requests.quantile(q)
        found |= {metric: value.value, f"{metric}_low": value.low, f"{metric}_high": value.high}
        found[f"{metric}_enough"] = missing_requests(requests, metric) == 0
    return found


def latency_claims(found: Sequence[Finding]) -> str:
    """Draw the worst claims; claims about replicas and devices come before claims about the whole model. Returns the first claim as plain
    text, for use as the alternative text of the charts.
    """
    order = ("latency_p99", "error_rate", "latency_p95", "latency_p50", "request_rate")

    def urgency(finding: Finding) -> tuple[int, bool, int]:
        severity = ("act", "watch").index(finding.severity) if finding.needs_action else 2
        place = order.index(finding.metric) if finding.metric in order else len(order)
        return severity, not finding.needs_action or finding.subject == "model", place

    ranked = sorted(found, key=urgency)
    first, problems = ranked[0], [finding for finding in ranked if finding.needs_action]
    several = len({finding.version for finding in found if finding.version}) > 1
    for finding in problems[:MAX_SENTENCES] or [first]:
        version = f" :gray[version {formatting.escape_markdown(finding.version)}]" if several and finding.version else ""
        finding_line(finding, strong=finding is first, mark=version)
    if len(problems) > MAX_SENTENCES:
        st.caption(f"{len(problems) - MAX_SENTENCES} more under Findings.")
    errors = (finding for finding in found if finding.metric == "error_rate" and finding.against == "past" and finding.subject == "model")
    rate = next(errors, None)
    if rate is not None and rate is not first and not rate.needs_action:
        st.caption(formatting.sentence_markdown(rate.because))
    return first.because.replace("`", "")


def requests_section(here: ModelPage) -> bool:
    """Draw the requests stacked by status. Returns whether there were any."""
    counts = requests_by_period(here, histogram=False)
    if not counts["n"].sum():
        empty_states.no_rows_state()
        return False
    shown = status_counts_frame(counts)
    failed = int(shown.drop(columns=["period", *(["ok"] if "ok" in shown else [])]).to_numpy().sum())
    total = int(counts["n"].sum())
    words = f"{formatting.plural(total, 'request')}, {f'{failed:,} failed ({fine_share(failed / total)})' if failed else 'none failed'}."
    plain_paragraph(words)
    figure = charts_latency.requests_by_status_bars(shown, time_series.chart_event_marks(here.model.name, here.window))
    on_bar = clicks.cases_on_click("requests", lambda point: cases_of_status(here, point, shown), shown["period"])
    frame.chart_with_table(figure, shown, key="requests", alt=words, metrics=("request_rate", "error_rate"), on_select=on_bar)
    return True


def cases_of_status(here: ModelPage, point: clicks.Point, shown: pd.DataFrame) -> clicks.CaseQuery | None:
    """The requests of the clicked status and period. The bars are stacked in the order of the table's columns."""
    statuses = [column for column in shown.columns if column != "period"]
    number = point.get("curve_number")
    q = clicks.equality_condition("status", statuses[number]) if isinstance(number, int) and number < len(statuses) else None
    return clicks.cases_of_period(here, point, shown["period"], q, clicks.NEWEST)


def cases_slower_than(here: ModelPage, point: clicks.Point, shown: pd.DataFrame) -> clicks.CaseQuery | None:
    """The requests of a period that took at least as long as the clicked percentile."""
    value = point.get("y")
    q = clicks.range_condition("latency_ms", float(value), None) if isinstance(value, int | float) and value > 0 else None
    return clicks.cases_of_period(here, point, shown["period"], q, clicks.NEWEST)


def untimed_words(latencies: pd.DataFrame) -> str | None:
    """A note on how many requests logged no latency and are therefore not in the percentiles; None if every request logged it."""
    counting = latencies[latencies["status"].isin(ANSWERED)]
    total, untimed = int(counting["n"].sum()), int(counting.loc[counting["bin"] < 0, "n"].sum())
    return f"{untimed:,} of {formatting.plural(total, 'answer')} logged no latency; the percentiles are of the others." if untimed else None


def latency_section(here: ModelPage, alt: str) -> None:
    """Draw latency percentiles by hour or day; if no latency was logged, draw how to log it."""
    latencies = requests_by_period(here, histogram=True)
    shown = percentile_frame(latencies[latencies["bin"] >= 0]) if len(latencies) else None
    if shown is None or not shown["n"].sum():
        empty_states.empty_state(
            "No latency was logged in this window.",
            "Log `latency_ms` with each prediction: `with log.timed() as timer: …`, then `log.prediction(…, latency_ms=timer.ms)`; "
            "the ASGI and WSGI middleware log it automatically.",
        )
        return
    if words := untimed_words(latencies):
        st.caption(words)
    log = st.toggle("Logarithmic scale", key="log", bind=BIND)
    limit, marks = here.model.settings.service_level_latency_ms, time_series.chart_event_marks(here.model.name, here.window)
    figure = charts_latency.latency_percentile_lines(shown, limit=limit, log=log, marks=marks)
    on_mark = clicks.cases_on_click("percentiles", lambda point: cases_slower_than(here, point, shown), shown["period"])
    frame.chart_with_table(figure, shown, key="percentiles", alt=f"Latency over time. {alt}", metrics=tuple(QUANTILES), on_select=on_mark)


def service_comparison_section(here: ModelPage, found: Sequence[Finding]) -> None:
    """Compare replicas, versions and devices: for each of these fields with at least two levels, draw p99 with its interval, and a
    table.
    """
    compared = False
    for field, title in FIELDS.items():
        rows = service_frame(here, field)
        if len(rows) >= 2:
            compared = True
            st.subheader(f"By {field}", anchor=False)
            _field_comparison(here, field, title, rows, found)
    if not compared:
        st.caption("Only one replica and version in this window. Log `replica` to compare processes.")


def _field_comparison(here: ModelPage, field: str, title: str, rows: pd.DataFrame, found: Sequence[Finding]) -> None:
    """Draw the dot plot and the table for one of these fields."""
    problems = [finding for finding in reversed(found) if finding.needs_action]
    about = {finding.subject.partition("=")[2]: finding for finding in problems if finding.subject.startswith(f"{field}=")}
    if field == "version":  # here a finding about the whole model compares one version with its own past
        about |= {finding.version: finding for finding in problems if finding.version and finding.subject == "model"}
    timed = rows[rows["answers"] > 0]
    if len(timed) >= 2:
        words = next((finding.because.replace("`", "") for finding in about.values()), f"No {field} differs from the others.")
        names = {"name": "group", "latency_p99": "value", "latency_p99_low": "low", "latency_p99_high": "high", "answers": "n"}
        dots = timed[[*names, "latency_p99_enough"]].rename(columns=names | {"latency_p99_enough": "enough"}).assign(what="responses")
        figure, key = charts_fairness.group_dots(dots.assign(reference=float("nan")), name="p99 in ms", unit="ms"), f"p99-{field}"
        on_dot = clicks.cases_on_click(key, partial(cases_of_service_level_mark, here, field, list(dots["group"])))
        alt = f"p99 by {field}. {words}"
        frame.chart_with_table(figure, dots, key=key, alt=alt, metrics=("latency_p99",), on_select=on_dot)
    columns = [column("name", title, strong=True), column("n", "Requests", align="right", phone=False)]
    columns.append(column("errors", "Error rate", align="right", help="With its 95 % interval"))
    help_text = "In ms, with its 95 % interval; grey: too few responses"
    columns += [
        column(metric, f"{formatting.metric_title(metric)}, ms", align="right", help=help_text, phone=metric == "latency_p99")
        for metric in QUANTILES
    ]
    columns.append(column("status", "Status"))
    drawn = [_service_row(here, field, row, about) for row in rows.head(MAX_LEVELS).to_dict("records")]
    draw_table(f"by-{field}", f"Service by {field}", columns, drawn, compact=True)
    cut_note(len(rows), MAX_LEVELS, "The {0} with the most requests of {1}; all are in the CSV.")
    csv_button(f"latency-by-{field}", rows, key=f"{field}-csv")


def cases_of_service_level_mark(here: ModelPage, field: str, names: Sequence[str], point: clicks.Point) -> clicks.CaseQuery | None:
    """The requests of a clicked replica, device or version, the slowest first."""
    number = clicks.row_of_mark(point, "y", len(names))
    if number is None:
        return None
    return clicks.cases_of_slice(here, [(field, names[len(names) - 1 - number])], clicks.EVERY, clicks.SLOWEST)


def _service_row(here: ModelPage, field: str, figures: dict[Any, Any], about: dict[str, Finding]) -> dict[str, Any]:
    """The table row of one level. A click on its name makes it the slice of the page; for a version, a click chooses the version."""
    name = str(figures["name"])
    scope = replace(here.scope, version=name) if field == "version" else replace(here.scope, slice=Slice(((field, name),)))
    rate, low, high = (fine_share(figures[key]) for key in ("error_rate", "error_rate_low", "error_rate_high"))
    cells: dict[str, Cell] = {
        "name": links.link_cell(name, "latency", scope),
        "n": {"t": f"{figures['n']:,}"},
        "errors": {"t": rate, "sub": f"{low} to {high}"},
    }
    cells |= {metric: _percentile_cell(figures, metric) for metric in QUANTILES}
    finding = about.get(name)
    severity = finding.severity if finding else "ok" if figures["latency_p99_enough"] else "unknown"
    title = finding.because.replace("`", "") if finding else "" if severity == "ok" else "Too few responses for p99"
    return table_row(cells | {"status": {**severity_cell(severity), "title": title}})


def _percentile_cell(figures: dict[Any, Any], metric: str) -> Cell:
    """A percentile with its interval below; a dash if there are no responses."""
    if not figures["answers"]:
        return {"t": formatting.DASH}
    cell = interval_cell(figures[metric], figures[f"{metric}_low"], figures[f"{metric}_high"], "")
    return cell if figures[f"{metric}_enough"] else cell | {"tone": "unknown", "title": "Too few responses"}
