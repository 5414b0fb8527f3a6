"""The cases page: predictions found by id, subject, id prefix or conditions, and queues of cases."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.numerals import format_figure
from observability.dashboard import clicks, empty_states, frame, links, load, sign_in, time_zone
from observability.dashboard.case import find_case, load_case
from observability.dashboard.case.bulk_verdicts import bulk_verdict_form
from observability.dashboard.case.label import RELABEL_QUEUE
from observability.dashboard.case.saved_cases import bulk_save_form
from observability.dashboard.scope import BIND, SPANS, Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import csv_button, cut_note, link_button, plain_caption, plain_paragraph, unavailable_note
from observability.export.csv import inert_csv, inert_text, rows_kept_as_logged
from observability.investigation.label_types import class_words, prediction_with_score, with_unit
from observability.investigation.relabel_queue import PEOPLE
from observability.store.types.search_terms import SEARCH_NAMES, is_search_filter

MAX_CASES = 100
"""Maximum number of rows in a result."""
MAX_MODELS, FIRST_CASES = 12, 3
"""If queues of several models are shown together: maximum number of models, and number of cases of each."""
LARGEST = {"regression": "-absolute_error", "binary": "-log_loss", "multiclass": "-log_loss"}
QUEUES = {
    "largest_loss": "Largest loss",
    "uncertain": "Least certain",
    "suspect_labels": "Suspected label errors",
    "regressions": "Version regressions",
    "complaints": "Complaints",
    "relabel": RELABEL_QUEUE,
}
"""Titles of the queues (investigation/queues.py)."""
COLUMNS = columns_on_phone(
    "case said truth",
    column("case", "Case", strong=True, width="13rem"),
    column("at", "When (UTC)", width="8.5rem", short=True),
    column("said", "Predicted", width="12rem"),
    column("truth", "Label", width="7rem"),
    column("outcome", "Outcome", width="8rem"),
)
QUEUE_COLUMNS, BECAUSE = columns_on_phone("case said", *COLUMNS[:4]), column("because", "Reason", wide=True)
RELABEL_COLUMNS = columns_on_phone(
    "case state labels",
    column("case", "Case", strong=True, width="13rem"),
    column("state", "State", width="7rem"),
    column("since", "Since (UTC)", width="9rem"),
    column("labels", "New labels", width="8rem", help="Labels since the request, of those requested"),
    column("note", "Request", wide=True),
)
STATES = {"open": "watch", "done": "ok", "cancelled": "unknown"}
EXAMPLES = (
    column("case", "Case (UTC)", strong=True),
    column("said", "Predicted", short=True, phone=False),
    column("truth", "Label", short=True),
    column("outcome", "Outcome"),
)
FOUND_COLUMNS = (column("case", "Case", strong=True), column("at", "When (UTC)"), column("model", "Model"))


def case_search_results(scope: Scope, typed: str) -> None:
    """Draw the results for typed text. Conditions apply to the chosen model's window; any other text is an id, a subject or an id prefix in
    any model.
    """
    if not is_search_filter(typed) or load_case.model_holding(typed):
        _results_by_id(scope, find_case.typed_case_id(typed))
    elif scope.model is None:
        st.markdown("Conditions need a model. Which one?")
        _model_buttons(scope, "of", q=typed)
    else:
        _results_by_conditions(scope, scope.model, typed)


def _model_buttons(scope: Scope, key: str, **own: str) -> None:
    """Draw a button for each model, which opens this page about that model."""
    with st.container(horizontal=True):
        for model in load.catalog().models:
            target = links.link_cell("", "cases", scope.about(model.name), **own)
            link_button(model.name, target, key=f"{key}-{model.key}", icon="deployed_code", quiet=False)


def case_queue(scope: Scope) -> None:
    """Draw one queue: all cases of the chosen model, or the first cases of each model."""
    st.header("Queues", anchor=False)
    chosen = st.pills("Queue", list(QUEUES.values()), key="inbox", bind=BIND, default=QUEUES["largest_loss"], required=True)
    name = next((code for code, title in QUEUES.items() if title == chosen), "largest_loss")
    if name == "relabel":
        _relabel_queue(scope, scope.model)
    elif scope.model is None:
        _queues_of_models(scope, name)
    else:
        _queue_of_model(scope, name, load.catalog().model(scope.model))


def _queues_of_models(scope: Scope, name: str) -> None:
    """Draw the first cases of a queue for each model separately, because ranks of different models cannot be compared. A model's name opens
    its whole queue.
    """
    models = [model for model in load.catalog().fleet if model.task]  # without a task, it is not known which predictions are wrong
    rows, without = list[dict[str, Any]](), list[str]()
    for model in models[:MAX_MODELS]:
        try:
            found = load_case.queue_cases(name, load.window(scope, model.name)).frame.head(FIRST_CASES)
        except ObservabilityError as error:
            without.append(f"{model.name} ({error.what})")
            continue
        if found.empty:
            without.append(f"{model.name} (none)")
        own = links.link_cell(model.name, "cases", scope.about(model.name), inbox=QUEUES[name])
        rows += [_queue_row(model, case, scope) | {"model": own} for case in found.to_dict("records")]
    if rows:
        st.markdown(f"The first {FIRST_CASES} cases of each model. Choose a model to see its whole queue.")
        shown = [QUEUE_COLUMNS[0], column("model", "Model", width="9rem", phone=False), *QUEUE_COLUMNS[1:], BECAUSE]
        draw_table("inbox-table", f"{QUEUES[name]}, the first of each model", shown, [table_row(row) for row in rows], compact=True)
    else:
        empty_states.empty_state("This queue is empty for every model.", "Choose a longer time range, or another queue.")
    if without:
        plain_caption(f"Not listed: {formatting.join_words(without)}.")
    cut_note(len(models), MAX_MODELS, "The first {0} of {1} models; choose a model above to see its queue.")


def _queue_of_model(scope: Scope, name: str, model: Model) -> None:
    """Draw all cases of one queue of a model, and the actions on all of them."""
    try:
        found = load_case.queue_cases(name, load.window(scope, model.name))
    except ObservabilityError as error:
        unavailable_note(error)
        return
    st.markdown(formatting.sentence_markdown(found.because))
    if found.frame.empty:
        empty_states.empty_state("This queue is empty.", "Choose a longer time range, or another queue.")
        return
    rows = [table_row(_queue_row(model, case, scope)) for case in found.frame.to_dict("records")]
    draw_table("inbox-table", found.title, [*QUEUE_COLUMNS, BECAUSE], rows, compact=True)
    with st.container(horizontal=True, gap="small"):
        csv_button(name, found.frame, key="inbox-csv", has_groups=False)
        bulk_verdict_form(model, found.frame["id"].tolist(), f"inbox-{name}")
        bulk_save_form(model, found.frame["id"].tolist(), f"inbox-{name}")


def _queue_row(model: Model, case: dict[Any, Any], scope: Scope) -> dict[str, Cell]:
    """The cells of a case in a queue."""
    label = _label_words(model, case)
    return {
        "case": links.case_link(case["id"], case["id"], model.name, scope) | {"phone": model.name},
        "at": {"t": time_zone.zoned_minute(case["at"])},
        "said": {"t": _predicted_words(model, case["decision"], case["score"]), "phone": f"label {label}"},
        "truth": {"t": label},
        "because": {"t": case["because"]},
    }


def _relabel_queue(scope: Scope, model: str | None) -> None:
    """Draw the predictions to be relabelled, for one model or for all, and the worksheet for annotators if one model is chosen."""
    held = load_case.relabel_requests(model)
    waiting = [request for request in held if request.state == "open"]
    closed = f"{len(held) - len(waiting):,} done or cancelled"
    words = f"{formatting.plural(len(waiting), 'prediction')} of {model or 'all models'} to relabel, of any date; {closed}."
    plain_paragraph(words)
    if not held:
        empty_states.empty_state("Nothing to relabel.", "Send a case here from its section Label.")
        return
    rows = [
        table_row(
            case=links.case_link(request.prediction, request.prediction, request.model, scope) | ({} if model else {"sub": request.model}),
            state={"s": STATES[request.state], "t": request.state.capitalize()},
            since={"t": time_zone.zoned_minute(request.since), "sub": request.author[:60]},
            labels={"t": f"{request.labels} of {PEOPLE}", "sub": time_zone.zoned_minute(request.newest) if request.newest else None},
            note=request.note[:400],
        )
        for request in held[:MAX_CASES]
    ]
    draw_table("relabel", "Relabel queue, open requests first", RELABEL_COLUMNS, rows, compact=True)
    cut_note(len(held), MAX_CASES, "The first {0} of {1}; `python -m observability relabel --all` lists all.")
    if not waiting or model is None:
        return
    projects = load.catalog().model(model).settings.projects or (model,)
    target = links.link_cell("", "annotate", scope, project=projects[0])
    link_button("Label them on the page Annotate", target, key="relabel-annotate", icon="edit_note")
    st.caption(
        "The worksheet is blind: inputs without label and score. Load it filled in with `python -m observability load FILE --kind label`; "
        "a new label closes the request."
    )
    name = f"relabel-{model}.csv"
    frame.download_button(
        name, lambda: inert_csv(rows_kept_as_logged(load_case.relabel_worksheet(waiting), "id")), "Worksheet", key="relabel-csv"
    )
    if odd := sum(inert_text(request.prediction) != request.prediction for request in waiting):
        ids = formatting.plural(odd, "id")
        st.caption(f"Without {ids} that could be read as a formula; `python -m observability relabel --out FILE.jsonl` writes all.")


def _results_by_id(scope: Scope, typed: str) -> None:
    """Draw the predictions whose id or subject is the typed text, or whose id begins with it."""
    model = load_case.model_holding(typed)
    if model:
        opened = load_case.opened_case(typed, model)
        draw_table("exact", "Exact id", FOUND_COLUMNS, [_found_row(typed, opened.look.row.at, model, scope)], compact=True)
        return
    of_subject, beginning = load_case.predictions_by_name(typed, MAX_CASES + 1)
    sign_in.note_subject_search(typed, len(of_subject))
    for key, caption, rows in (("subject", "Cases of this subject", of_subject), ("beginning", "Ids with this prefix", beginning)):
        if len(rows):
            st.header(caption, anchor=False)
            shown = [
                _found_row(each["id"], each["at"], each["model"], scope, f"{each['environment']}/{each['version']}")
                for each in rows.head(MAX_CASES).to_dict("records")
            ]
            draw_table(key, caption, FOUND_COLUMNS, shown, compact=True)
            _truncation_note(rows, "newest")
    if not len(of_subject) and not len(beginning):
        empty_states.empty_state(
            f"No prediction has the id, subject or id prefix {formatting.escape_markdown(typed[:80])}.",
            "Rejected lines are on the page Store. To filter, type a condition, as `score > 0.9`.",
            "store",
            "Open rejected lines",
        )


def _found_row(prediction: str, at: Any, model: str, scope: Scope, answer: str | None = None) -> dict[str, Any]:
    """A row of a search by id or subject. answer: environment and version of the prediction."""
    return table_row(case=links.case_link(prediction, prediction, model, scope, answer), at=time_zone.zoned_minute(at), model=model)


def _results_by_conditions(scope: Scope, name: str, typed: str) -> None:
    """Draw the predictions in the model's window that meet the conditions."""
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
        found = load_case.matching_predictions(window, typed, MAX_CASES + 1, orders[order or "newest first"])
    except ObservabilityError as error:
        empty_states.error_state(error)
        return
    part = formatting.slice_in_words(str(scope.slice)) if scope.slice else "all rows"
    where = f"{time_zone.named_span(window.start, window.end)}, {part}"
    if not len(found):
        empty_states.empty_state(
            formatting.escape_markdown(f"No prediction of {name} meets {typed[:120]} ({where})."),
            "Choose a longer time range, or fewer conditions.",
        )
        return
    more = "the first " if len(found) > MAX_CASES else ""
    st.markdown(
        f"**{formatting.escape_markdown(f'{more}{min(len(found), MAX_CASES):,} predictions')}** :gray[{formatting.escape_markdown(where)}]"
    )
    shown = found.head(MAX_CASES)
    named_columns = [each for each in shown.columns if each.startswith(("feature.", "group."))]
    columns = [*COLUMNS, *(column(each, each.partition(".")[2]) for each in named_columns)]
    rows = [_matching_row(model, each, scope, named_columns) for each in shown.to_dict("records")]
    draw_table("matching", "Predictions that meet the conditions", columns, rows, compact=True)
    _truncation_note(found, order or "")
    with st.container(horizontal=True, gap="small"):
        csv_button("cases", shown, key="matching-csv", has_groups=False)
        bulk_verdict_form(model, shown["id"].tolist(), "matching")
        bulk_save_form(model, shown["id"].tolist(), "matching")


