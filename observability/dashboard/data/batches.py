"""What did each source deliver, what of it was late, short or spoilt, and what became of the predictions of a batch?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.data import batches as judged
from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding, needs_action
from observability.core.numerals import hours_in_words
from observability.core.questions import Aggregate, By, Records
from observability.core.window import EPOCH, Slice, Window
from observability.dashboard import choice_box, clicks, empty_states, frame, links, load, theme
from observability.dashboard.charts import records as charts_records
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 100
METRICS = ("batch_rows", "batch_rejected_rate", "batch_gap_hours", "batch_delay_hours")
BATCHES = Records("batch")
HOW = """import observability as obs
log = obs.Logger()
log.batch(batch="2026-03-02", source="clinic", rows=1000, rejected_rows=12,
          captured_from="2026-03-01T00:00:00Z", captured_to="2026-03-02T00:00:00Z")
log.prediction(id="a1", model="loan", version="3", features={"age": 41}, score=0.62, batch="2026-03-02")"""
SOURCES = (
    column("source", "Source", strong=True),
    column("status", "Status", width="7rem"),
    column("batches", "Batches", align="right"),
    column("rows", "Rows", align="right"),
    column("rejected", "Rejected", align="right", help="Rejected rows, as a share of all rows of batches that say how many were"),
    column("last", "Newest (UTC)", short=True, help="When its newest batch of this window arrived"),
)
COLUMNS = (
    column("batch", "Batch", strong=True),
    column("at", "Arrived (UTC)", width="9rem", short=True),
    column("captured", "Captured (UTC)", help="From when to when its data were captured, and how long that is"),
    column("delay", "Delay", align="right", help="From the end of the capture to the arrival"),
    column("rows", "Rows in", align="right"),
    column("kept", "Kept", align="right", help="Rows in less rejected rows"),
    column("rejected", "Rejected", align="right"),
    column("predictions", "Predictions", align="right", help="Predictions of this window that name the batch"),
    column("failed", "Failed", align="right", help="Of those, how many were not answered as they should be"),
    column("cost", "Cost", align="right", help="Sum of what those predictions say they cost, in the currency of the log"),
)
OPTIONAL = ("captured", "delay", "kept", "rejected", "predictions", "failed", "cost")


@dataclass(frozen=True)
class Served:
    """What became of a batch's predictions: model, how many, how many failed, what they cost (None where none says)."""

    model: str
    predictions: int
    failed: int
    cost: float | None


def nothing_to_show() -> None:
    """No batch is in these dates, or none in the store: how to log one."""
    step = "A line for each delivery of a source makes late, missing and short ones visible."
    empty_states.not_logged("batch", "batches", "No batch has been logged yet.", step, HOW)


def everything(scope: Scope) -> tuple["DataFrame", Window]:
    """The batches of the dates that are looked at, oldest first, and those dates."""
    window = load.window_of_records(scope, judged.ANALYZER)
    return load.records(BATCHES, window), window


def summary(rows: "DataFrame", found: Sequence[Finding], window: Window) -> str:
    """How many batches of how many sources came, and how many sources need a person, as Markdown."""
    when = f", {formatting.plain(formatting.span(window.start, window.end))}" if window.start > EPOCH else ""
    needy = len({each.subject for each in found if needs_action(each.severity)})
    sources = formatting.plural(rows["source"].nunique(), "source")
    return f"**{formatting.plural(len(rows), 'batch', 'batches')}** of {sources}{when}; {formatting.plural(needy, 'source needs', 'sources need')} a person."


def claims(found: Sequence[Finding]) -> None:
    """What is said about one source, a sentence each, worst first."""
    for each in found:
        st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")


def about(found: Sequence[Finding], source: str) -> list[Finding]:
    """Findings about one source, worst first."""
    return [each for each in found if each.subject == f"source:{source}"]


def worst(found: Sequence[Finding]) -> Finding | None:
    """The one that a person should read first."""
    return min(found, key=lambda each: (SEVERITIES.index(each.severity), -each.rank), default=None)


def sources_table(rows: "DataFrame", found: Sequence[Finding], chosen: str | None, scope: Scope) -> None:
    """A row for each source, those that need a person first; what is said of it under it."""
    silent = [each.subject.removeprefix("source:") for each in found]
    named = list(dict.fromkeys([*rows["source"], *silent]))

    def urgency(source: str) -> tuple[int, str]:
        said = worst(about(found, source))
        return (SEVERITIES.index(said.severity) if said else len(SEVERITIES), source)

    lines = []
    for source in sorted(named, key=urgency):
        part, said = rows[rows["source"] == source], worst(about(found, source))
        counted = part[part["rejected_rows"].notna()]
        total = int(counted["rows"].sum())
        target = links.link(source, "batches", scope, source=source)
        cells: dict[str, Cell] = {
            "source": target,
            "status": {"s": said.severity, "t": formatting.STATUS_WORDS[said.severity]} if said else {"t": formatting.DASH},
            "batches": {"t": f"{len(part):,}"},
            "rows": {"t": f"{int(part['rows'].sum()):,}"},
            "rejected": {"t": formatting.share(int(counted["rejected_rows"].sum()) / total) if total else formatting.DASH},
            "last": {"t": formatting.minute(part["at"].iloc[-1]) if len(part) else "none in this window"},
        }
        note = {**target, "t": said.because.replace("`", ""), "s": said.severity} if said and needs_action(said.severity) else None
        lines.append(row(cells, note, selected=source == chosen))
    table("sources", "Sources and what they delivered", SOURCES, lines)


