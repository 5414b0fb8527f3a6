"""The datasets page: versions of each dataset, their content and parents, and the training runs that used them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.data.cleaning import CLEANINGS
from observability.analyzers.data.datasets import Content, contents_of
from observability.core import formatting
from observability.core.numerals import short_checksum
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, empty_states, links, load, time_zone
from observability.dashboard.cells import count_and_share_cell, filled_columns, severity_cell
from observability.dashboard.data import batches, lineage_view
from observability.dashboard.data.sample_data_figures import lineage_figure
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_of_table, plain_paragraph
from observability.detection.cleaning_history import applied_runs
from observability.metrics import cost
from observability.metrics.lineage import Thing

MAX_TABLE_ROWS = 200
COLUMNS_OF_RECORDS = (
    "dataset", "version", "at", "rows", "added", "changed", "deleted", "bytes", "columns", "parents", "checksum", "extra",
)  # fmt: skip
HOW = """import observability as obs
log = obs.Logger()
log.dataset(dataset="people", version="2026-03", rows=962, parents=["people@2026-02"], checksum="sha256:9f86d081…",
            columns={"age": {"null_share": 0.01}, "sex": {"null_share": 0.0}})"""
COLUMNS = columns_on_phone(
    "version at rows",
    column("version", "Version", strong=True),
    column("at", "Made (UTC)", width="9rem", short=True),
    column("rows", "Rows", align="right"),
    column("changes", "Since the one before", help="Rows added, changed and deleted, as logged"),
    *number_columns(columns="Columns", bytes="Size"),
    column("parents", "Made from"),
    column("content", "Content", help="The logged checksum, and other versions with the same content"),
    column("used", "Training runs", align="right", help="Runs that name this version, or the dataset alone"),
)
REQUIRED = ("version", "at", "rows")
DATASETS = columns_on_phone(
    "dataset status rows",
    column("dataset", "Dataset", strong=True),
    column("status", "Status", width="7rem"),
    column("versions", "Versions", align="right"),
    column("rows", "Rows", align="right", help="Rows of the newest version"),
    column("used", "Training runs", align="right"),
    column("last", "Newest (UTC)", short=True),
)
RULES = (
    column("rule", "Rule", strong=True),
    *number_columns(rows="Rows in", dropped="Dropped", changed="Changed"),
)


@dataclass(frozen=True)
class DatasetVersion:
    """A version of a dataset as it was last logged, with its known contents, the versions with the same content, and the training runs that
    name it.
    """

    row: dict[Any, Any]
    content: Content
    same: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the dataset."""
        return self.content.dataset

    @property
    def mixed(self) -> bool:
        """Whether the version was logged with different contents."""
        return len(self.content.contents) > 1


def dataset_versions() -> list[DatasetVersion]:
    """Return every version that was ever logged; the newest version of each dataset is its last."""
    always = Window("", EPOCH, load.page_clock())
    rows = load.ask_store(Records("dataset", COLUMNS_OF_RECORDS, ever=True), always)
    if rows.empty:
        return []
    runs = load.ask_store(Records("run", ("run", "dataset"), ever=True), always).dropna(subset=["dataset"]).drop_duplicates()
    contents = list(contents_of(rows))
    holders: dict[str, list[Content]] = {}
    for each in contents:
        for content in each.contents if each.told else ():
            holders.setdefault(content, []).append(each)
    last = {(each["dataset"], each["version"]): each for each in rows.to_dict("records")}
    found = []
    for each in contents:
        others = [one for one in holders.get(each.contents[-1], []) if one is not each] if each.told else []
        same = tuple(one.version if one.dataset == each.dataset else f"{one.dataset} {one.version}" for one in others)
        spelled = cost.dataset_spellings(each.dataset, each.version)
        named = tuple(sorted(run for run, dataset in zip(runs["run"], runs["dataset"], strict=True) if dataset in spelled))
        found.append(DatasetVersion(last[each.dataset, each.version], each, same, named))
    return sorted(found, key=lambda made: (made.name, made.row["at"], made.content.version))


def no_datasets() -> None:
    """Draw the empty state: no dataset was logged, and how to log one."""
    step = "One record per version shows the training data of each model, and whether its content changed."
    example = ("A dataset, its source and the runs that read it", lineage_figure)
    empty_states.not_logged_state("dataset", "datasets", "No dataset has been logged yet.", step, HOW, example)


