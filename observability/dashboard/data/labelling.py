"""The labelling page: accuracy, speed and agreement of each annotator of a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.data import labelling as judged
from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, empty_states, frame, links, load, load_findings, time_zone
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns, first_finding, severity_cell, share_cell
from observability.dashboard.charts import labels as charts_labels
from observability.dashboard.charts import suggestions as charts_suggestions
from observability.dashboard.data.records_summary import dates_note
from observability.dashboard.data.sample_data_figures import annotator_figure
from observability.dashboard.kept_readings import labels_of_window
from observability.dashboard.scope import Scope
from observability.dashboard.state_cache import cached_by_state
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, finding_lines, plain_paragraph
from observability.detection import annotator_agreement
from observability.metrics import annotators, assignments, gold_accuracy, labelling_speed, suggestions
from observability.metrics.annotations import MIN_ANNOTATION_ROWS, PAST_DAYS
from observability.metrics.labelling_projects import ProjectLabels, recent_labels
from observability.stats.agreement import krippendorff_alpha_of_counts
from observability.stats.interval import Interval

MAX_RECORDS, FEW_LABELS = 250_000, 30
AGREEMENT = (annotator_agreement.METRIC, annotators.METRIC)
"""The metrics of findings about how well annotators agree."""
ASSIGNED = Records("assignment", assignments.ASSIGNMENT_FIELDS)
HOW = """import observability as obs
log = obs.Logger()
log.assignment(project="moods", item="t17", annotator="ann-3", policy="uncertain first", reason="the model is unsure", score=0.91)
log.annotation(project="moods", item="t17", annotator="ann-3", label="neutral", seconds=14.2, gold="neutral", guideline="v2",
               suggestion="positive", suggestion_confidence=0.71)"""
ANNOTATOR_COLUMNS = columns_on_phone(
    "annotator status labels gold",
    column("annotator", "Annotator", strong=True),
    column("status", "Status", width="7rem"),
    column("labels", "Items", align="right", help="Items labelled in this window; the first answer to an item counts"),
    column("gold", "Gold accuracy", align="right", help="Share right of the items with a known answer, with its 95 % interval"),
    column("agrees", "Agreement", align="right", help="Share of labels that equal the majority of the other annotators of the item"),
    column("median", "Time per label", align="right", help="Median and 90th percentile"),
    column("an_hour", "Labels per hour", align="right", help="Labels per hour of labelling time, without breaks"),
    column(
        "taken", "Suggestions accepted", align="right", help="Share accepted of all shown suggestions, and of those against the gold answer"
    ),
    column("given", "Assigned", align="right", help="Items assigned in this window, and their share of all"),
)
CLASS_COLUMNS = (
    column("class", "Known answer", strong=True),
    column("n", "Gold items", align="right", phone=False),
    column("rate", "Accuracy", align="right", help="Share right, with its 95 % interval"),
    column("others", "Others", align="right", help="Accuracy of the other annotators on such items"),
    column("instead", "Most frequent error"),
)
GUIDELINE_COLUMNS = columns_on_phone(
    "guideline n rate",
    column("guideline", "Guideline", strong=True),
    column("since", "First used (UTC)", short=True),
    *number_columns(people="Annotators", n="Gold items"),
    column("rate", "Accuracy", align="right", help="Share of first answers that are right, with its 95 % interval"),
)
WORDS = {
    "annotator": "Annotator",
    "value": "Gold accuracy",
    "others": "Others",
    "others_n": "Their gold answers",
    "severity": "Severity",
    "n": "Gold items",
    "more": "More gold items needed",
}


@dataclass(frozen=True)
class ShownProject:
    """The data of one project: the first answers in the window and in the four weeks before, all labels of both periods, and the
    assignments of the window.
    """

    name: str
    window: Window
    now: pd.DataFrame
    past: pd.DataFrame
    labels: pd.DataFrame
    assigned: pd.DataFrame

    @cached_property
    def newest(self) -> ProjectLabels:
        """The newest label of each annotator for each item in the window."""
        return recent_labels(self.labels, naive_utc(self.window.end), self.window.days)

    @cached_property
    def agreement(self) -> Interval:
        """Krippendorff's alpha of the newest labels; its `n` is the number of items with two labels or more."""
        return krippendorff_alpha_of_counts(self.newest.counts(np.ones(len(self.newest.item), bool)))


