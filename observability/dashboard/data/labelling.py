"""Who labels, are they right where the answer is known, how long do they take, and how does each of them differ from the others?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.data import labelling as judged
from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding, needs_action
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, empty_states, frame, links, load
from observability.dashboard.charts import labels as charts_labels
from observability.dashboard.charts import suggestions as charts_suggestions
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics import annotators, assignments, gold_accuracy, labelling_speed, suggestions
from observability.metrics.annotations import LEAST, PAST_DAYS, answers_of
from observability.metrics.labelling_projects import labels_of

if TYPE_CHECKING:
    from pandas import DataFrame

ASSIGNED = Records("assignment", assignments.ASSIGNMENT_FIELDS)
HOW = """import observability as obs
log = obs.Logger()
log.assignment(project="moods", item="t17", annotator="ann-3", policy="uncertain first", reason="the model is unsure", score=0.91)
log.annotation(project="moods", item="t17", annotator="ann-3", label="neutral", seconds=14.2, gold="neutral", guideline="v2",
               suggestion="positive", suggestion_confidence=0.71)"""
PEOPLE = (
    column("annotator", "Person", strong=True),
    column("status", "Status", width="7rem"),
    column("labels", "Items", align="right", help="Items that they labelled in this window; the first answer to an item counts"),
    column("gold", "Right on gold", align="right", help="Share of the items with a known answer on which they were right, with its 95 % interval"),
    column("agrees", "Agrees", align="right", help="Share of their labels that say what most others say of the same item"),
    column("median", "Time a label", align="right", help="Median, and the time that one label in ten takes or more"),
    column("an_hour", "Labels an hour", align="right", help="Of the time that their labels took, without breaks"),
    column("taken", "Suggestions taken", align="right", help="Share of the suggestions that they saw which became their label, and of those that are wrong by gold"),
    column("given", "Given", align="right", help="Items that were given to them in this window, and their share of all that were given"),
)  # fmt: skip
CLASSES = (
    column("class", "Known answer", strong=True),
    column("n", "Gold items", align="right"),
    column("rate", "Right", align="right", help="Share that is right, with its 95 % interval"),
    column("others", "The others", align="right", help="Share of the others' answers to such items that are right"),
    column("instead", "Said instead", help="The wrong answer that was given most often"),
)
GUIDELINES = (
    column("guideline", "Guideline", strong=True),
    column("since", "First used (UTC)", short=True),
    column("people", "People", align="right"),
    column("n", "Gold items", align="right"),
    column("rate", "Right", align="right", help="Share of first answers that are right, with its 95 % interval"),
)
WORDS = {"annotator": "Person", "value": "Right on gold", "others": "The others", "others_n": "Their gold answers", "severity": "What is said", "n": "Gold items", "more": "More that it takes"}  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """What the page shows of one project: first answers of the window and of the four weeks before, all labels of both, what was given in the window."""

    name: str
    window: Window
    now: "DataFrame"
    past: "DataFrame"
    labels: "DataFrame"
    assigned: "DataFrame"


def nothing_to_show() -> None:
    """No label of a person is in these dates, or none in the store: how to log one."""
    if len(load.records(Records("annotation", ("item",), ever=True, rows=1), Window("", EPOCH, load.now()))):
        empty_states.no_rows("labels of people")
        return
    if not load.catalog().models:
        empty_states.no_models()
    empty_states.nothing(
        "No label of a person has been logged yet.", "A line for each label that a person gives, with what they saw, shows how they work."
    )
    st.code(HOW, language=None, wrap_lines=True)


def everything(scope: Scope) -> tuple["DataFrame", "DataFrame", "DataFrame", Window]:
    """Labels of the dates that are looked at and of the four weeks before, assignments of the dates, and the dates."""
    window = load.window_of_records(scope, judged.ANALYZER)
    past = (
        load.records(judged.ANNOTATED, window.past(PAST_DAYS)) if window.start > EPOCH else load.records(judged.ANNOTATED, window).iloc[:0]
    )
    return load.records(judged.ANNOTATED, window), past, load.records(ASSIGNED, window), window


def choose(now: "DataFrame", assigned: "DataFrame", found: Sequence[Finding]) -> str:
    """The project that the address names, else the one that needs a person first, else the one with most labels."""
    names = sorted({*now["project"], *assigned["project"]})
    chosen = choice_box.choose(
        "project", "Project", names, placeholder="The one that needs a person first", width=420,
        missing="The link names the project {}, in which nobody labelled in these dates.",
    ) if len(names) > 1 or "project" in st.query_params else None  # fmt: skip
    bad = worst([each for each in found if needs_action(each.severity) and project_of(each) in names])
    return chosen or (project_of(bad) if bad else str((now if len(now) else assigned)["project"].mode().iloc[0]))


def choose_person(rows: "DataFrame") -> str | None:
    """The person that the address names; None for everybody."""
    return choice_box.choose(
        "annotator", "Person", sorted(rows["annotator"]), placeholder="Everybody", width=420,
        missing="The link names the person {}, who labelled nothing in these dates and was given nothing.",
    )  # fmt: skip


def shown_of(name: str, now: "DataFrame", past: "DataFrame", assigned: "DataFrame", window: Window) -> Shown:
    """One project, the first answer of each person to each item told from later ones."""
    import pandas as pd

    parts = [each[each["project"] == name] for each in (past, now)]
    labels = pd.concat([each for each in parts if len(each)] or parts[:1], ignore_index=True)
    answers = answers_of(labels)
    inside = (answers["at"] >= naive_utc(window.start)).to_numpy()
    return Shown(name, window, answers[inside], answers[~inside], labels, assigned[assigned["project"] == name])


def project_of(finding: Finding) -> str:
    """The project that a finding is about."""
    return finding.subject.removeprefix("project:").partition("/annotator:")[0].partition("/guideline:")[0]


def worst(found: Sequence[Finding]) -> Finding | None:
    """The one that a person should read first."""
    return min(found, key=lambda each: (SEVERITIES.index(each.severity), -each.rank), default=None)


def about(found: Sequence[Finding], name: str) -> list[Finding]:
    """Findings about one project, worst first."""
    return [each for each in found if project_of(each) == name]


def summary(shown: Shown, found: Sequence[Finding]) -> str:
    """How much was labelled by whom, and how many findings need a person, as Markdown."""
    when = f" in {formatting.plain(formatting.span(shown.window.start, shown.window.end))}" if shown.window.start > EPOCH else ""
    needy = sum(needs_action(each.severity) for each in found)
    people = formatting.plural(shown.now["annotator"].nunique(), "person", "people")
    gold = int(shown.now["known"].sum())
    known = f"{gold:,} of these answers {'is' if gold == 1 else 'are'} to gold items" if gold else "no item has a known answer"
    return f"**{formatting.plural(len(shown.now), 'label')}** of {people} in {formatting.plain(shown.name)}{when}; {known}; {formatting.plural(needy, 'finding needs', 'findings need')} a person."  # fmt: skip


def lacking(shown: Shown) -> None:
    """Which fields of the records are not logged, and what they would show."""
    now, given = shown.now, shown.assigned
    missing = [
        ("gold", "who is right", not now["known"].any()),
        ("seconds", "how long a label takes, and what a threshold would save", not now["seconds"].notna().any()),
        ("suggestion", "what people take over from a machine", not now["shown"].any()),
        ("suggestion_confidence", "from which confidence on a suggestion could be accepted", bool(now["shown"].any()) and not now["suggestion_confidence"].notna().any()),
        ("policy", "how policies differ", bool(len(given)) and not given["policy"].notna().any()),
        ("reason", "why an item went to whom", bool(len(given)) and not given["reason"].notna().any()),
    ]  # fmt: skip
    absent = [f"`{name}` would show {why}" for name, why, lacks in missing if lacks]
    absent += ["records of kind `assignment` would show who was given what, and why"] if given.empty else []
    if absent:
        st.caption(f":material/info: Not logged in these dates: {'; '.join(absent)}.")


def people(shown: Shown, found: Sequence[Finding]) -> "DataFrame":
    """A row for each person who labelled or was given something; the columns of the CSV. Those who need a person first."""
    import pandas as pd

    rows = gold_accuracy.people(shown.now, judged_budget())
    agreeing = pd.DataFrame(
        agreement(shown), columns=["annotator", "agrees", "agrees_low", "agrees_high", "agrees_n", "others_agree", "others_agree_n"]
    )
    taken = suggestions.by_person(shown.now).rename(columns={"value": "taken_rate", "low": "taken_low", "high": "taken_high"})
    given = assignments.workload(shown.assigned, shown.now)
    for part in (agreeing, labelling_speed.people(shown.now), taken, given):
        rows = rows.merge(part, on="annotator", how="outer")
    for name in ("labels", "n", "right", "more", "given", "labelled", "shown", "wrong"):
        rows[name] = rows[name].fillna(0).astype(int)
    severity = {each.subject.partition("/annotator:")[2]: each.severity for each in reversed(found) if "/annotator:" in each.subject}
    rows["severity"] = rows["annotator"].map(severity).astype(object).where(rows["annotator"].isin(list(severity)), None)
    order = rows["severity"].map(lambda each: SEVERITIES.index(each) if each else len(SEVERITIES))
    return rows.assign(order=order, apart=rows["value"] - rows["others"]).sort_values(["order", "apart", "annotator"], ignore_index=True).drop(columns=["order", "apart"])  # fmt: skip


def judged_budget() -> float:
    """What one look may spend, as findings are judged by."""
    from observability.monitoring.check import RUNS_A_WEEK, WEEKLY_FALSE_DISCOVERIES

    return WEEKLY_FALSE_DISCOVERIES / RUNS_A_WEEK


def agreement(shown: Shown) -> list[list[Any]]:
    """How far each person agrees with the others, as data/labels counts it."""
    end, days = naive_utc(shown.window.end), shown.window.days
    seen = annotators.looked_at(labels_of(shown.labels, end, days), days)
    return annotators.people(seen, days)


def people_table(rows: "DataFrame", scope: Scope, project: str, chosen: str | None) -> None:
    """The people, and all of them as CSV; columns that nobody fills are left out."""
    lines = [row(person_cells(each, scope, project), selected=each["annotator"] == chosen) for each in rows.to_dict("records")]
    filled = {key for line in lines for key, cell in line["cells"].items() if cell["t"] != formatting.DASH}
    table("people", "People who label", [each for each in PEOPLE if each["key"] in (*filled, "annotator", "status")], lines)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        frame.explain("gold_accuracy", "annotator_agreement", "label_seconds", "suggestion_acceptance", "wrong_suggestions_taken")
        frame.download("people.csv", lambda: inert_csv(rows), "CSV", key="people-csv")


def person_cells(each: dict[Any, Any], scope: Scope, project: str) -> dict[str, Cell]:
    """One person as cells."""
    alone = each["n"] > 0 and each["others_n"] < LEAST
    young = each["n"] > 0 and each["more"] > 0
    status = each["severity"] or ("unknown" if young or alone or not each["n"] else "ok")
    word = formatting.STATUS_WORDS[status] if each["severity"] or each["n"] else "No gold"
    cells: dict[str, Cell] = {
        "annotator": links.link(str(each["annotator"]), "labelling", scope, project=project, annotator=str(each["annotator"])),
        "status": {"s": status, "t": word},
        "labels": {"t": f"{each['labels']:,}"},
        "gold": share_cell(each["value"], each["low"], each["high"], f"of {each['n']:,}"),
        "agrees": share_cell(each["agrees"], each["agrees_low"], each["agrees_high"], f"of {counted(each['agrees_n'])}"),
        "median": {"t": formatting.DASH}, "an_hour": {"t": formatting.DASH}, "taken": {"t": formatting.DASH}, "given": {"t": formatting.DASH},
    }  # fmt: skip
    if young:
        cells["gold"]["sub"] += f"\nneeds about {each['more']:,} more"
        cells["gold"]["title"] = "Too few gold items to tell them from the others yet"
    elif alone:
        cells["gold"]["title"] = "The others have too few gold items to compare with"
    if each["median"] == each["median"]:
        cells["median"] = {"t": f"{formatting.number(each['median'])} s", "sub": f"one in ten: {formatting.number(each['p90'])} s"}
        cells["an_hour"] = {"t": formatting.number(each["an_hour"])}
    if each["shown"]:
        wrong = f"wrong ones: {int(each['wrong_taken'])} of {each['wrong']}" if each["wrong"] else None
        cells["taken"] = {"t": formatting.share(each["taken_rate"]), "sub": f"of {each['shown']:,}" + (f"\n{wrong}" if wrong else "")}
    if each["given"]:
        cells["given"] = {"t": f"{each['given']:,}", "sub": formatting.share(each["share"])}
    return cells


def share_cell(value: float | None, low: float | None, high: float | None, under: str) -> Cell:
    """A share over its interval and what it is of."""
    if value is None or value != value:
        return {"t": formatting.DASH}
    return {"t": formatting.share(value), "sub": f"{formatting.share(low)} to {formatting.share(high)}\n{under}"}


def counted(value: float) -> str:
    """A whole number that may be missing."""
    return f"{int(value):,}" if value == value else formatting.DASH


def gold_chart(rows: "DataFrame") -> None:
    """Each person's accuracy on gold items with its interval beside that of the others."""
    drawn = rows[rows["n"] > 0].sort_values("value", kind="stable", ignore_index=True)
    if drawn.empty:
        return
    twin = drawn[["annotator", "value", "low", "high", "n", "others", "others_n", "more", "severity"]]
    lowest = twin.iloc[0]
    alt = f"{lowest['annotator']} is right on {formatting.share(lowest['value'])} of {lowest['n']:,} gold items" + (
        f", the others on {formatting.share(lowest['others'])}." if lowest["others_n"] else "."
    )
    st.markdown(formatting.plain(f"Lowest: {alt}"))
    figure = charts_labels.people(twin, x="right on gold items")
    frame.chart(figure, twin, key="gold", alt=alt, metrics=("gold_accuracy",), columns=WORDS)


