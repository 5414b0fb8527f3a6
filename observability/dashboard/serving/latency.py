"""What does the latency page show: traffic and errors, percentiles over time, replicas and versions side by side?"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import Slice
from observability.dashboard import clicks, empty_states, frame, links, load, time_series
from observability.dashboard.charts import fairness as charts_fairness
from observability.dashboard.charts import latency as charts_latency
from observability.dashboard.frame import Here
from observability.dashboard.sidebar import BIND
from observability.dashboard.table import Cell, column, row, table
from observability.detection.latency_sentences import share as fine_share
from observability.export.csv import inert_csv
from observability.metrics.traffic import QUANTILES, Requests, by_level, missing, requests_of

if TYPE_CHECKING:
    from pandas import DataFrame

FIELDS = {"replica": "Replica", "version": "Version", "device": "Device"}
MOST_SENTENCES = 3
"""Claims that stand above the charts."""
MOST_LEVELS = 50


def by_period(here: Here, *, histogram: bool) -> "DataFrame":
    """Requests of the window by hour or day and status; with `histogram` by bin of latency too."""
    bucket = Bucket("hour") if time_series.grain(here.window) == "hour" else Bucket("day")
    asked = Aggregate("predictions", keys=(bucket, By("status")), histogram=("latency_ms",) if histogram else ())
    return frame.guarded(lambda: load.frame(asked, here.window))


def counts_frame(counts: "DataFrame") -> "DataFrame":
    """Period, and a column of rows for each status, `ok` first."""
    import pandas as pd

    wide = counts.pivot_table(index="period", columns="status", values="n", aggfunc="sum", fill_value=0)
    names = [each for each in charts_latency.STATUSES if each in wide]
    found = wide[names].astype(int).rename_axis(columns=None).reset_index()
    return found.assign(period=pd.to_datetime(found["period"]))


def percentile_frame(latencies: "DataFrame") -> "DataFrame":
    """period, p50, p95, p99, low, high (of p99) in ms, n; the interval is left out where p99 has too few answers to be told."""
    import pandas as pd

    rows: list[list[Any]] = []
    for period, part in latencies.groupby("period", sort=True):
        requests = requests_of(part, part)
        values = {name: requests.quantile(q) for name, q in QUANTILES.items()}
        ends = values["latency_p99"]
        surely = missing(requests, "latency_p99") == 0
        rows.append(
            [period, *(each.value for each in values.values()), ends.low if surely else None, ends.high if surely else None, requests.timed]
        )
    found = pd.DataFrame(rows, columns=["period", "p50", "p95", "p99", "low", "high", "n"])
    return found.astype(dict.fromkeys(("p50", "p95", "p99", "low", "high"), float))


def level_frame(here: Here, field: str) -> "DataFrame":
    """One row a replica, device or version: name, n, answers, the error rate and each percentile with its ends, and whether p99 can be told."""
    import pandas as pd

    keys = (By(field), By("status")) if field == "version" else (Bucket("day"), By(field), By("status"))
    asked = Aggregate("predictions", keys=keys, histogram=("latency_ms",))
    answer = frame.guarded(lambda: load.frame(asked, here.window))
    if field == "version":
        answer = answer.assign(period=pd.Timestamp(0))
    found = by_level(answer, field)
    order = sorted(found, key=lambda name: (-found[name].n, name))
    return pd.DataFrame([level_row(name, found[name]) for name in order])


def level_row(name: str, requests: Requests) -> dict[str, Any]:
    """The figures of one level."""
    errors = requests.error_rate()
    found: dict[str, Any] = {"name": name, "n": requests.n, "answers": requests.timed, "error_rate": errors.value}
    found |= {"error_rate_low": errors.low, "error_rate_high": errors.high}
    for metric, q in QUANTILES.items():
        value = requests.quantile(q)
        found |= {
            metric: value.value,
            f"{metric}_low": value.low,
            f"{metric}_high": value.high,
            f"{metric}_enough": missing(requests, metric) == 0,
        }
    return found


def sentence(found: Sequence[Finding]) -> str:
    """The worst claims, of a replica or device before those about the whole, or that of p99; drawn, and the first returned as the charts' alternative text."""
    rank = {"act": 0, "watch": 1}
    order = ("latency_p99", "error_rate", "latency_p95", "latency_p50", "request_rate")
    told = sorted(
        found,
        key=lambda each: (
            rank.get(each.severity, 2), each.severity not in rank or each.subject == "model", order.index(each.metric) if each.metric in order else 9
        ),
    )  # fmt: skip
    first, bad = told[0], [each for each in told if each.severity in rank]
    several = len({each.version for each in found if each.version}) > 1
    for each in bad[:MOST_SENTENCES] or [first]:
        words = formatting.sentence(each.because)
        of = f" :gray[version {formatting.plain(each.version)}]" if several and each.version else ""
        st.markdown(f"{formatting.status(each.severity)}: {f'**{words}**' if each is first else words}{of}")
    if len(bad) > MOST_SENTENCES:
        st.caption(f"{len(bad) - MOST_SENTENCES} more claims stand under Findings.")
    errors = next((each for each in found if each.metric == "error_rate" and each.against == "past" and each.subject == "model"), None)
    if errors is not None and errors is not first and errors.severity not in rank:
        st.caption(formatting.sentence(errors.because))
    return first.because.replace("`", "")


