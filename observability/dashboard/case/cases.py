"""Which case is meant? What the page shows of what is found by an id, a subject, the beginning of an id, or conditions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.dashboard import clicks, empty_states, frame, links, load
from observability.dashboard.case import find, load_case
from observability.dashboard.case.label import QUEUE
from observability.dashboard.scope import SPANS, Scope
from observability.dashboard.sidebar import BIND
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv, inert_text, unaltered
from observability.investigation.relabel_queue import PEOPLE
from observability.store.query.search import OWN, is_filter

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 100
"""Rows of a result; the page says when there are more."""
LARGEST = {"regression": "-absolute_error", "binary": "-log_loss", "multiclass": "-log_loss"}
INBOXES = {
    "largest_loss": "Largest loss", "uncertain": "Least certain", "suspect_labels": "Suspected label errors", "regressions": "Worse than the other version",
    "complaints": "Complaints", "relabel": QUEUE,
}  # fmt: skip
"""The inboxes (investigation/queues.py) and what their buttons say."""
COLUMNS = (
    column("case", "Case", strong=True, width="13rem"),
    column("at", "When (UTC)", width="8.5rem", short=True),
    column("said", "Predicted", width="9rem"),
    column("truth", "Label", width="7rem"),
    column("outcome", "Outcome", width="8rem"),
)
WANTED = (
    column("case", "Case", strong=True, width="13rem"),
    column("state", "State", width="7rem"),
    column("since", "Since (UTC)", width="9rem"),
    column("labels", "New labels", width="8rem", help="Labels that arrived since it was asked, of the people who are asked"),
    column("note", "What is wanted", wide=True),
)
STATES = {"open": "watch", "done": "ok", "cancelled": "unknown"}
FOUND = (column("case", "Case", strong=True), column("at", "When (UTC)"), column("model", "Model"))


def results(scope: Scope, typed: str) -> None:
    """What was typed: conditions on the chosen model's window, else an id, a subject or the beginning of an id, of every model."""
    if not is_filter(typed) or load_case.holder(typed):
        by_name(scope, find.meant(typed))
    elif scope.model is None:
        st.markdown("Conditions are about the columns of one model. Which one?")
        for each in load.catalog().models:
            target = links.link(each.name, "cases", scope.about(each.name), q=typed)["go"]
            st.button(formatting.plain(each.name), key=f"of-{each.key}", icon=":material/deployed_code:", on_click=links.go, args=(target,))
    else:
        by_conditions(scope, scope.model, typed)


def inbox(scope: Scope) -> None:
    """Cases that deserve a look, one list at a time."""
    st.header("Inboxes", anchor=False)
    if scope.model is None:
        st.markdown("Inboxes are of one model. Which one?")
        with st.container(horizontal=True):
            for each in load.catalog().models:
                target = links.link(each.name, "cases", scope.about(each.name))["go"]
                st.button(
                    formatting.plain(each.name), key=f"inbox-of-{each.key}", icon=":material/inbox:", on_click=links.go, args=(target,)
                )
        return
    chosen = st.pills("Inbox", list(INBOXES.values()), key="inbox", bind=BIND, default=INBOXES["largest_loss"], required=True)
    name = next((code for code, title in INBOXES.items() if title == chosen), "largest_loss")
    model = load.catalog().model(scope.model)
    if name == "relabel":
        to_relabel(scope, scope.model)
        return
    try:
        found = load_case.inbox(name, load.window(scope, model.name))
    except ObservabilityError as error:
        st.markdown(f"{formatting.status('unknown', 'Not given')}: {formatting.sentence(str(error))}")
        return
    st.markdown(formatting.sentence(found.because))
    if found.frame.empty:
        empty_states.nothing("This inbox is empty.", "Choose a longer window in the sidebar, or another inbox.")
        return
    columns = [*COLUMNS[:3], column("truth", "Label", width="7rem"), column("because", "Why it is here", wide=True)]
    rows = [
        row(
            {
                "case": links.case(each["id"], each["id"], model.name, scope),
                "at": {"t": formatting.minute(each["at"])},
                "said": {"t": answer(model, each["decision"], each["score"])},
                "truth": {"t": model.classes[each["label"]] if 0 <= each["label"] < len(model.classes) else formatting.DASH},
                "because": {"t": each["because"]},
            }
        )
        for each in found.frame.to_dict("records")
    ]
    table(
        "inbox-table", found.title, columns if model.classes else [each for each in columns if each["key"] != "truth"], rows, compact=True
    )
    frame.download(f"{name}.csv", lambda: inert_csv(found.frame), "CSV", key="inbox-csv")