def example_cases(scope: Scope, model: Model, typed: str, order: str, most: int) -> int:
    """Draw the first predictions in the scope that meet the conditions, with links to their cases, and return how many are drawn."""
    orders = {clicks.NEWEST: "-at", clicks.LARGEST: LARGEST.get(model.task or "", "-at")}
    try:
        found = load_case.matching_predictions(load.window(scope, model.name), typed, most, orders[order])
    except ObservabilityError as error:
        unavailable_note(error)
        return 0
    if len(found):
        rows = [_matching_row(model, each, scope, ()) for each in found.to_dict("records")]
        for row in rows:  # the table is in a column of the page, so the time is shown under the id
            row["cells"]["case"] |= {"sub": row["cells"]["at"]["t"]}
        draw_table("examples", f"Example predictions, {order}", EXAMPLES, rows, compact=True)
    else:
        st.caption("No prediction of these dates meets the condition.")
    return len(found)


def _matching_row(model: Model, each: dict[Any, Any], scope: Scope, named_columns: Sequence[str]) -> dict[str, Any]:
    """A row of a search by conditions."""
    cells: dict[str, Cell] = {
        "case": links.case_link(each["id"], each["id"], model.name, scope),
        "at": {"t": time_zone.zoned_minute(each["at"])},
        "said": {"t": _predicted_words(model, each["decision"], each["score"])},
        "truth": {"t": _label_words(model, each)},
        "outcome": _outcome_cell(each.get("error") if model.task == "regression" else each.get("correct"), model),
    }
    return table_row(cells | {name: {"t": _value_words(each[name])} for name in named_columns})