def traffic(here: Here) -> bool:
    """Requests stacked by status; whether there were any."""
    counts = by_period(here, histogram=False)
    if not counts["n"].sum():
        empty_states.no_rows()
        return False
    shown = counts_frame(counts)
    failed = int(shown.drop(columns=["period", *(["ok"] if "ok" in shown else [])]).to_numpy().sum())
    total = int(counts["n"].sum())
    said = (
        f"{formatting.plural(total, 'request')}, {failed:,} of them not answered as they should be ({fine_share(failed / total)})."
        if failed
        else f"{formatting.plural(total, 'request')}, {'all ' if total > 1 else ''}answered."
    )
    st.markdown(formatting.plain(said))
    frame.chart(
        charts_latency.traffic(shown, time_series.marks(here.model.name, here.window)),
        shown,
        key="requests",
        alt=said,
        metrics=("request_rate", "error_rate"),
        on_select=clicks.leads("requests", lambda point: of_status(here, point, shown)),
    )
    return True


def of_status(here: Here, point: clicks.Point, shown: "DataFrame") -> clicks.Cases | None:
    """The requests of one status in the period that was clicked; bars stand in the order of the table's columns."""
    statuses = [each for each in shown.columns if each != "period"]
    number = point.get("curve_number")
    q = clicks.equals("status", statuses[number]) if isinstance(number, int) and number < len(statuses) else None
    return clicks.period(here, point, shown["period"], q, clicks.NEWEST)


def slower(here: Here, point: clicks.Point, shown: "DataFrame") -> clicks.Cases | None:
    """The requests of a period that took as long as the percentile that was clicked, or longer."""
    value = point.get("y")
    q = clicks.between("latency_ms", float(value), None) if isinstance(value, int | float) and value > 0 else None
    return clicks.period(here, point, shown["period"], q, clicks.NEWEST)


def over_time(here: Here, alt: str) -> None:
    """Percentiles by hour or day; how to log latency where there is none."""
    latencies = by_period(here, histogram=True)
    shown = percentile_frame(latencies[latencies["bin"] >= 0]) if len(latencies) else None
    if shown is None or not shown["n"].sum():
        empty_states.nothing(
            "No latency was logged in this window.",
            "Give `latency_ms` with each prediction: `with log.timed() as timer: …`, then `log.prediction(…, latency_ms=timer.ms)`; the ASGI and WSGI "
            "middleware do it by themselves.",
        )
        return
    log = st.toggle("Logarithmic scale", key="log", bind=BIND)
    figure = charts_latency.percentiles(
        shown, limit=here.model.settings.service_level_latency_ms, log=log, marks=time_series.marks(here.model.name, here.window)
    )
    on_mark = clicks.leads("percentiles", lambda point: slower(here, point, shown))
    frame.chart(figure, shown, key="percentiles", alt=f"Latency over time. {alt}", metrics=tuple(QUANTILES), on_select=on_mark)
    st.caption(
        "Percentiles come from bins and are within 2 %. Errors and rejections are left out; timeouts count, since somebody waited. Where fewer than 500 answers came, p99 stands without its interval."
    )


def side_by_side(here: Here, found: Sequence[Finding]) -> None:
    """Replicas, versions and devices, each that there are two or more of: a dot for p99 with its interval, and a table of all figures."""
    drawn = False
    for field, title in FIELDS.items():
        rows = level_frame(here, field)
        if len(rows) < 2:
            continue
        drawn = True
        st.subheader(f"By {field}", anchor=False)
        levels_of(here, field, title, rows, found)
    if not drawn:
        st.caption(
            "Only one replica and version answered in this window. Name the process that answers with `replica` to have them compared."
        )