def no_annotations() -> None:
    """Draw the empty state: no label of an annotator in these dates, or no label in the store and how to log one."""
    message, step = "No annotation has been logged yet.", "One record per label shows accuracy, speed and agreement of each annotator."
    example = ("Accuracy of each annotator on gold items", annotator_figure)
    empty_states.not_logged_state("annotation", "labels of annotators", message, step, HOW, example)


def labelled_projects(scope: Scope) -> pd.Series:
    """Return the number of labels and assignments of each project, the largest first. They are those of the chosen dates, or of all dates
    if none are chosen.
    """
    dates = scope.start is not None or scope.end is not None
    window = load.window_of_records(scope, judged.ANALYZER) if dates else Window(scope.model or "", EPOCH, load.page_clock())
    return _project_sizes(window, not dates)


@cached_by_state(4, copied=True, computed=False)
def _project_sizes(window: Window, ever: bool) -> pd.Series:
    """Return the number of labels and assignments of each project, the largest first. ever: whether all dates up to the end of the window
    are counted.
    """
    counts = [load.read_records(Records(kind, ("project",), ever=ever, counted=True), window) for kind in ("annotation", "assignment")]
    both = pd.concat(counts).astype({"project": str})
    return both.groupby("project")["n"].sum().sort_values(ascending=False, kind="stable")


def project_window(scope: Scope, project: str) -> Window:
    """Return the dates of one project. They are the chosen dates, or the last days with records of this project, regardless of other
    projects.
    """
    always, only = Window(scope.model or "", EPOCH, load.page_clock()), (("project", project),)
    newest = [load.ask_store(Records(kind, ("at",), ever=True, rows=1, only=only), always)["at"] for kind in ("annotation", "assignment")]
    last = pd.concat([each for each in newest if len(each)] or newest[:1]).max()
    return load.window_of_records(scope, judged.ANALYZER, None if pd.isna(last) else last.to_pydatetime().replace(tzinfo=UTC))


def findings_in_dates(scope: Scope, window: Window) -> list[Finding]:
    """Return the findings about projects in the dates of one project, worst first."""
    own = scope if window == load.window_of_records(scope, judged.ANALYZER) else scope.at(window.start, window.end)
    return load_findings.scope_record_findings(own, judged.ANALYZER.name)


def chosen_project(scope: Scope, projects: pd.Series) -> str:
    """Return the project in the address; if there is none, the most urgent project, else the project with the most labels."""
    names, chosen = sorted(projects.index), None
    if len(names) > 1 or "project" in st.query_params:
        missing = "The link names the project {}, which has no label in these dates."
        chosen = choice_box.address_selectbox("project", "Project", names, placeholder="Most urgent", width=420, missing=missing)
    if chosen:
        return chosen
    found = findings_in_dates(scope, load.window_of_records(scope, judged.ANALYZER))
    bad = first_finding(finding for finding in found if finding.needs_action and _finding_project(finding) in names)
    return _finding_project(bad) if bad else str(projects.index[0])


def earlier_labels_link(project: str, page: str, window: Window, scope: Scope) -> None:
    """If the dates have few labels, draw a link to the last labels before them, because labelling may have resumed after years."""
    if scope.start is not None or scope.span == "all" or window.start <= EPOCH:
        return
    only = (("project", project),)
    here = load.ask_store(Records("annotation", ("at",), rows=FEW_LABELS, only=only), window)
    before = load.ask_store(Records("annotation", ("at",), ever=True, rows=1, only=only), Window(window.model, EPOCH, window.start))
    if len(here) >= FEW_LABELS or before.empty:
        return
    last = before["at"].iloc[0].to_pydatetime().replace(tzinfo=UTC)
    end = min(last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1), window.start)
    earlier = scope.at(end - (window.end - window.start), end)
    words = f"Few labels in these dates. Show those of {formatting.format_span(earlier.start or end, end)}"
    links.page_button(page, words, {**earlier.parameters(), "project": project})


def chosen_annotator(rows: pd.DataFrame) -> str | None:
    """The annotator in the address; None for all."""
    missing = "The link names the annotator {}, who has neither labels nor assignments in these dates."
    return choice_box.address_selectbox("annotator", "Annotator", sorted(rows["annotator"]), placeholder="All", width=420, missing=missing)


@cached_by_state(4)
def project_labels(name: str, window: Window) -> ShownProject:
    """Return one project, with the first answer of each annotator to each item. Callers must not change it, because sessions share it."""
    labelled, assigned = labels_of_window(window).project(name), load.ask_store(ASSIGNED, window)
    return ShownProject(name, window, labelled.now, labelled.past, labelled.labels, assigned[assigned["project"] == name])


