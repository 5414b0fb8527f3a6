"""What is concluded about a case? The ranked sources with their evidence, the form in which a person says what it is, and everything said before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import Here, missing
from observability.dashboard.case.inputs import around
from observability.dashboard.table import Cell, column, row, table
from observability.export.case import DO, SOURCES, WRONG
from observability.investigation.evidence_types import Triage
from observability.store.query.decision_log import Item, errors_sentence

COLUMNS = (
    column("source", "Suspected source", strong=True, width="12rem"),
    column("score", "How much speaks for it", width="11rem", help="A weight of evidence from 0 to 1, no probability"),
    column("because", "Evidence", wide=True),
)
EVIDENCE = {"input": "quality", "far_from_reference": "multivariate_drift", "weak_slice": "performance", "boundary": "calibration", "version": "compare",
            "degraded_path": "latency"}  # fmt: skip
"""The page that shows more of each source; of the others, everything stands on the case."""
NOTHING = "No action"
MINE = 14
"""Days until an action is due, unless somebody says otherwise."""


def conclude(here: Here) -> None:
    """The triage, what was said before, and the form."""
    found: tuple[Triage, ...] | None = here.part("triage")
    if found is None:
        missing(here, "triage")
    else:
        best = found[0]
        st.markdown(
            formatting.plain(
                f"Most speaks for: {SOURCES[best.source].lower()} ({formatting.number(best.score, 2)} of 1). Suspected, not proven."
            )
        )
        rows = [
            row({"source": evidence(here, each.source), "score": {"t": formatting.number(each.score, 2), "bar": {"v": each.score, "max": 1}}, "because": {"t": each.because}})
            for each in found
        ]  # fmt: skip
        table("triage", "Suspected sources, best first", COLUMNS, rows, compact=True)
    form(here, found[0].source if found else "unknown")


def evidence(here: Here, source: str) -> Cell:
    """The name of a source, which leads to the page that shows its evidence about the day of the prediction."""
    page = EVIDENCE.get(source)
    return links.link(SOURCES[source], page, around(here)) if page else {"t": SOURCES[source]}


def form(here: Here, suspected: str) -> None:
    """The form. Each time something is written, a new and empty one is drawn."""
    st.subheader("What do you conclude?", anchor=False)
    key = f"{here.key('form')}-{case_decisions.round_of(here)}"
    with st.form(key, enter_to_submit=False):
        left, right = st.columns(2, gap="large")
        with left:
            wrong = st.radio(
                "Was the prediction wrong?",
                list(WRONG),
                index=started(here),
                format_func=WRONG.__getitem__,
                key=f"{key}-wrong",
                horizontal=True,
            )
            source = st.selectbox(
                "Where does it come from?",
                list(SOURCES),
                index=list(SOURCES).index(suspected),
                format_func=SOURCES.__getitem__,
                key=f"{key}-source",
            )
            severity = st.segmented_control("How bad is it?", ["low", "medium", "high"], format_func=str.capitalize, key=f"{key}-severity")
            note = st.text_area("Note", key=f"{key}-note", placeholder="What you saw, for those who come later", max_chars=20_000)
        with right:
            do = st.selectbox("What is to be done?", [NOTHING, *DO], format_func=lambda each: DO.get(each, each), key=f"{key}-do")
            what = st.text_input("What exactly", key=f"{key}-what", placeholder="Only where something is to be done")
            owner = st.text_input("Who does it", value=here.row.model.settings.owner or "", key=f"{key}-owner")
            due = st.date_input("Until", value=datetime.now(UTC).date() + timedelta(days=MINE), key=f"{key}-due", format="YYYY-MM-DD")
            author = case_decisions.author_box(f"{key}-author")
        if not st.form_submit_button("Write it down", icon=":material/gavel:", key=f"{key}-submit"):
            return
    if wrong is None:
        st.error("Say whether the prediction was wrong.", icon=":material/help:")
        return
    records: list[dict[str, Any]] = [case_decisions.verdict(here, author, source=source, wrong=wrong, severity=severity, note=note.strip())]
    if do != NOTHING:
        until = datetime(due.year, due.month, due.day, tzinfo=UTC) if due else None
        records.append(case_decisions.action(here, author, do=do, text=what.strip(), owner=owner.strip(), due=until))
        records[0]["action"] = records[1]["action"]
    case_decisions.say(here, records, author)


def started(here: Here) -> int | None:
    """What the form offers for a start: what is known of the prediction, nothing where that is not known."""
    return None if here.row.wrong is None else 0 if here.row.wrong else 1


def before(here: Here) -> None:
    """Every verdict and action about the case, newest first, with its history, and a way to correct it."""
    verdicts = load_case.verdicts(here.row.model.name, here.row.id)
    actions = load_case.actions(here.row.model.name, here.row.id)
    if not verdicts and not actions:
        st.caption("Nobody has said anything about this case yet.")
    for each in verdicts:
        one_verdict(here, each)
    for each in actions:
        one_action(here, each)
    sums = errors_sentence(load_case.verdicts(here.row.model.name))
    if sums:
        st.caption(formatting.plain(f"Over all cases of {here.row.model.name}: {sums}"))


def one_verdict(here: Here, item: Item) -> None:
    """One verdict."""
    said = item.fields
    gone = item.state == "withdrawn"
    head = f"{WRONG.get(str(said.get('wrong')), 'Not decided whether it was wrong')}; {SOURCES.get(str(said['source']), said['source']).lower()}"
    parts = [head, f"severity {said['severity']}" if said.get("severity") else "", "withdrawn" if gone else ""]
    with st.container(border=True):
        st.markdown(f":material/gavel: **{formatting.plain('; '.join(each for each in parts if each))}**")
        if said.get("note"):
            st.markdown(formatting.plain(said["note"]))
        history(item)
        correct(here, item, "standing" if gone else "withdrawn", "Restore" if gone else "Withdraw")


def one_action(here: Here, item: Item) -> None:
    """One action."""
    said = item.fields
    done = item.state in ("done", "cancelled")
    due = said.get("due")
    late = due is not None and due < datetime.now(UTC) and not done
    parts = [
        f"for {said['owner']}" if said.get("owner") else "nobody is named to do it",
        f"until {formatting.day(due)}" if due else "",
        item.state,
    ]
    with st.container(border=True):
        status = f"{formatting.status('watch', 'Late')}: " if late else ""
        st.markdown(
            f":material/task_alt: {status}**{formatting.plain(DO.get(str(said.get('do')), 'Action'))}** :gray[{formatting.plain(', '.join(each for each in parts if each))}]"
        )
        if said.get("text"):
            st.markdown(formatting.plain(said["text"]))
        if said.get("slice"):
            st.caption(formatting.plain(f"Slice: {formatting.condition(str(said['slice']))}"))
        history(item)
        correct(here, item, "open" if done else "cancelled", "Open again" if done else "Cancel", [] if done else [("done", "Done")])


def history(item: Item) -> None:
    """Who said what when: the newest in one line, all entries where there are several."""
    st.caption(formatting.plain(f"{item.first.author[:200]}, {formatting.minute(item.first.at)} UTC"))
    if len(item.entries) > 1:
        with st.expander(f"{len(item.entries)} entries", icon=":material/history:"):
            for each in item.entries:
                words = "; ".join(f"{name} {value}" for name, value in each.fields.items() if name not in ("model", "prediction"))
                st.markdown(
                    f"**{formatting.plain(each.author[:200])}**, {formatting.plain(formatting.minute(each.at))} UTC: {formatting.plain(words)}"
                )


def correct(here: Here, item: Item, undo: str, label: str, others: list[tuple[str, str]] | None = None) -> None:
    """Add to an item or take it back: one more entry, nothing is deleted."""
    key = f"{item.kind}-{item.id}"
    with st.popover("Add or undo", type="tertiary", icon=":material/edit:", key=f"{key}-change"):
        author = case_decisions.author_box(f"{key}-author")
        field = "note" if item.kind == "verdict" else "reason"
        words = st.text_area("What is to be added" if item.kind == "verdict" else "Reason", key=f"{key}-words", max_chars=20_000).strip()
        with st.container(horizontal=True, gap="small"):
            if words and st.button("Add it", icon=":material/add:", key=f"{key}-add"):
                case_decisions.say(here, [case_decisions.again(here, item, author, **{field: words})], author)
            for state, name in [*(others or []), (undo, label)]:
                if st.button(name, icon=":material/undo:" if state == undo else ":material/check:", key=f"{key}-{state}"):
                    case_decisions.say(here, [case_decisions.again(here, item, author, state=state, **{field: words})], author)