def datasets_summary(made: Sequence[DatasetVersion]) -> str:
    """Return the numbers of datasets, of versions, and of versions with different contents, as Markdown."""
    mixed = sum(each.mixed for each in made)
    versions, names = formatting.plural(len(made), "version"), formatting.plural(len({each.name for each in made}), "dataset")
    conflicts = formatting.plural(mixed, "version was", "versions were") if mixed else "no version was"
    return f"**{versions}** of {names}; {conflicts} logged with different contents."


def datasets_table(made: Sequence[DatasetVersion], chosen: str, scope: Scope) -> None:
    """Draw a row for each dataset. Datasets with an ambiguous version are first, then the newest."""
    of: dict[str, list[DatasetVersion]] = {}
    for each in made:
        of.setdefault(each.name, []).append(each)
    ranked = sorted(of.items(), key=lambda each: (any(one.mixed for one in each[1]), each[1][-1].row["at"]), reverse=True)
    lines = []
    for name, own in ranked:
        mixed = [each for each in own if each.mixed]
        cells: dict[str, Cell] = {
            "dataset": links.link_cell(name, "datasets", scope, dataset=name),
            "status": severity_cell("act" if mixed else "ok"),
            "versions": {"t": f"{len(own):,}"},
            "rows": {"t": f"{int(own[-1].row['rows']):,}"},
            "used": {"t": f"{len({run for each in own for run in each.runs}):,}"},
            "last": {"t": time_zone.zoned_minute(own[-1].row["at"])},
        }
        lines.append(table_row(cells, _conflict_note(mixed[-1]) if mixed else None, selected=name == chosen))
    draw_table("datasets", "Datasets, most urgent first", DATASETS, lines)


def chosen_dataset(made: Sequence[DatasetVersion]) -> str:
    """Return the dataset in the address; if there is none, a dataset with an ambiguous version, else the newest dataset."""
    names, missing = sorted({version.name for version in made}), "The link names the dataset {}, which was never logged."
    chosen = choice_box.address_selectbox("dataset", "Dataset", names, placeholder="Newest", width=420, missing=missing)
    return chosen or max(made, key=lambda each: (each.mixed, each.row["at"])).name


def dataset_versions_table(made: Sequence[DatasetVersion], scope: Scope, asked: str | None) -> None:
    """Draw a row for each version of one dataset, newest first. Columns without a value are left out."""
    name = made[0].name
    lines = [
        table_row(_version_cells(version, scope), _conflict_note(version), selected=version.content.version == asked)
        for version in reversed(made[-MAX_TABLE_ROWS:])
    ]
    draw_table("versions", f"Versions of {name}, newest first", filled_columns(COLUMNS, lines, REQUIRED), lines)
    csv_of_table("datasets", lambda: _versions_frame(made), len(made), MAX_TABLE_ROWS)


def _version_cells(made: DatasetVersion, scope: Scope) -> dict[str, Cell]:
    """The table cells of one version of a dataset: its time, rows, changes, columns and size."""
    said, dash = made.row, formatting.DASH
    changes = [f"{int(said[name]):,} {name}" for name in ("added", "changed", "deleted") if said[name] == said[name] and said[name]]
    size = said["bytes"]
    return {
        "version": links.link_cell(made.content.version, "datasets", scope, dataset=made.name, version_of_data=made.content.version),
        "at": {"t": time_zone.zoned_minute(said["at"])},
        "rows": {"t": f"{int(said['rows']):,}"},
        "changes": {"t": ", ".join(changes) or dash, "sub": _changed_columns_words(said)},
        "columns": {"t": f"{len(said['columns']):,}" if said["columns"] else dash},
        "bytes": {"t": formatting.format_bytes(int(size)) if size == size and size is not None else dash},
        "parents": {"t": ", ".join(map(str, said["parents"])) if said["parents"] else dash},
        "content": _content_cell(made),
        "used": {"t": f"{len(made.runs):,}" if made.runs else dash},
    }


def _changed_columns_words(row: dict[Any, Any]) -> str | None:
    """Return words such as `changed in age, sex`, in which the columns that differ in most rows come first; None if the changed columns
    were not logged.
    """
    logged = (row.get("extra") or {}).get("changed_columns")
    if not isinstance(logged, dict) or not logged:
        return None
    names = sorted(logged, key=lambda name: (-logged[name], name))
    return f"changed in {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _content_cell(made: DatasetVersion) -> Cell:
    """Return the cell with the checksum and the other versions that have the same content. It is critical if the version was logged with
    different contents.
    """
    if made.mixed:
        several = " then ".join(map(short_checksum, made.content.contents[:3]))
        return {"t": several, "s": "act", "sub": "different contents under one version"}
    if not made.content.told:
        return {"t": formatting.DASH}
    return {"t": short_checksum(made.content.contents[0]), "title": made.content.contents[0], "sub": _same_content_words(made)}