def _finding_project(finding: Finding) -> str:
    """The project that a finding is about."""
    return finding.subject.removeprefix("project:").partition("/annotator:")[0].partition("/guideline:")[0]


def _finding_annotator(finding: Finding) -> str:
    """Return the annotator that a finding is about; empty if it is not about an annotator."""
    own, sign, name = finding.subject.partition("/annotator:")
    return name if sign else own.removeprefix("annotator=") if own.startswith("annotator=") else ""


def findings_about_project(found: Sequence[Finding], name: str) -> list[Finding]:
    """Findings about one project, worst first."""
    return [finding for finding in found if _finding_project(finding) == name]


def model_agreement_findings(scope: Scope, project: str, window: Window) -> list[Finding]:
    """Return the findings about the agreement of a project's annotators, from the models that the project belongs to. They also stand on
    the page Labels of these models. The list is empty for a project without a model.
    """
    dated = scope if scope.start is not None or scope.span == "all" else scope.at(window.start, window.end)
    models = [model.name for model in load.catalog().models if project in (model.settings.projects or (model.name,))]
    found = [finding for name in models for finding in load_findings.findings_in_window(load.window(dated.about(name), name))]
    return [finding for finding in found if finding.metric in AGREEMENT]


def labelling_summary(shown: ShownProject, found: Sequence[Finding]) -> str:
    """Return as Markdown the numbers of labels, annotators and gold answers, the agreement of the annotators if no finding states it, and
    how many findings need attention.
    """
    annotators_ = formatting.plural(shown.now["annotator"].nunique(), "annotator")
    gold, needy = int(shown.now["known"].sum()), sum(finding.needs_action for finding in found)
    where = f"{formatting.escape_markdown(shown.name)}{dates_note(shown.window, ' in ')}"
    known = f"{formatting.plural(gold, 'gold answer')}" if gold else "no gold answers"
    attention = formatting.plural(needy, "finding needs attention", "findings need attention")
    labels = formatting.plural(len(shown.now), "label")
    told = any(finding.needs_action and finding.metric == annotator_agreement.METRIC for finding in found)
    parts = [f"**{labels}** by {annotators_} in {where}", *([] if told else [agreement_words(shown.agreement)]), known, attention]
    return f"{'; '.join(parts)}."


def agreement_words(alpha: Interval) -> str:
    """The agreement of a project's annotators as a part of a sentence."""
    if alpha.value is None:
        return "agreement unknown (no item has two labels, or all are equal)"
    of = formatting.plural(int(alpha.n), "item with several labels", "items with several labels")
    return f"Krippendorff's alpha {formatting.value_with_interval(*alpha.triple)} on {of}"


def missing_fields_note(shown: ShownProject) -> None:
    """Draw which fields of records are not logged, and what each would show."""
    now, given = shown.now, shown.assigned
    confidence = bool(now["shown"].any()) and not now["suggestion_confidence"].notna().any()
    missing = [
        ("gold", "accuracy", not now["known"].any()),
        ("seconds", "time per label", not now["seconds"].notna().any()),
        ("suggestion", "acceptance of suggestions", not now["shown"].any()),
        ("suggestion_confidence", "the effect of accepting confident suggestions", confidence),
        ("policy", "policies compared", bool(len(given)) and not given["policy"].notna().any()),
        ("reason", "reasons for assignments", bool(len(given)) and not given["reason"].notna().any()),
    ]
    absent = [f"`{name}` ({shows})" for name, shows, lacks in missing if lacks]
    absent += ["records of kind `assignment` (workload, policies, reasons)"] if given.empty else []
    if absent:
        st.caption(f":material/info: Not logged in these dates: {', '.join(absent)}.")


@cached_by_state(4, copied=True)
def annotator_figures(name: str, window: Window) -> pd.DataFrame:
    """A row for each annotator of a project with labels or assignments: accuracy, agreement, time, suggestions and workload."""
    shown = project_labels(name, window)
    rows = gold_accuracy.gold_accuracy_by_annotator(shown.now, _false_discovery_budget())
    names = ["annotator", "agrees", "agrees_low", "agrees_high", "agrees_n", "others_agree", "others_agree_n"]
    agreeing = pd.DataFrame(_agreement_rows(shown), columns=names)
    names_taken = {"value": "taken_rate", "low": "taken_low", "high": "taken_high"}
    taken = suggestions.suggestions_by_annotator(shown.now).rename(columns=names_taken)
    given = assignments.workload(shown.assigned, shown.now)
    for part in (agreeing, labelling_speed.labelling_speed_by_annotator(shown.now), taken, given):
        rows = rows.merge(part, on="annotator", how="outer")
    for column_name in ("labels", "n", "right", "more", "given", "labelled", "shown", "wrong"):
        rows[column_name] = rows[column_name].fillna(0).astype(int)
    return rows


