"""Which versions of which datasets are there, what do they hold, where do they come from, and who learned from them?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.data.datasets import Content, contents_of
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import short_checksum
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, empty_states, frame, links, load
from observability.dashboard.data import batches
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics import cost

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 200
HOW = """import observability as obs
log = obs.Logger()
log.dataset(dataset="people", version="2026-03", rows=962, parents=["people@2026-02"], checksum="sha256:9f86d081…",
            columns={"age": {"null_share": 0.01}, "sex": {"null_share": 0.0}})"""
COLUMNS = (
    column("version", "Version", strong=True),
    column("at", "Made (UTC)", width="9rem", short=True),
    column("rows", "Rows", align="right"),
    column("changes", "Since the one before", help="Rows that were added, changed and deleted, as it was logged"),
    column("columns", "Columns", align="right"),
    column("bytes", "Size", align="right"),
    column("parents", "Made from"),
    column("content", "Content", help="The checksum that was logged, and which other versions hold the same content"),
    column("used", "Training runs", align="right", help="Runs that name this version, or the dataset alone"),
)
OPTIONAL = ("changes", "columns", "bytes", "parents", "content", "used")
DATASETS = (
    column("dataset", "Dataset", strong=True),
    column("status", "Status", width="7rem"),
    column("versions", "Versions", align="right"),
    column("rows", "Rows", align="right", help="Of the newest version"),
    column("used", "Training runs", align="right"),
    column("last", "Newest (UTC)", short=True),
)
RULES = (
    column("rule", "Rule", strong=True),
    column("rows", "Rows in", align="right"),
    column("dropped", "Dropped", align="right"),
    column("changed", "Changed", align="right"),
)


@dataclass(frozen=True)
class Made:
    """A version as it was last logged, what is known of its content, the versions that hold the same, and the runs that name it."""

    row: dict[Any, Any]
    content: Content
    same: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The dataset."""
        return self.content.dataset

    @property
    def mixed(self) -> bool:
        """Whether it was logged with different contents."""
        return len(self.content.contents) > 1


def everything() -> list[Made]:
    """Every version that was ever logged, the newest of each dataset last."""
    always = Window("", EPOCH, load.now())
    rows = load.records(Records("dataset", ever=True), always)
    if rows.empty:
        return []
    runs = load.records(Records("run", ("run", "dataset"), ever=True), always).dropna(subset=["dataset"]).drop_duplicates()
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
        spelled = cost.spelled(each.dataset, each.version)
        named = tuple(sorted(run for run, dataset in zip(runs["run"], runs["dataset"], strict=True) if dataset in spelled))
        found.append(Made(last[each.dataset, each.version], each, same, named))
    return sorted(found, key=lambda made: (made.name, made.row["at"], made.content.version))


def nothing_to_show() -> None:
    """No dataset was ever logged: how to log one."""
    step = "A line for each version shows what a model learned from, and whether its content is still the same."
    empty_states.not_logged("dataset", "datasets", "No dataset has been logged yet.", step, HOW)


def summary(made: Sequence[Made]) -> str:
    """How many datasets in how many versions, and how many of these stand for two contents, as Markdown."""
    mixed = sum(each.mixed for each in made)
    versions, names = formatting.plural(len(made), "version"), formatting.plural(len({each.name for each in made}), "dataset")
    which = formatting.plural(mixed, "version stands", "versions stand") if mixed else "no version stands"
    return f"**{versions}** of {names}; {which} for more than one content."


def datasets_table(made: Sequence[Made], chosen: str, scope: Scope) -> None:
    """A row for each dataset, those with a version of two contents first, then the newest."""
    of: dict[str, list[Made]] = {}
    for each in made:
        of.setdefault(each.name, []).append(each)
    ranked = sorted(of.items(), key=lambda each: (any(one.mixed for one in each[1]), each[1][-1].row["at"]), reverse=True)
    lines = []
    for name, own in ranked:
        mixed = [each for each in own if each.mixed]
        cells: dict[str, Cell] = {
            "dataset": links.link(name, "datasets", scope, dataset=name),
            "status": {"s": "act", "t": formatting.STATUS_WORDS["act"]} if mixed else {"s": "ok", "t": formatting.STATUS_WORDS["ok"]},
            "versions": {"t": f"{len(own):,}"},
            "rows": {"t": f"{int(own[-1].row['rows']):,}"},
            "used": {"t": f"{len({run for each in own for run in each.runs}):,}"},
            "last": {"t": formatting.minute(own[-1].row["at"])},
        }
        lines.append(row(cells, note(mixed[-1]) if mixed else None, selected=name == chosen))
    table("datasets", "Datasets, those that need a person first", DATASETS, lines)


def choose(made: Sequence[Made]) -> str:
    """The dataset that the address names, else one with a version of two contents, else the one that was made last."""
    chosen = choice_box.choose(
        "dataset", "Dataset", sorted({each.name for each in made}), placeholder="The newest one", width=420,
        missing="The link names the dataset {}, which was never logged.",
    )  # fmt: skip
    return chosen or max(made, key=lambda each: (each.mixed, each.row["at"])).name


def versions_table(made: Sequence[Made], scope: Scope, asked: str | None) -> None:
    """A row for each version of one dataset, newest first; columns that no version fills are left out."""
    name = made[0].name
    lines = [row(cells(each, scope), note(each), selected=each.content.version == asked) for each in reversed(made[-MOST:])]
    filled = {key for line in lines for key, cell in line["cells"].items() if cell["t"] != formatting.DASH}
    columns = [each for each in COLUMNS if each["key"] not in OPTIONAL or each["key"] in filled]
    table("versions", f"Versions of {name}, newest first", columns, lines)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        frame.download("datasets.csv", lambda: inert_csv(flat(made)), "CSV", key="datasets-csv")
        if len(made) > MOST:
            st.caption(f"The newest {MOST} of {len(made):,}; the CSV holds all of them.")


