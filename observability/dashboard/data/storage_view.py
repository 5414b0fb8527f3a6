"""The storage page: freshness of datasets, their size by codec and form, small groups, and the size and use of the store's own columns."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.numerals import format_figure, hours_in_words, percent
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, empty_states, frame, links, load, time_zone
from observability.dashboard.cells import UNKNOWN_CELL, share_cell
from observability.dashboard.charts import storage as charts_storage
from observability.dashboard.data import storage_places
from observability.dashboard.sample_figures import sample_records
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph
from observability.detection.stored_form_claims import FLIPS
from observability.metrics.stored_forms import storage_codecs
from observability.metrics.unused_columns import UnusedColumns, unused_columns
from observability.stats.interval import rate_interval
from observability.store.types.asked_questions import AskedQuestions

HOW = """python -m observability audit-storage people.parquet --quasi age,zip --sensitive income
python -m observability audit-storage --model loan      # its reference, with the answers of its file before and after"""
MAX_TABLE_ROWS = 30
"""Maximum number of columns and questions that a table shows."""
FRESHNESS = (
    column("dataset", "Dataset", strong=True),
    column("versions", "Versions", align="right", phone=False),
    *number_columns(rows="Rows"),
    column("changes", "Newest version", help="Rows added, changed and deleted, as logged", phone=False),
    column("age", "Age", align="right", help="Time from the newest version to now"),
    column("usual", "Usual gap", align="right", help="Median time between versions; needs three versions", phone=False),
    column(
        "unused",
        "Unused columns",
        help="Columns of the newest version that are neither feature nor group of any model trained on this dataset",
        phone=False,
    ),
    column("audit", "Audited", short=True, phone=False, help="Whether a version has a storage audit"),
)
FORMS = columns_on_phone(
    "form share flips",
    column("form", "Form", strong=True),
    column("bytes", "Size", align="right"),
    column("share", "Of uncompressed", align="right"),
    column("encode", "Encode", align="right", help="Time ÷ time without compression, measured in memory"),
    column("decode", "Decode", align="right", help="Time ÷ time without compression, measured in memory"),
    column("change", "Largest change", align="right", help="Largest change of the model's score on the same rows"),
    column(
        "flips",
        "Decisions that flip",
        align="right",
        help="With the 95 % interval of the share. For regression: predictions that move by more than 5 % of their standard deviation",
    ),
)
STORE_COLUMNS = (
    column("column", "Column", strong=True),
    column("bytes", "In the database", align="right", help="Its share of the blocks on disk"),
    column("codec", "Codecs", phone=False),
    column("used", "Read", short=True, help="Whether a question read its rows or counts in the last four weeks"),
)
QUESTIONS = columns_on_phone(
    "table slowest mean",
    column("table", "Table", strong=True),
    column("columns", "Columns"),
    *number_columns(times="Times", slowest="Slowest", mean="Mean"),
    column("last", "Last asked (UTC)", short=True),
)


def logged_data_sets() -> pd.DataFrame:
    """Return every logged version, oldest first, with its storage audit in `storage` (None if it has none)."""
    fields = ("dataset", "version", "at", "rows", "added", "changed", "deleted", "columns", "extra")
    rows = load.ask_store(Records("dataset", fields, ever=True), Window("", EPOCH, load.page_clock()))
    audits: list[Any] = [extra.get("storage") if isinstance(extra, Mapping) else None for extra in rows["extra"]]
    known: list[Any] = [audit if "none" in storage_codecs(audit) else None for audit in audits]
    return rows.assign(storage=pd.Series(known, index=rows.index, dtype=object))


def _sample_figure(folder: Path) -> Any:
    """Draw the forms of the sample's first audit."""
    audit = sample_records(folder / "storage.jsonl", "dataset")["storage"].iloc[0]
    return charts_storage.storage_forms_chart(forms_frame(audit), change="largest change of a score")


EXAMPLE = ("Size of a dataset by form, and what less exact numbers change", _sample_figure)


def no_data_sets() -> None:
    """Draw the empty state for a store without logged datasets, with the command that audits one."""
    empty_states.how_to_log_state("No dataset has been logged yet.", "An audit measures a file, or a model's reference.", HOW, EXAMPLE)