def annotator_frame(shown: ShownProject, found: Sequence[Finding]) -> pd.DataFrame:
    """Return the figures of each annotator with the severity of the findings about them, most urgent first; they are the columns of the
    CSV.
    """
    rows = annotator_figures(shown.name, shown.window)
    severity = {name: finding.severity for finding in reversed(found) if (name := _finding_annotator(finding))}
    rows["severity"] = rows["annotator"].map(severity).astype(object).where(rows["annotator"].isin(list(severity)), None)
    order = rows["severity"].map(lambda severity: SEVERITIES.index(severity) if severity else len(SEVERITIES))
    rows = rows.assign(order=order, apart=rows["value"] - rows["others"])
    return rows.sort_values(["order", "apart", "annotator"], ignore_index=True).drop(columns=["order", "apart"])


def _false_discovery_budget() -> float:
    """Return the false discovery rate of one check, which is used to judge findings."""
    from observability.monitoring.check import RUNS_A_WEEK, WEEKLY_FALSE_DISCOVERIES

    return WEEKLY_FALSE_DISCOVERIES / RUNS_A_WEEK


def _agreement_rows(shown: ShownProject) -> list[list[Any]]:
    """Return the agreement of each annotator with the others, counted in the same way as by data/labels."""
    days = shown.window.days
    return annotators.annotator_agreement_rows(annotators.agreement_comparisons(shown.newest, days), days)


def annotators_table(rows: pd.DataFrame, scope: Scope, project: str, chosen: str | None) -> None:
    """Draw the table of annotators without columns that have no value, and offer all annotators as CSV."""
    lines = [table_row(_annotator_cells(each, scope, project), selected=each["annotator"] == chosen) for each in rows.to_dict("records")]
    draw_table("people", "Annotators", filled_columns(ANNOTATOR_COLUMNS, lines, ("annotator", "status")), lines)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        frame.metric_help("gold_accuracy", "annotator_agreement", "label_seconds", "suggestion_acceptance", "wrong_suggestions_taken")
        csv_button("people", rows, has_groups=False)


def _annotator_cells(person: dict[Any, Any], scope: Scope, project: str) -> dict[str, Cell]:
    """The cells of one annotator."""
    name, without_peers, too_few = str(person["annotator"]), person["others_n"] < MIN_ANNOTATION_ROWS, person["more"] > 0
    status = person["severity"] or ("unknown" if too_few or without_peers or not person["n"] else "ok")
    cells: dict[str, Cell] = {column["key"]: dict(UNKNOWN_CELL) for column in ANNOTATOR_COLUMNS} | {
        "annotator": links.link_cell(name, "labelling", scope, project=project, annotator=name),
        "status": severity_cell(status, None if person["severity"] or person["n"] else "No gold"),
        "labels": {"t": f"{person['labels']:,}"},
        "gold": share_cell(person["value"], person["low"], person["high"], f"of {person['n']:,}"),
    }
    if person["agrees_n"] == person["agrees_n"]:
        of = f"of {formatting.format_count(person['agrees_n'])}"
        cells["agrees"] = share_cell(person["agrees"], person["agrees_low"], person["agrees_high"], of)
    if person["n"] and too_few:
        cells["gold"]["sub"] += f"\nneeds about {person['more']:,} more"
        cells["gold"]["title"] = "Too few gold items for a comparison with the others"
    elif person["n"] and without_peers:
        cells["gold"]["title"] = "The others have too few gold items for a comparison"
    if person["median"] == person["median"]:
        median, slow = formatting.format_number(person["median"]), formatting.format_number(person["p90"])
        cells |= {"median": {"t": f"{median} s", "sub": f"p90 {slow} s"}, "an_hour": {"t": formatting.format_number(person["an_hour"])}}
    if person["shown"]:
        wrong = f"wrong ones: {int(person['wrong_taken'])} of {person['wrong']}" if person["wrong"] else None
        cells["taken"] = share_cell(person["taken_rate"], under="\n".join(filter(None, (f"of {person['shown']:,}", wrong))))
    if person["given"]:
        cells["given"] = {"t": f"{person['given']:,}", "sub": formatting.format_share(person["share"])}
    return cells