def to_relabel(scope: Scope, model: str) -> None:
    """What was sent to be labelled again, and the worksheet for those who do it."""
    held = load_case.relabelling(model)
    waiting = [each for each in held if each.state == "open"]
    st.markdown(
        formatting.plain(
            f"{formatting.plural(len(waiting), 'prediction')} of {model} wait for a new label, whenever they were made; {formatting.plural(len(held) - len(waiting), 'other')} done or cancelled."
        )
    )
    if not held:
        empty_states.nothing("Nothing was sent to be labelled again.", "The part “Is it the label?” of a case sends it here.")
        return
    rows = [
        row(
            {
                "case": links.case(each.prediction, each.prediction, model, scope),
                "state": {"s": STATES[each.state], "t": each.state.capitalize()},
                "since": {"t": formatting.minute(each.since), "sub": each.author[:60]},
                "labels": {"t": f"{each.labels} of {PEOPLE}", "sub": formatting.minute(each.newest) if each.newest else None},
                "note": {"t": each.note[:400]},
            }
        )
        for each in held[:MOST]
    ]
    table("relabel", "Predictions that were sent to be labelled again, what waits first", WANTED, rows, compact=True)
    if len(held) > MOST:
        st.caption(f"{MOST} of {len(held):,} are shown; the command `python -m observability relabel --all` lists them all.")
    if waiting:
        st.caption(
            "The worksheet is blind: inputs, and neither label nor score. Filled in, `python -m observability load FILE --kind label` takes it, "
            "and what has a new label is done."
        )
        frame.download(
            f"relabel-{model}.csv", lambda: inert_csv(unaltered(load_case.worksheet(waiting), "id")), "Worksheet", key="relabel-csv"
        )
        if odd := sum(inert_text(each.prediction) != each.prediction for each in waiting):
            st.caption(
                f"{formatting.plural(odd, 'id')} that begin like a formula are left out of it; `python -m observability relabel --out FILE.jsonl` writes all."
            )


def by_name(scope: Scope, typed: str) -> None:
    """Predictions with this id, about this subject, or whose id begins like this."""
    model = load_case.holder(typed)
    if model:
        opened = load_case.opened(typed, model)
        table("exact", "The case of this id", FOUND, [named(typed, opened.look.row.at, model, scope)], compact=True)
        return
    of_subject, beginning = load_case.about(typed, MOST + 1)
    for key, caption, rows in (("subject", "Cases about this subject", of_subject), ("beginning", "Ids that begin like this", beginning)):
        if len(rows):
            st.header(caption, anchor=False)
            shown = [named(each["id"], each["at"], each["model"], scope) for each in rows.head(MOST).to_dict("records")]
            table(key, caption, FOUND, shown, compact=True)
            bounded(rows, "newest")
    if not len(of_subject) and not len(beginning):
        empty_states.nothing(
            f"No prediction has the id {formatting.plain(typed[:80])}, is about such a subject, or begins like this.",
            "Lines that were refused are on the page Store. To filter instead, type a condition, as `score > 0.9`.",
            "store",
            "Look at refused lines",
        )


def named(prediction: str, at: Any, model: str, scope: Scope) -> dict[str, Any]:
    """A row of what was found by name."""
    return row({"case": links.case(prediction, prediction, model, scope), "at": {"t": formatting.minute(at)}, "model": {"t": model}})