def levels_of(here: Here, field: str, title: str, rows: "DataFrame", found: Sequence[Finding]) -> None:
    """The dot plot and the table of one field."""
    timed = rows[rows["answers"] > 0]
    about = {
        each.subject.partition("=")[2]: each
        for each in reversed(found)
        if each.subject.startswith(f"{field}=") and needs_action(each.severity)
    }
    if field == "version":  # what is said of the whole is said of one version, against its own past
        about |= {
            each.version: each for each in reversed(found) if each.version and each.subject == "model" and needs_action(each.severity)
        }
    said = next((each.because.replace("`", "") for each in about.values()), f"No {field} stands out from the others.")
    if len(timed) >= 2:
        dots = timed.rename(
            columns={
                "name": "group",
                "latency_p99": "value",
                "latency_p99_low": "low",
                "latency_p99_high": "high",
                "latency_p99_enough": "enough",
            }
        )
        dots = (
            dots[["group", "value", "low", "high", "answers", "enough"]]
            .rename(columns={"answers": "n"})
            .assign(what="answers", reference=float("nan"))
        )
        frame.chart(
            charts_fairness.dots(dots, name="p99 in ms", unit="ms"),
            dots.drop(columns=["reference"]),
            key=f"p99-{field}",
            alt=f"p99 by {field}. {said}",
            metrics=("latency_p99",),
            on_select=clicks.leads(f"p99-{field}", partial(of_level, here, field, list(dots["group"]))),
        )
    columns = [
        column("name", title, strong=True),
        column("n", "Requests", align="right"),
        column("errors", "Error rate", align="right", help="With its 95 % interval"),
    ]
    columns += [
        column(metric, formatting.metric_title(metric), align="right", help="In ms, with its 95 % interval; grey: too few answers")
        for metric in QUANTILES
    ]
    columns.append(column("status", "Status"))
    table(
        f"by-{field}",
        f"Service by {field}",
        columns,
        [table_row(here, field, each, about) for each in rows.head(MOST_LEVELS).to_dict("records")],
        compact=True,
    )
    if len(rows) > MOST_LEVELS:
        st.caption(f"The {MOST_LEVELS} with the most requests of {len(rows):,}; all of them are in the CSV.")
    frame.download(f"latency-by-{field}.csv", lambda: inert_csv(rows), "CSV", key=f"{field}-csv")


def of_level(here: Here, field: str, names: Sequence[str], point: clicks.Point) -> clicks.Cases | None:
    """The requests of a replica, device or version that was clicked, which took longest first."""
    number = clicks.place(point, "y", len(names))
    if number is None:
        return None
    return clicks.inside(here, [(field, names[len(names) - 1 - number])], clicks.EVERY, clicks.SLOWEST)


def table_row(here: Here, field: str, each: dict[Any, Any], about: dict[str, Finding]) -> dict[str, Any]:
    """One replica as a row; its name makes it the slice, that of a version the version."""
    name = str(each["name"])
    scope = replace(here.scope, version=name) if field == "version" else replace(here.scope, slice=Slice(((field, name),)))
    cells: dict[str, Cell] = {
        "name": links.link(name, "latency", scope), "n": {"t": f"{each['n']:,}"},
        "errors": {"t": fine_share(each["error_rate"]), "sub": f"{fine_share(each['error_rate_low'])} to {fine_share(each['error_rate_high'])}"},
    }  # fmt: skip
    for metric in QUANTILES:
        cells[metric] = figure_cell(each, metric)
    stands = about.get(name)
    severity = stands.severity if stands else "ok" if each["latency_p99_enough"] else "unknown"
    title = stands.because.replace("`", "") if stands else "" if severity == "ok" else "Too few answers for p99"
    cells["status"] = {"s": severity, "t": formatting.STATUS_WORDS[severity], "title": title}
    return row(cells)


def figure_cell(each: dict[Any, Any], metric: str) -> Cell:
    """A percentile over its interval; without answers a dash."""
    if not each["answers"]:
        return {"t": formatting.DASH}
    cell: Cell = {
        "t": formatting.number(each[metric]),
        "sub": f"{formatting.number(each[f'{metric}_low'])} to {formatting.number(each[f'{metric}_high'])}",
    }
    return cell if each[f"{metric}_enough"] else cell | {"tone": "unknown", "title": "Too few answers to be judged"}