def choose(rows: "DataFrame", found: Sequence[Finding]) -> str | None:
    """The source that the address names, else the one that needs a person first, else the one with most batches."""
    names = sorted({*rows["source"], *(each.subject.removeprefix("source:") for each in found)})
    chosen = choice_box.choose(
        "source", "Source", names, placeholder="The one that needs a person first", width=420,
        missing="The link names the source {}, which delivered nothing in these dates.",
    )  # fmt: skip
    bad = worst([each for each in found if needs_action(each.severity)])
    return chosen or (bad.subject.removeprefix("source:") if bad else rows["source"].mode().iloc[0] if len(rows) else None)


def served(window: Window, scope: Scope, names: Sequence[str]) -> dict[str, list[Served]]:
    """What became of the predictions that name each batch, of the chosen model or of all."""
    found: dict[str, list[Served]] = {}
    for model in load.catalog().models:
        if scope.model not in (None, model.name):
            continue
        own = Window(model.name, window.start, window.end)
        counts = load.frame(Aggregate("predictions", keys=(By("batch"), By("status"))), own)
        costs = load.frame(Aggregate("predictions", keys=(By("batch"),), sums=("cost",)), own)
        money = costs.groupby("batch")["total"].sum().to_dict() if len(costs) else {}
        for batch, part in counts[counts["batch"].isin(names)].groupby("batch"):
            n, fine = int(part["n"].sum()), int(part.loc[part["status"] == "ok", "n"].sum())
            found.setdefault(str(batch), []).append(Served(model.name, n, n - fine, money.get(batch)))
    return found


def standing(found: Sequence[Finding]) -> dict[str, str]:
    """How batches stand that findings name: `act` or `watch` by batch."""
    bad = sorted((each for each in found if needs_action(each.severity)), key=lambda each: each.severity == "act")
    return {str(name): each.severity for each in bad for name in each.evidence.get("unusual", []) if name is not None}


def chart(rows: "DataFrame", found: Sequence[Finding], source: str) -> None:
    """Rows of each batch of a source over time, with what is usual."""
    stands = standing(found)
    drawn = rows[["at", "batch", "rows"]].assign(severity=[stands.get(str(each), "ok") for each in rows["batch"]])
    drawn["words"] = [
        f"{theme.label(each['batch'])}<br>{formatting.minute(each['at'])} UTC<br>{each['rows']:,} rows" for each in drawn.to_dict("records")
    ]
    about_rows = next((each for each in found if each.metric == "batch_rows"), None)
    figure = charts_records.marks(
        drawn.assign(value=drawn["rows"].astype(float)), name="rows", usual=about_rows.evidence.get("baseline") if about_rows else None
    )
    said = f"{source}: {formatting.plural(len(rows), 'batch', 'batches')}, {int(rows['rows'].min()):,} to {int(rows['rows'].max()):,} rows."
    frame.chart(
        figure, drawn.drop(columns="words"), key="batch-rows", alt=said, metrics=METRICS,
        columns={"at": "Arrived (UTC)", "batch": "Batch", "rows": "Rows", "severity": "How it stands"},
    )  # fmt: skip