def classes(shown: Shown, who: str | None) -> None:
    """Class by class: how often the known answer is given, and what is said instead."""
    rows = gold_accuracy.by_class(shown.now, who)
    if rows.empty:
        return
    st.header(f"Class by class: {formatting.plain(who)}" if who else "Class by class", anchor=False)
    lines = []
    for each in rows.sort_values("value", kind="stable").to_dict("records"):
        enough: Cell = (
            {} if each["enough"] else {"s": "unknown", "title": f"Fewer than {gold_accuracy.LEAST_OF_CLASS} gold items: too few to judge"}
        )
        cells: dict[str, Cell] = {
            "class": {"t": str(each["class"])},
            "n": {"t": f"{each['n']:,}"},
            "rate": share_cell(each["value"], each["low"], each["high"], f"{each['right']:,} of {each['n']:,}") | enough,
            "others": {"t": formatting.share(each["others"]), "sub": f"of {each['others_n']:,}"}
            if each["others_n"]
            else {"t": formatting.DASH},
            "instead": {"t": str(each["instead"]), "sub": f"{each['instead_n']:,} times"} if each["instead_n"] else {"t": "never wrong"},
        }
        lines.append(row(cells))
    table(
        "classes",
        "Accuracy on gold items by known answer",
        [each for each in CLASSES if who or each["key"] != "others"],
        lines,
        compact=True,
    )
    frame.download("classes.csv", lambda: inert_csv(rows), "CSV", key="classes-csv")