def storage_audit_empty_state() -> None:
    """Draw the empty state for a store without audited datasets, with the command that audits one."""
    empty_states.how_to_log_state("No dataset was audited yet.", "An audit measures a file, or a model's reference.", HOW, EXAMPLE)


def freshness_table(rows: pd.DataFrame, scope: Scope) -> None:
    """Draw a row for each dataset, the newest first."""
    now, lines = load.no_later_than_now(load.page_clock()), []
    unused = unused_columns_of_data_sets(rows)
    parts = sorted(rows.groupby("dataset"), key=lambda each: each[1]["at"].max(), reverse=True)
    for name, part in parts[:MAX_TABLE_ROWS]:
        last = part.iloc[-1]
        times = part.drop_duplicates("version")["at"]
        seconds = float(times.sort_values().diff().dt.total_seconds().median()) if len(times) > 2 else None
        words = [f"{int(last[each]):,} {each}" for each in ("added", "changed", "deleted") if pd.notna(last[each]) and last[each]]
        cells: dict[str, Cell] = {
            "dataset": links.link_cell(str(name), "storage", scope, dataset=str(name)),
            "versions": {"t": f"{part['version'].nunique():,}"},
            "rows": {"t": f"{int(last['rows']):,}"},
            "changes": {"t": ", ".join(words) or formatting.DASH},
            "age": {"t": age_words(now, last["at"].to_pydatetime())},
            "usual": {"t": hours_in_words(seconds / 3600) if seconds is not None else formatting.DASH},
            "unused": unused_cell(unused.get(str(name))),
            "audit": {"t": "yes" if part["storage"].notna().any() else "no"},
        }
        lines.append(table_row(cells))
    draw_table("freshness", "Datasets, newest first", FRESHNESS, lines, compact=True)
    if len(parts) > MAX_TABLE_ROWS:
        plain_caption(f"The newest {MAX_TABLE_ROWS} of {len(parts):,} datasets are shown.")


def unused_columns_of_data_sets(rows: pd.DataFrame) -> dict[str, UnusedColumns]:
    """Return by dataset the columns that no model trained on it reads."""
    runs = load.ask_store(Records("run", ("run", "model", "dataset"), ever=True), Window("", EPOCH, load.page_clock()))
    read = {
        model.name: [each.name for each in model.columns if each.role in ("feature", "group")]
        for model in load.catalog().models
        if model.columns
    }
    return unused_columns(rows, runs, read)


def unused_cell(found: UnusedColumns | None) -> Cell:
    """The cell with the number of unused columns and their names; a dash if the number is unknown."""
    if found is None:
        return dict(UNKNOWN_CELL)
    names = ", ".join(found.unused)
    return {"t": f"{len(found.unused):,} of {found.columns:,}", "sub": formatting.truncate(names, 60) or None, "title": names[:500] or None}


def age_words(now: datetime, at: datetime) -> str:
    """Return the time that has passed since `at` (naive UTC): in hours if it is below two days, else in days."""
    age = max(now - aware_utc(at), timedelta(0))
    return hours_in_words(age.total_seconds() / 3600) if age < timedelta(days=2) else f"{age.days:,} days"


def chosen_audit(rows: pd.DataFrame, scope: Scope) -> tuple[str, str, Mapping[str, Any]]:
    """Return name, version and audit of the dataset in the address. If the address names none, the dataset to show first is chosen.

    rows: those of `logged_data_sets`, of which at least one has an audit. Audits about the scope's model come first. If no dataset is
    named, audits that counted groups of tagged columns come next. Then come audits about any model, and then the newest audit.
    """
    audited = rows[rows["storage"].notna()]
    first = _first_audit(audited, scope, grouped=True)
    named = choice_box.address_selectbox(
        "dataset",
        "Dataset",
        sorted(set(map(str, audited["dataset"]))),
        placeholder=str(first["dataset"]),
        width=420,
        missing="The dataset {} has no storage audit.",
    )
    last = _first_audit(audited[audited["dataset"] == named], scope, grouped=False) if named else first
    return str(last["dataset"]), str(last["version"]), last["storage"]