def batches_table(
    rows: "DataFrame", found: Sequence[Finding], became: dict[str, list[Served]], chosen: str | None, scope: Scope, source: str
) -> None:
    """The newest batches of a source, with what became of their predictions; columns that no batch fills are left out."""
    stands = standing(found)
    lines = []
    for each in rows.iloc[::-1].head(MOST).to_dict("records"):
        name = str(each["batch"])
        cells = cells_of(each, became.get(name, []), scope, source)
        cells["batch"] |= {"s": stands[name]} if name in stands else {}
        lines.append(row(cells, selected=name == chosen))
    filled = {key for line in lines for key, cell in line["cells"].items() if cell["t"] != formatting.DASH}
    table(
        "batches",
        f"Batches of {source}, newest first",
        [each for each in COLUMNS if each["key"] not in OPTIONAL or each["key"] in filled],
        lines,
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        frame.download("batches.csv", lambda: inert_csv(flat(rows, became)), "CSV", key="batches-csv")
        if len(rows) > MOST:
            st.caption(f"The newest {MOST} of {len(rows):,}; the CSV holds all of them.")


def cells_of(each: dict[Any, Any], became: Sequence[Served], scope: Scope, source: str) -> dict[str, Cell]:
    """One batch as cells."""
    name, arrived, rows, rejected = str(each["batch"]), each["at"], int(each["rows"]), number(each["rejected_rows"])
    begin, end = moment(each["captured_from"]), moment(each["captured_to"])
    dash: Cell = {"t": formatting.DASH}
    cells: dict[str, Cell] = {key: dict(dash) for key in OPTIONAL}
    cells["batch"] = {**links.link(name, "batches", scope, source=source, batch=name), "sub": each["device"]}
    cells |= {"at": {"t": formatting.minute(arrived)}, "rows": {"t": f"{rows:,}"}}
    if begin and end:
        cells["captured"] = {
            "t": f"{formatting.minute(begin)} to {formatting.minute(end)}",
            "sub": hours_in_words((end - begin).total_seconds() / 3600),
        }
    elif begin or end:
        cells["captured"] = {
            "t": f"from {formatting.minute(begin)}" if begin else f"to {formatting.minute(end)}" if end else formatting.DASH
        }
    if end:
        cells["delay"] = {"t": hours_in_words((arrived - end).total_seconds() / 3600)}
    if rejected is not None:
        cells["kept"] = {"t": f"{rows - rejected:,}"}
        cells["rejected"] = {"t": f"{rejected:,}", "sub": formatting.share(rejected / rows) if rows else None}
    if became:
        several = ", ".join(one.model for one in became) if len(became) > 1 else None
        total = f"{sum(one.predictions for one in became):,}"
        about = replace(scope.about(became[0].model), slice=Slice((("batch", name),)))
        cells["predictions"] = {**(links.link(total, "cases", about, q=clicks.EVERY) if not several else {"t": total}), "sub": several}
        cells["failed"] = {"t": f"{sum(one.failed for one in became):,}"}
        costs = [one.cost for one in became if one.cost is not None]
        cells["cost"] = {"t": formatting.number(sum(costs))} if costs else dash
    return cells


def number(value: Any) -> int | None:
    """A count of a record, None where it says none."""
    return None if value is None or value != value or str(value) == "<NA>" else int(value)


def moment(value: Any) -> datetime | None:
    """A time of a record, None where it says none."""
    return None if value is None or value != value else value.to_pydatetime()


def flat(rows: "DataFrame", became: dict[str, list[Served]]) -> "DataFrame":
    """The batches as the CSV has them, with every field of their records."""
    names = [str(each) for each in rows["batch"]]
    sums = {name: (sum(one.predictions for one in each), sum(one.failed for one in each)) for name, each in became.items()}
    return rows.assign(
        stats=rows["stats"].map(lambda each: json.dumps(each) if each else None),
        predictions=[sums.get(name, (0, 0))[0] for name in names],
        failed=[sums.get(name, (0, 0))[1] for name in names],
    )


def detail(rows: "DataFrame", asked: str | None) -> None:
    """What a batch says of its columns: `stats` as it was logged."""
    part = rows[rows["batch"] == asked] if asked else rows[[bool(each) for each in rows["stats"]]]
    if part.empty:
        return
    each = part.iloc[-1]
    stats = {name: value for name, value in (each["stats"] or {}).items() if isinstance(value, dict)}
    st.header(f"Columns of batch {formatting.plain(each['batch'])}", anchor=False)
    if not stats:
        st.markdown("The batch was logged without `stats`: figures of its columns, as `{column: {mean: 4.2}}`, would stand here.")
        return
    stats_table("stats", f"What batch {each['batch']} says of its columns", stats)


def stats_table(key: str, caption: str, stats: Mapping[str, Mapping[str, Any]]) -> None:
    """A row for each column, with every figure that any of them says."""
    names = list(dict.fromkeys(name for value in stats.values() for name in value))
    columns = [
        column("column", "Column", strong=True),
        *(column(f"c{place}", formatting.cut(name.replace("_", " "), 30), align="right") for place, name in enumerate(names)),
    ]
    lines = [
        row({"column": {"t": name}, **{f"c{place}": figure(value.get(key), key) for place, key in enumerate(names)}})
        for name, value in sorted(stats.items())
    ]
    table(key, caption, columns, lines, compact=True)


def figure(value: Any, name: str) -> Cell:
    """A figure of a column as it was logged; one that is named a share as a percentage."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return {"t": formatting.DASH if value is None else formatting.cut(str(value), 40)}
    return {
        "t": formatting.share(float(value)) if name.endswith(("share", "rate")) and 0 <= value <= 1 else formatting.number(float(value), 4)
    }