def _predicted_words(model: Model, decision: int, score: float | None) -> str:
    """The decision and its score; for a regression, the value."""
    return prediction_with_score(model, model.classes[decision] if 0 <= decision < len(model.classes) else None, score)


def _label_words(model: Model, each: dict[Any, Any]) -> str:
    """The label of one listed prediction in words: its class, or its number with the unit; a dash without a label."""
    if 0 <= each["label"] < len(model.classes):
        return class_words(model, model.classes[each["label"]])
    number = formatting.format_number(each["label_value"])
    return number if number == formatting.DASH else with_unit(model, number)


def _outcome_cell(figure: float | None, model: Model) -> Cell:
    """The cell of the outcome: right, wrong or no label yet; for a regression, the size and direction of the error."""
    if figure is None or figure != figure:
        return {"s": "unknown", "t": "No label yet"}
    if model.task == "regression":
        size = with_unit(model, formatting.format_number(abs(figure)))
        return {"t": f"{size} too {'high' if figure > 0 else 'low'}" if figure else "exact"}
    return {"s": "ok", "t": "Right"} if figure == 1 else {"s": "act", "t": "Wrong"}


def _value_words(found: Any) -> str:
    """A feature's value as text."""
    if found is None or found != found:
        return formatting.DASH
    if isinstance(found, bool):
        return "true" if found else "false"
    return format_figure(found, 6) if isinstance(found, float) else str(found)[:200]


def _truncation_note(rows: pd.DataFrame, how: str) -> None:
    """If rows are left out, draw a caption that says how many are shown and how they were chosen."""
    if len(rows) > MAX_CASES:
        plain_caption(f"The first {MAX_CASES}, {how}. Add a condition, or choose a shorter window, to see others.")


def condition_examples(model: Model | None) -> str:
    """Example conditions for the search, with the model's own columns."""
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
        *([f"{quoted_column_name(category.name)} = {quoted_column_name(levels[0])}"] if category and levels else []),
        *([f"{quoted_column_name(number)} > 3"] if number else []),
    ]
    return f"Conditions as `{' and '.join(parts)}`. Names: the columns of the model, and {', '.join(SEARCH_NAMES)}."


def quoted_column_name(name: str) -> str:
    """A column's name as it must be written in a condition: quoted if it has special characters."""
    return f'"{name}"' if any(sign.isspace() or sign in "=<>!&" for sign in name) else name


def search_scope_note(scope: Scope) -> str:
    """A sentence about what is searched: conditions apply to the chosen time range and slice, ids to everything."""
    span = "" if scope.span == "dates" else f" ({SPANS[scope.span].lower()})"
    return f"Conditions search the chosen time range{span} and slice; ids and subjects search everything."