def cells(made: Made, scope: Scope) -> dict[str, Cell]:
    """One version."""
    said, dash = made.row, formatting.DASH
    changes = [f"{int(said[name]):,} {name}" for name in ("added", "changed", "deleted") if said[name] == said[name] and said[name]]
    size = said["bytes"]
    return {
        "version": links.link(made.content.version, "datasets", scope, dataset=made.name, version_of_data=made.content.version),
        "at": {"t": formatting.minute(said["at"])},
        "rows": {"t": f"{int(said['rows']):,}"},
        "changes": {"t": ", ".join(changes) or dash},
        "columns": {"t": f"{len(said['columns']):,}" if said["columns"] else dash},
        "bytes": {"t": formatting.size(int(size)) if size == size and size is not None else dash},
        "parents": {"t": ", ".join(map(str, said["parents"])) if said["parents"] else dash},
        "content": content_cell(made),
        "used": {"t": f"{len(made.runs):,}" if made.runs else dash},
    }


def content_cell(made: Made) -> Cell:
    """The checksum, and which other versions hold the same content; two contents of one version are an alarm."""
    if made.mixed:
        return {"t": " then ".join(map(short_checksum, made.content.contents[:3])), "s": "act", "sub": "differs under one name and version"}
    if not made.content.told:
        return {"t": formatting.DASH}
    return {"t": short_checksum(made.content.contents[0]), "title": made.content.contents[0], "sub": same_words(made)}


def same_words(made: Made) -> str | None:
    """`the same content as version 2`; None where no other version holds it."""
    return f"the same content as version {', '.join(made.same[:3])}" if made.same else None


def note(made: Made) -> Cell | None:
    """What needs a person about a version."""
    if not made.mixed:
        return None
    return {
        "t": f"Version {made.content.version} was logged {made.content.logged:,} times with different contents: what was trained on it cannot be told.",
        "s": "act",
    }


def detail(made: Made, scope: Scope) -> None:
    """One version: which runs name it, which rules cleaned it, and what it says of its columns."""
    title = f"Version {made.content.version}"
    st.header(formatting.plain(title), anchor=False)
    st.markdown(" ".join(sentences(made)))
    if made.runs:
        shown = ", ".join(f"[{formatting.plain(each)}]({links.address('runs', scope, run=each)})" for each in made.runs[:8])
        st.markdown(f"Training runs: {shown}" + (f" and {len(made.runs) - 8:,} more." if len(made.runs) > 8 else "."))
    rules_table(made, scope)
    stats = {name: value for name, value in (made.row["columns"] or {}).items() if isinstance(value, dict)}
    if any(stats.values()):
        batches.stats_table("columns", f"Columns of {made.name} {made.content.version}", stats)
    elif stats:
        st.markdown(formatting.plain(f"Columns: {', '.join(sorted(stats))}."))


def sentences(made: Made) -> Iterable[str]:
    """What a version is, in words."""
    said = made.row
    yield f"{int(said['rows']):,} rows, made {formatting.minute(said['at'])} UTC" + (
        f" from {formatting.plain(', '.join(map(str, said['parents'])))}." if said["parents"] else "."
    )
    if made.mixed:
        yield f"**Logged with {len(made.content.contents):,} different contents under this name and version.**"
    elif made.content.told:
        yield f"Its content is `{made.content.contents[0]}`" + (f", {formatting.plain(same_words(made) or '')}." if made.same else ".")
    else:
        yield "No checksum was logged, so whether its content is that of another version cannot be told."


def rules_table(made: Made, scope: Scope) -> None:
    """What cleaning rules did on the way to one version; nothing where none was logged."""
    always = Window("", EPOCH, load.now())
    asked = Records("cleaning", ever=True, only=(("dataset", (made.name,)), ("version", (made.content.version,))))
    ran = load.records(asked, always)
    if ran.empty:
        return
    lines = []
    for each in (
        ran.assign(hits=ran["rows_dropped"] + ran["rows_changed"]).sort_values(["at", "hits"], ascending=[True, False]).to_dict("records")
    ):
        total = int(each["rows_in"])
        counts = {key: int(each[f"rows_{key}"]) for key in ("dropped", "changed")}
        lines.append(
            row(
                {
                    "rule": links.link(str(each["rule"]), "cleaning", scope, rule=f"dataset:{made.name}/rule:{each['rule']}"),
                    "rows": {"t": f"{total:,}"},
                    **{key: {"t": f"{n:,}", "sub": formatting.share(n / total) if total else None} for key, n in counts.items()},
                }
            )
        )
    table("rules-of-version", f"Rules that cleaned {made.name} {made.content.version}", RULES, lines, compact=True)


def flat(made: Sequence[Made]) -> "DataFrame":
    """The versions as the CSV has them."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "dataset": each.name, "version": each.content.version, "at": each.row["at"], "rows": each.row["rows"],
                "parents": "; ".join(map(str, each.row["parents"] or [])), "contents": "; ".join(each.content.contents),
                "same_content_as": "; ".join(each.same), "runs": "; ".join(each.runs),
            }
            for each in made
        ]
    )  # fmt: skip


def about(found: Sequence[Finding], name: str) -> list[Finding]:
    """Findings about one dataset."""
    return [each for each in found if each.subject == f"dataset:{name}"]