def _first_audit(audited: pd.DataFrame, scope: Scope, *, grouped: bool) -> Any:
    """Return the row of the audit to show. grouped: whether an audit that counted groups is preferred to an audit about any model."""

    def rank(place: int) -> tuple[bool, bool, bool, int]:
        audit = audited["storage"].iloc[place]
        asked = {form["model"]["name"] for form in audit.get("forms", {}).values() if form.get("model")}
        return scope.model in asked, grouped and bool(audit.get("groups")), bool(asked), place

    return audited.iloc[max(range(len(audited)), key=rank)]


def forms_section(audit: Mapping[str, Any]) -> None:
    """Draw the picture of sizes and changed scores, and the table of all forms."""
    drawn = forms_frame(audit)
    base = float(audit["codecs"]["none"]["bytes"])
    asked = next((form["model"] for form in audit.get("forms", {}).values() if form.get("model")), None)
    exact = drawn[drawn["lossless"]]
    best = exact.sort_values("bytes").iloc[0]
    alt = f"{best['form']} is the smallest exact form: {percent(best['bytes'] / base)} of the uncompressed size."
    plain_paragraph(alt)
    if asked:
        change = "largest change of a score"
        figure = charts_storage.storage_forms_chart(drawn, change=change)
        columns = {"form": "Form", "bytes": "Bytes", "change": change.capitalize(), "lossless": "Exact"}
        frame.chart_with_table(figure, drawn, key="forms", alt=alt, columns=columns)
        plain_caption(f"{asked['name']} {asked['version']} scored {asked['rows']:,} rows before and after, with its registered file.")
    lines = [table_row(_form_cells(name, cost, base)) for name, cost in ordered_codecs(audit).items()]
    lines += [table_row(_lossy_cells(name, form, base, audit.get("in_use"))) for name, form in ordered_forms(audit).items()]
    draw_table("form-costs", "Size and cost of each form", FORMS, lines, compact=True)
    _slices_table(audit)