def guidelines(shown: Shown) -> None:
    """Accuracy under each version of the guideline, where more than one was used."""
    import pandas as pd

    rows = gold_accuracy.by_guideline(pd.concat([shown.past, shown.now], ignore_index=True))
    if len(rows) < 2:
        return
    st.header("Before and after a change of the guideline", anchor=False)
    lines = [
        row(
            {
                "guideline": {"t": str(each["guideline"])}, "since": {"t": formatting.minute(each["since"])}, "people": {"t": f"{each['people']:,}"}, "n": {"t": f"{each['n']:,}"},
                "rate": share_cell(each["value"], each["low"], each["high"], f"{each['right']:,} of {each['n']:,}"),
            }
        )
        for each in rows.to_dict("records")
    ]  # fmt: skip
    table("guidelines", "Accuracy on gold items by guideline", GUIDELINES, lines, compact=True)
    frame.download("guidelines.csv", lambda: inert_csv(rows), "CSV", key="guidelines-csv")
    st.caption(f"First answers of this window and of the {PAST_DAYS // 7} weeks before it.")


def sessions(shown: Shown, found: Sequence[Finding]) -> None:
    """Accuracy by hour of the session, where enough sessions tell."""
    import pandas as pd

    told = next((each for each in found if each.metric == labelling_speed.SLOPE), None)
    if told is None:
        return
    st.header("Do they tire?", anchor=False)
    rows = labelling_speed.by_hour(pd.concat([shown.past, shown.now], ignore_index=True))
    st.markdown(f"{formatting.status(told.severity)}: {formatting.sentence(told.because)}")
    frame.chart(
        charts_suggestions.by_hour(rows), rows, key="sessions", alt=told.because, metrics=("fatigue_slope",),
        columns={"hour": "Hours since the session began", "value": "Right on gold", "n": "Gold items", "right": "Right"},
    )  # fmt: skip
    st.caption(f"A session has less than {labelling_speed.BREAK_MINUTES} minutes between labels. The slope compares each session with itself; the bars do not, so long sessions weigh more in the later ones.")  # fmt: skip