def gold_accuracy_chart(rows: pd.DataFrame) -> None:
    """Draw each annotator's accuracy on gold items with its interval, compared with the others."""
    drawn = rows[rows["n"] > 0].sort_values("value", kind="stable", ignore_index=True)
    if drawn.empty:
        return
    twin = drawn[["annotator", "value", "low", "high", "n", "others", "others_n", "more", "severity"]]
    lowest = twin.iloc[0]
    others = f"; the others, {formatting.format_share(lowest['others'])}" if lowest["others_n"] else ""
    alt = f"{lowest['annotator']} is right on {formatting.format_share(lowest['value'])} of {lowest['n']:,} gold items{others}."
    plain_paragraph(f"Lowest: {alt}")
    figure = charts_labels.annotator_dots(twin, x="accuracy on gold items")
    frame.chart_with_table(figure, twin, key="gold", alt=alt, metrics=("gold_accuracy",), columns=WORDS)


def accuracy_by_class(shown: ShownProject, who: str | None) -> None:
    """Draw the accuracy by known answer, and the most frequent error for each known answer."""
    rows = gold_accuracy.gold_accuracy_by_class(shown.now, who)
    if rows.empty:
        return
    st.header(f"Accuracy by class: {formatting.escape_markdown(who)}" if who else "Accuracy by class", anchor=False)
    too_few: Cell = {"s": "unknown", "title": f"Fewer than {gold_accuracy.MIN_OF_CLASS} gold items: too few to judge"}
    lines = []
    for each in rows.sort_values("value", kind="stable").to_dict("records"):
        rate = share_cell(each["value"], each["low"], each["high"], f"{each['right']:,} of {each['n']:,}")
        cells: dict[str, Cell] = {
            "class": {"t": str(each["class"])},
            "n": {"t": f"{each['n']:,}"},
            "rate": rate if each["enough"] else rate | too_few,
            "others": share_cell(each["others"], under=f"of {each['others_n']:,}") if each["others_n"] else dict(UNKNOWN_CELL),
            "instead": {"t": str(each["instead"]), "sub": f"{each['instead_n']:,} times"} if each["instead_n"] else {"t": "never wrong"},
        }
        lines.append(table_row(cells))
    columns = [column for column in CLASS_COLUMNS if who or column["key"] != "others"]
    draw_table("classes", "Accuracy on gold items by known answer", columns, lines, compact=True)
    csv_button("classes", rows)


def accuracy_by_guideline(shown: ShownProject) -> None:
    """Draw the accuracy under each version of the guideline, if more than one version was used."""
    rows = gold_accuracy.gold_accuracy_by_guideline(pd.concat([shown.past, shown.now], ignore_index=True))
    if len(rows) < 2:
        return
    shares = ", ".join(f"{each['guideline']} {formatting.format_share(each['value'])}" for each in rows.to_dict("records"))
    lines = [
        table_row(
            guideline=str(each["guideline"]),
            since=time_zone.zoned_minute(each["since"]),
            people=f"{each['people']:,}",
            n=f"{each['n']:,}",
            rate=share_cell(each["value"], each["low"], each["high"], f"{each['right']:,} of {each['n']:,}"),
        )
        for each in rows.to_dict("records")
    ]
    with st.expander(f"Accuracy by guideline: {formatting.escape_markdown(formatting.truncate(shares))}", icon=":material/rule:"):
        draw_table("guidelines", "Accuracy on gold items by guideline", GUIDELINE_COLUMNS, lines, compact=True)
        csv_button("guidelines", rows, has_groups=False)
        st.caption(f"First answers of this window and of the {PAST_DAYS // 7} weeks before it.")


def fatigue_section(shown: ShownProject, found: Sequence[Finding]) -> None:
    """Draw accuracy by hour of the session, if there are enough sessions."""
    finding = next((each for each in found if each.metric == labelling_speed.SLOPE), None)
    if finding is None:
        return
    about = (
        f"A session ends with a break of {labelling_speed.BREAK_MINUTES} minutes. The slope is estimated within sessions; "
        "the chart pools them, so long sessions weigh more in later hours."
    )
    st.header("Accuracy over a session", anchor=False, help=about)
    rows = labelling_speed.accuracy_by_session_hour(pd.concat([shown.past, shown.now], ignore_index=True))
    finding_lines([finding])
    columns = {"hour": "Hours since the session began", "value": "Gold accuracy", "n": "Gold items", "right": "Right"}
    if len(rows) < 2:  # a single hour shows no trend
        return
    figure = charts_suggestions.session_accuracy_dots(rows)
    frame.chart_with_table(figure, rows, key="sessions", alt=finding.because, metrics=("fatigue_slope",), columns=columns)