def _same_content_words(made: DatasetVersion) -> str | None:
    """Return words such as `same content as version 2`; None if no other version has the same content."""
    return f"same content as version {', '.join(made.same[:3])}" if made.same else None


def _conflict_note(made: DatasetVersion) -> Cell | None:
    """Return the line under an ambiguous version; None for other versions."""
    if not made.mixed:
        return None
    logged = f"Version {made.content.version} was logged {made.content.logged:,} times with different contents"
    return {"t": f"{logged}: the training data of its runs are ambiguous.", "s": "act"}


def dataset_version_details(made: DatasetVersion, scope: Scope) -> None:
    """Draw one version: the training runs that name it, the rules that cleaned it, and its column statistics."""
    title = f"Version {made.content.version}"
    st.header(formatting.escape_markdown(title), anchor=False)
    st.markdown(" ".join(_version_sentences(made)))
    lineage_view.lineage_button(Thing("dataset", (made.name, made.content.version)), scope, key="to-lineage")
    if made.runs:
        shown = ", ".join(f"[{formatting.escape_markdown(each)}]({links.page_address('runs', scope, run=each)})" for each in made.runs[:8])
        st.markdown(f"Training runs: {shown}" + (f" and {len(made.runs) - 8:,} more." if len(made.runs) > 8 else "."))
    _version_rules_table(made, scope)
    stats = {name: value for name, value in (made.row["columns"] or {}).items() if isinstance(value, dict)}
    if any(stats.values()):
        with st.expander(formatting.plural(len(stats), "column"), icon=":material/table_rows:"):
            batches.column_statistics_table("columns", f"Columns of {made.name} {made.content.version}", stats)
    elif stats:
        plain_paragraph(f"Columns: {', '.join(sorted(stats))}.")


def _version_sentences(made: DatasetVersion) -> Iterable[str]:
    """Yield sentences about the size, origin and content of a version."""
    said = made.row
    yield f"{int(said['rows']):,} rows, made {time_zone.named_minute(said['at'])}" + (
        f" from {formatting.escape_markdown(', '.join(map(str, said['parents'])))}." if said["parents"] else "."
    )
    if made.mixed:
        yield f"**Logged with {len(made.content.contents):,} different contents under this name and version.**"
    elif made.content.told:
        yield f"Its content is `{made.content.contents[0]}`" + (
            f", {formatting.escape_markdown(_same_content_words(made) or '')}." if made.same else "."
        )
    else:
        yield "No checksum was logged, so its content cannot be compared with other versions."


def _version_rules_table(made: DatasetVersion, scope: Scope) -> None:
    """Draw the cleaning rules that were run to make one version; nothing if none was logged."""
    always = Window("", EPOCH, load.page_clock())
    asked = Records("cleaning", CLEANINGS.columns, ever=True, only=(("dataset", (made.name,)), ("version", (made.content.version,))))
    ran = applied_runs(load.ask_store(asked, always))
    if ran.empty:
        return
    ran, lines = ran.assign(hits=ran["rows_dropped"] + ran["rows_changed"]).sort_values(["at", "hits"], ascending=[True, False]), []
    for run in ran.to_dict("records"):
        total = int(run["rows_in"])
        cells: dict[str, Cell] = {
            "rule": links.link_cell(str(run["rule"]), "cleaning", scope, rule=f"dataset:{made.name}/rule:{run['rule']}"),
            "rows": {"t": f"{total:,}"},
            "dropped": count_and_share_cell(int(run["rows_dropped"]), total),
            "changed": count_and_share_cell(int(run["rows_changed"]), total),
        }
        lines.append(table_row(cells))
    draw_table("rules-of-version", f"Rules that cleaned {made.name} {made.content.version}", RULES, lines, compact=True)


def _versions_frame(made: Sequence[DatasetVersion]) -> pd.DataFrame:
    """Return the versions as they stand in the CSV."""
    rows = []
    for version in made:
        row, content = version.row, version.content
        own = {"dataset": version.name, "version": content.version, "at": row["at"], "rows": row["rows"]}
        lists = {"parents": row["parents"] or [], "contents": content.contents, "same_content_as": version.same, "runs": version.runs}
        rows.append(own | {name: "; ".join(map(str, several)) for name, several in lists.items()})
    return pd.DataFrame(rows)