def by_conditions(scope: Scope, name: str, typed: str) -> None:
    """The predictions of the model's window that meet the conditions."""
    model = load.catalog().model(name)
    orders = {
        clicks.NEWEST: "-at",
        clicks.LARGEST: LARGEST.get(model.task or "", "-at"),
        "lowest score first": "score",
        clicks.SLOWEST: "-latency_ms",
    }
    order = st.segmented_control("Order", list(orders), default=clicks.NEWEST, required=True, key="order", bind=BIND)
    try:
        window = load.window(scope, name)
        found = load_case.matching(window, typed, MOST + 1, orders[order or "newest first"])
    except ObservabilityError as error:
        empty_states.problem(error)
        return
    where = f"{formatting.span(window.start, window.end)} UTC, {formatting.condition(str(scope.slice)) if scope.slice else 'all rows'}"
    if not len(found):
        empty_states.nothing(
            formatting.plain(f"No prediction of {name} meets {typed[:120]} ({where})."),
            "Choose a longer window in the sidebar, or fewer conditions.",
        )
        return
    more = "the first " if len(found) > MOST else ""
    st.markdown(f"**{formatting.plain(f'{more}{min(len(found), MOST):,} predictions')}** :gray[{formatting.plain(where)}]")
    shown = found.head(MOST)
    named_columns = [each for each in shown.columns if each.startswith(("feature.", "group."))]
    columns = [*COLUMNS, *(column(each, each.partition(".")[2]) for each in named_columns)]
    table(
        "matching",
        "Predictions that meet the conditions",
        columns,
        [as_row(model, each, scope, named_columns) for each in shown.to_dict("records")],
        compact=True,
    )
    bounded(found, order or "")
    frame.download("cases.csv", lambda: inert_csv(shown), "CSV", key="matching-csv")


def as_row(model: Model, each: dict[Any, Any], scope: Scope, named_columns: Sequence[str]) -> dict[str, Any]:
    """A row of what meets the conditions."""
    cells: dict[str, Cell] = {
        "case": links.case(each["id"], each["id"], model.name, scope),
        "at": {"t": formatting.minute(each["at"])},
        "said": {"t": answer(model, each["decision"], each["score"])},
        "truth": {"t": truth(model, each)},
        "outcome": outcome(each.get("error") if model.task == "regression" else each.get("correct"), model),
    }
    return row(cells | {name: {"t": value(each[name])} for name in named_columns})


def answer(model: Model, decision: int, score: float | None) -> str:
    """What was predicted: the class and its score, of a regression the value."""
    said = model.classes[decision] if 0 <= decision < len(model.classes) else None
    number = formatting.number(score)
    return number if said is None else f"{said} ({number})" if number != formatting.DASH else said


def truth(model: Model, each: dict[Any, Any]) -> str:
    """The label in words."""
    if 0 <= each["label"] < len(model.classes):
        return model.classes[each["label"]]
    return formatting.number(each["label_value"])


def outcome(figure: float | None, model: Model) -> Cell:
    """Right, wrong or not known; of a regression how far off."""
    if figure is None or figure != figure:
        return {"s": "unknown", "t": "No label yet"}
    if model.task == "regression":
        return {"t": f"{formatting.number(abs(figure))} too {'high' if figure > 0 else 'low'}" if figure else "exact"}
    return {"s": "ok", "t": "Right"} if figure == 1 else {"s": "act", "t": "Wrong"}


def value(found: Any) -> str:
    """A feature's value for a person."""
    if found is None or found != found:
        return formatting.DASH
    if isinstance(found, bool):
        return "true" if found else "false"
    return formatting.number(found, 5) if isinstance(found, float) else str(found)[:200]


def bounded(rows: "DataFrame", how: str) -> None:
    """Say that there are more."""
    if len(rows) > MOST:
        st.caption(formatting.plain(f"At most {MOST} are shown, {how}. Add a condition, or choose a shorter window, to see the others."))


def examples(model: Model | None) -> str:
    """Conditions that the model's own columns allow, for the help beside the field."""
    columns = model.columns if model else ()
    number = next((each.name for each in columns if each.kind == "number"), None)
    category = next((each for each in columns if each.kind == "category"), None)
    levels = [
        levels[0]
        for version in (model.versions if model else ())
        if category and (levels := version.edges[category.reference].levels if category.reference in version.edges else ())
    ]
    own = "error > 30" if model and model.task == "regression" else "outcome = wrong and score > 0.8"
    parts = [
        own,
        *([f"{quoted(category.name)} = {quoted(levels[0])}"] if category and levels else []),
        *([f"{quoted(number)} > 3"] if number else []),
    ]
    return f"Conditions as `{' and '.join(parts)}`. Names: the columns of the model, and {', '.join(OWN)}."


def quoted(name: str) -> str:
    """A name as it has to be typed."""
    return f'"{name}"' if any(sign.isspace() or sign in "=<>!&" for sign in name) else name


def window_words(scope: Scope) -> str:
    """Which window conditions look at."""
    return f"Conditions look at the window and slice of the sidebar ({SPANS[scope.span].lower()}); ids and subjects are looked for in everything."