def ordered_codecs(audit: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The codecs of an audit, largest file first."""
    return dict(sorted(audit["codecs"].items(), key=lambda each: -each[1]["bytes"]))


def ordered_forms(audit: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The less exact forms of an audit, largest file first."""
    return dict(sorted(audit.get("forms", {}).items(), key=lambda each: -each[1]["bytes"]))


def forms_frame(audit: Mapping[str, Any]) -> pd.DataFrame:
    """Return form, bytes, change and lossless for every codec and every lossy form."""
    rows = [[name, int(cost["bytes"]), 0.0, True] for name, cost in audit["codecs"].items()]
    for name, form in audit.get("forms", {}).items():
        said = form.get("model")
        rows.append([name, int(form["bytes"]), float(said["largest"]) if said else float("nan"), False])
    return pd.DataFrame(rows, columns=["form", "bytes", "change", "lossless"])


def _form_cells(name: str, form: Mapping[str, Any], base: float) -> dict[str, Cell]:
    """Return the cells of an exact form, which changes no value: its sizes and times."""
    dash = formatting.DASH
    return {
        "form": {"t": name},
        "bytes": {"t": formatting.format_bytes(form["bytes"])},
        "share": {"t": percent(form["bytes"] / base) if base else dash},
        "encode": {"t": f"{form['encode']:.2f}×" if "encode" in form else dash},
        "decode": {"t": f"{form['decode']:.2f}×" if "decode" in form else dash},
        "change": {"t": "none"},
        "flips": {"t": dash},
    }


def _lossy_cells(name: str, form: Mapping[str, Any], base: float, in_use: Any) -> dict[str, Cell]:
    """Return the cells of one lossy form: its sizes and times, and how a model's answers change with it."""
    cells, said = _form_cells(f"{name}, zstd", form, base), form.get("model")
    if name == in_use:
        cells["form"]["sub"] = "in use"
    cells["change"] = {"t": format_figure(said["largest"]) if said else formatting.DASH}
    if said and said.get("flips") is not None:
        cells["flips"] = {"t": f"{said['flips']:,} of {said['rows']:,}"}
        if said.get("low") is not None:
            cells["flips"]["sub"] = f"{percent(said['low'])} to {percent(said['high'])}"
    return cells


def _slices_table(audit: Mapping[str, Any]) -> None:
    """Draw in a folded section the share of decisions that each lossy form flips in each slice; nothing if no slice was recorded."""
    forms = {name: form for name, form in ordered_forms(audit).items() if (form.get("model") or {}).get("slices")}
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for place, form in enumerate(forms.values()):
        for part in form["model"]["slices"]:
            cells = rows.setdefault((part["column"], part["level"]), {"n": {"t": f"{part['n']:,}"}})
            cells[f"form{place}"] = share_cell(*rate_interval(part["flips"], part["n"]).triple)
    if not rows:
        return
    shape = [
        column("slice", "Slice", strong=True),
        column("n", "Rows", align="right"),
        *(column(f"form{place}", name, align="right", phone=not place) for place, name in enumerate(forms)),
    ]
    blank: dict[str, Cell] = {each["key"]: dict(UNKNOWN_CELL) for each in shape}
    lines = [table_row(blank | {"slice": {"t": f"{name} {level}"}} | cells) for (name, level), cells in rows.items()]
    with st.expander(f"Decisions that flip in {formatting.plural(len(lines), 'slice')}", icon=":material/table_rows:"):
        draw_table("form-slices", "Share of decisions that each lossy form flips, by slice", shape, lines, compact=True, sort=True)


def stored_form_findings_section(name: str, found: Sequence[Finding]) -> None:
    """Draw the findings about the stored form of this dataset, and the findings about other datasets that are not `ok`.

    name: the name of the dataset that is shown. found: the findings of data/storage.
    """
    about = [each for each in found if "dataset" in each.evidence and (each.evidence["dataset"] == name or each.severity != "ok")]
    for each in about:
        if each.metric == FLIPS and each.severity == "ok":
            plain_paragraph(each.because.replace("`", ""))
    if about:
        caption = "Stored forms that need attention, and what to do next"
        storage_places.next_steps_table(about, "stored-forms-next", "stored-form-findings", caption)


def columns_table(audit: Mapping[str, Any]) -> None:
    """Draw the bytes of each column under each codec, and the tag of the column."""
    codecs, tags = ordered_codecs(audit), audit.get("tags", {})
    names = sorted(codecs["none"]["columns"], key=lambda name: -codecs["none"]["columns"][name])
    shape = [
        column("column", "Column", strong=True),
        column("tag", "Tag", short=True, help="personal, sensitive or quasi-identifying, from settings or the command"),
        *(column(codec, codec, align="right", phone=codec in ("none", "zstd")) for codec in codecs),
    ]
    lines = []
    for name in names[:MAX_TABLE_ROWS]:
        cells: dict[str, Cell] = {"column": {"t": name}, "tag": {"t": tags.get(name, formatting.DASH)}}
        cells |= {codec: {"t": formatting.format_bytes(cost["columns"].get(name, 0))} for codec, cost in codecs.items()}
        lines.append(table_row(cells))
    with st.expander(f"{formatting.plural(len(names), 'column')} by codec", icon=":material/table_rows:"):
        draw_table("column-bytes", "Bytes by column and codec", shape, lines, compact=True)
        if len(names) > MAX_TABLE_ROWS:
            plain_caption(f"The largest {MAX_TABLE_ROWS} of {len(names):,} columns are shown.")


def groups_sentence(audit: Mapping[str, Any]) -> str:
    """Return a paragraph without markup about the smallest groups."""
    groups = audit.get("groups")
    if not groups:
        return "No column is tagged quasi-identifying, so no group was counted."
    small = [
        f"{formatting.plural(n, 'group has', 'groups have')} fewer than {size} rows ({formatting.plural(rows, 'row')} in all)"
        for size, (n, rows) in sorted(groups["below"].items(), key=lambda each: int(each[0]))
        if n
    ]
    said = (
        f"k = {groups['k']:,} over {', '.join(groups['columns'])}: {groups['groups']:,} groups; {'; '.join(small) or 'none below 10 rows'}."
    )
    if groups.get("diversity") is not None:
        said += f" The fewest values of {groups['sensitive']} in a group: {groups['diversity']:,}."
    return said


def store_columns_section(model: Model) -> None:
    """Draw the bytes and codecs of a model's columns in the database, and which of the columns were read since the dashboard started."""
    held = load.column_storage(model.name)
    asked = load.asked_questions(model.name)
    own = {each.reference for each in model.columns}
    unread = sorted(own - asked.used)
    plain_paragraph(unread_words(len(own), unread, asked))
    if model.shared:
        plain_paragraph(
            "It is small and not registered, so its rows stand in a table that such models share; sizes are those of the whole table."
        )
    lines = []
    for row in held.head(MAX_TABLE_ROWS).to_dict("records"):
        name = str(row["column"])
        cells: dict[str, Cell] = {
            "column": {"t": name},
            "bytes": {"t": formatting.format_bytes(row["bytes"])},
            "codec": {"t": row["codecs"] or formatting.DASH},
            "used": {"t": ("yes" if name in asked.used else "no") if name in own else formatting.DASH},
        }
        lines.append(table_row(cells))
    whose = f"the table that {model.name} shares with other unregistered models" if model.shared else f"{model.name} in the database"
    with st.expander(f"{formatting.plural(len(held), 'column')}, largest first", icon=":material/table_rows:"):
        draw_table("store-columns", f"Columns of {whose}, largest first", STORE_COLUMNS, lines, compact=True)
    with st.expander("Slowest questions", icon=":material/timer:"):
        questions_table(asked, model.name)


def unread_words(columns: int, unread: Sequence[str], asked: AskedQuestions) -> str:
    """Return the number of columns that no query has read, with their names if there are few."""
    since = f"since {time_zone.named_minute(asked.since)}"
    if not unread:
        return f"All {columns:,} logged columns were read {since}."
    names = formatting.join_words([name.partition(".")[2] or name for name in unread], 6)
    return f"{len(unread):,} of {columns:,} logged columns were not read {since}: {names}."


def questions_table(asked: AskedQuestions, about: str) -> None:
    """Draw the table of the slowest queries: their tables, columns, number and duration."""
    lines = []
    for each in asked.entries[:10]:
        names = [name.partition(".")[2] or name for name in each.columns]
        cells: dict[str, Cell] = {
            "table": {"t": formatting.truncate(each.table, 60), "title": each.table},
            "columns": {"t": formatting.truncate(formatting.join_words(names, 5), 80) or formatting.DASH, "title": ", ".join(names)[:500]},
            "times": {"t": f"{each.times:,}"},
            "slowest": {"t": f"{each.slowest * 1000:,.0f} ms"},
            "mean": {"t": f"{each.seconds / each.times * 1000:,.0f} ms"},
            "last": {"t": time_zone.zoned_minute(each.last)},
        }
        lines.append(table_row(cells))
    draw_table("questions", f"Slowest questions about {about} in the last four weeks", QUESTIONS, lines, compact=True)


def keeping_sentence(status: Mapping[str, Any]) -> str:
    """Return a paragraph on the last backup, the last restore test and the retention."""
    done = status["keeping"]

    def last(name: str) -> str:
        return time_zone.named_minute(datetime.fromisoformat(done[name]["at"])) if done[name] else "never"

    kept = f"retention last removed rows {last('retention')}" if done.get("retention") else "retention has removed nothing"
    return f"Last backup: {last('backup')}; last restore test: {last('verified_restore')}; {kept}."


def model_of_store(scope: Scope, audited: str | None = None) -> Model | None:
    """Return the model of the scope; if there is none, the model whose answers the shown audit compares, else the first model with
    columns.
    """
    models = load.catalog().models
    named = {each.name: each for each in models}
    return named.get(scope.model or "") or named.get(audited or "") or next((each for each in models if each.columns), None)


def audited_model(audit: Mapping[str, Any]) -> str | None:
    """Return the name of the model whose answers to the forms an audit compares; None if it compares none."""
    return next((str(form["model"]["name"]) for form in audit.get("forms", {}).values() if form.get("model")), None)
