"""The page on which a person labels the items of a project, one after the other."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.questions import Records, Sample
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, empty_states, links, load, person_name, time_zone
from observability.dashboard.case import load_case
from observability.dashboard.case.inputs import input_value_words
from observability.dashboard.data.sample_data_figures import annotator_figure
from observability.dashboard.replica_line import is_done_at_owner
from observability.dashboard.scope import Scope
from observability.dashboard.state_cache import cached_by_state
from observability.dashboard.table import column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import NOT_SAVED, csv_button, plain_caption, plain_paragraph, save_records
from observability.investigation import labelling_board, logged_content, project_items
from observability.investigation.find_prediction import of_model
from observability.investigation.label_types import class_words
from observability.investigation.labelling_board import ANNOTATION_FIELDS, SKIP_REASONS, LabellingBoard, LabellingTask, LandedItems
from observability.investigation.logged_prediction import Row
from observability.investigation.sampled_rows import probability_columns
from observability.metrics.assignments import ASSIGNMENT_FIELDS
from observability.metrics.crowd_quality import SETTLING_RULE
from observability.metrics.labelling_work import LOAD_STEP, POLICIES, appoint_annotators
from observability.server.replica import current_replica

MAX_RECORDS, MAX_ITEMS, MAX_SHOWN, MAX_CHARACTERS, MAX_INPUTS = 250_000, 2_000, 20, 5_000, 60
POLICY_WORDS = {
    "ActiveLab": "Most to learn (ActiveLab)",
    "margin": "Closest between two classes (margin)",
    "random": "Random",
    "coverage": "Fewest labels first",
}
QUEUE_COLUMNS = columns_on_phone(
    "item reason",
    column("item", "Item", strong=True),
    column("reason", "Reason", wide=True),
    *number_columns(labels="Labels", score="Score"),
)
SKIP_COLUMNS = (
    column("item", "Item", strong=True),
    column("annotator", "Annotator"),
    column("reason", "Reason", wide=True),
    column("at", "When (UTC)", short=True),
)
INPUT_COLUMNS = (column("name", "Input", strong=True), column("value", "Value"))
HOW = """# items of a new project, from the rows of a file
python -m observability items tweets.csv --project moods --id tweet --columns text --classes negative,neutral,positive
# or labels that were given elsewhere
import observability as obs
log = obs.Logger()
log.annotation(project="moods", item="t17", annotator="ann-3", label="neutral")"""
"""Example lines that start a project."""
SKIPPED = ("item", "annotator", "at", "reason")


def project_models() -> dict[str, Model | None]:
    """Return the labelling projects with their models. Projects come from records and from the settings of models. A classifier that has no
    project in its settings has a project of its own name.
    """
    always = Window("", EPOCH, load.page_clock())
    found: dict[str, Model | None] = {}
    for kind in ("annotation", "assignment", "item"):
        found |= dict.fromkeys(map(str, load.ask_store(Records(kind, ("project",), ever=True, counted=True), always)["project"]))
    for model in load.catalog().models:
        if model.classes:
            found |= dict.fromkeys(model.settings.projects or (model.name,), model)
    return found


def require_labelling_projects(models: dict[str, Model | None]) -> None:
    """Stop the page if there is no project, and show how to start one."""
    if not models:
        message, step = "There is nothing to label yet.", "Each row of a file becomes an item; so does each prediction of a classifier."
        empty_states.how_to_log_state(message, step, HOW, ("Accuracy of each annotator on gold items", annotator_figure))
        st.stop()


def chosen_labelling_project(models: dict[str, Model | None], scope: Scope, *, annotated: bool = False) -> str:
    """Return the project in the address; if there is none, the project of the scope's model, else the first project with a model.

    annotated: whether a project with labels is preferred.
    """
    names = sorted(models)
    missing = "The link names the project {}, which has no records and no model."
    labelled = names
    if annotated:
        counts = load.ask_store(Records("annotation", ("project",), ever=True, counted=True), Window("", EPOCH, load.page_clock()))
        labelled = list(map(str, counts["project"])) or names
    own = next((name for name in names if (model := models[name]) is not None and model.name == scope.model), None)
    first = own or next((name for name in labelled if models.get(name) is not None), labelled[0])
    return choice_box.address_selectbox("project", "Project", names, placeholder=first, missing=missing, width=420) or first


def policy_box() -> str | None:
    """Return the order of the queue that the box holds. None: the order is chosen from what is known about the project."""
    missing = "The link names the order {}, which does not exist."
    words = POLICY_WORDS.__getitem__
    return choice_box.address_selectbox(
        "order", "Order of the queue", POLICIES, words=words, placeholder="Automatic", missing=missing, width=320
    )


@cached_by_state(4)
def board_of(project: str, model_name: str | None, window: Window | None, policy: str | None) -> LabellingBoard:
    """Return the state of a project. Its items are a sample of the window's predictions, and all items that were ever stored, annotated or
    assigned.
    """
    model = load.catalog().model(model_name) if model_name else None
    always, only = Window("", EPOCH, load.page_clock()), (("project", project),)

    def records(kind: str, fields: tuple[str, ...]) -> pd.DataFrame:
        return load.read_records(Records(kind, fields, ever=True, rows=MAX_RECORDS, only=only), always)

    sample = None
    if model is not None and window is not None:
        columns = probability_columns(model) or ("score",)
        sample = load.ask_store(Sample("predictions", ("id", *columns), MAX_ITEMS), window)
    requests = load_case.relabel_requests(model.name) if model is not None else ()
    fields = tuple(name for name in ASSIGNMENT_FIELDS if name != "project")
    return labelling_board.labelling_board(
        project,
        model,
        records("annotation", ANNOTATION_FIELDS),
        records("assignment", fields),
        records("skip", SKIPPED),
        sample,
        requests,
        policy,
        _landed_items(project, records),
    )


def _landed_items(project: str, records: Callable[[str, tuple[str, ...]], pd.DataFrame]) -> LandedItems:
    """Return the items of a project that were stored without a prediction, with the classes that they may get."""
    items = records("item", ("item",))["item"]
    if items.empty:
        return LandedItems()
    stated = project_items.stated_project(load.store(), project)
    return LandedItems(items.astype(str).tolist(), tuple(stated.classes or ()), stated.guideline)


def board_summary(board: LabellingBoard) -> None:
    """Write how many items wait, how many are settled, and the rule by which they are settled."""
    settled = int(board.crowd.settled.sum()) if board.crowd else 0
    asked, waiting = f", {formatting.plural(len(board.requests), 'request')} of cases first" if board.requests else "", len(board.queue)
    waiting += board.further
    st.markdown(
        f"**{formatting.plural(waiting, 'item')}** {'waits' if waiting == 1 else 'wait'}{asked}; "
        f"{formatting.plural(settled, 'item')} settled.",
        help=_settling_words(board),
    )


def _settling_words(board: LabellingBoard) -> str:
    """A text on when an item is settled and what happens then."""
    target = "its label is written as the label of the prediction" if board.model else "it is in the file of settled labels"
    return f"An item is {SETTLING_RULE}; then {target}. Nobody sees the labels of others before their own."


def annotation_desk(board: LabellingBoard, scope: Scope, newest: Callable[[], LabellingBoard]) -> None:
    """Draw the item that the person should label, and the buttons to answer. newest: a function that returns the current board at the time
    of an answer.

    Items can be labelled only in the process that owns the store. Other processes lack the answers of the last seconds, which may settle an
    item.
    """
    if is_done_at_owner("Items are labelled", "annotate"):
        return
    if len(board.classes) < 2:
        empty_states.empty_state(
            "The classes of this project are not known.", "Name them: observability items FILE --project P --classes a,b."
        )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        who = person_name.person_name_box("annotate-person")
        helped = st.toggle("Show suggestions", key="suggestions", help="Off: you answer blind. On: every fifth item stays blind.")
        guideline = st.text_input("Guideline version", board.guideline or "", key="annotate-guideline", width=180).strip() or None
    if not who:
        st.info(person_name.why_not_saved(["label"]), icon=":material/person:")
        return
    task = _task(board, who)
    if task is None:
        empty_states.empty_state(
            "Nothing is left for you.",
            "You have labelled or skipped every waiting item of these dates. Choose other dates or another project.",
        )
        return
    began = _begun(board.project, task.item, who)
    row = of_model(load.store(), board.model, task.item, None) if board.model is not None else None
    landed = None if row is not None else landed_content(board.project, task.item)
    suggestion = None
    if helped and labelling_board.shows_suggestion(task.item, task.asked):
        suggestion = labelling_board.suggestion_of(board, task.item)
    with st.container(border=True, key="annotate-card"):
        _item_card(task, row, landed, board, suggestion)
        _answer_buttons(board, task, who, began, suggestion, guideline, row, newest)
    _session_note(board, who)


def _task(board: LabellingBoard, who: str) -> LabellingTask | None:
    """Return the item that the address names, else the next item for the person."""
    named = st.query_params.get("item")
    if not named:
        return labelling_board.next_task(board, who)
    known = named in board.waiting or named in board.probabilities or (board.crowd is not None and named in board.crowd.place)
    known = known or landed_content(board.project, named) is not None
    if known or (board.model is not None and of_model(load.store(), board.model, named, None) is not None):
        urgent = board.waiting.get(named)
        why = urgent.reason if urgent else "It was opened by its id."
        given = any((who, named) == each[:2] for each in board.given)
        return LabellingTask(named, why, "Chosen by hand.", None, "by hand", given, named in board.requests)
    choice_box.link_warning(f"The link names the item {named}, which is neither in {board.project} nor a prediction of its model.")
    return labelling_board.next_task(board, who)


def _begun(project: str, item: str, who: str) -> datetime:
    """The time at which the item was first shown to the person in this session."""
    held: dict[str, Any] = st.session_state.setdefault("annotate-began", {})
    if held.get("key") != (project, item, who):
        held.clear()
        held.update(key=(project, item, who), at=datetime.now(UTC))
    at: datetime = held["at"]
    return at


def landed_content(project: str, item: str) -> Mapping[str, Any] | None:
    """Return the content of an item that was stored without a prediction; None if there is none."""
    found = project_items.stored_items(load.store(), project, item).get(item)
    return found.content if found else None


def _item_card(
    task: LabellingTask,
    row: Row | None,
    landed: Mapping[str, Any] | None,
    board: LabellingBoard,
    suggestion: tuple[str, float] | None,
) -> None:
    """Draw the item, the reason why it is asked, and the suggestion if there is one."""
    plain_caption(f"{task.item} · {task.why_item} · Why you: {task.why_person}")
    if row is not None:
        texts, images = logged_content.logged_texts(row), logged_content.logged_images(row)
        _item_content(texts, images, row.features)
    elif landed is not None:
        texts, images = logged_content.texts_of_fields(landed), logged_content.images_of_fields(landed)
        shown = {text.name for text in texts} | {image.name for image in images}
        _item_content(texts, images, {name: value for name, value in landed.items() if name not in shown})
    else:
        st.info(
            "The content of this item is not in the store: no prediction has its id. Label it where you see it.", icon=":material/info:"
        )
    if suggestion is not None:
        words = class_words(board.model, suggestion[0]) if board.model else suggestion[0]
        st.markdown(
            f":material/lightbulb: Suggested: **{formatting.escape_markdown(words)}** ({formatting.format_share(suggestion[1])} sure)"
        )


def _item_content(
    texts: Sequence[logged_content.LoggedText], images: Sequence[logged_content.LoggedImage], values: Mapping[str, Any]
) -> None:
    """Draw the texts, images and values of a prediction or a stored item, without score and label."""
    for text in texts:
        shown = formatting.escape_direction_marks(text.text[:MAX_CHARACTERS])
        st.container(border=False, key=f"annotate-text-{text.name}").markdown(f"#### {formatting.escape_markdown(shown)}")
        if len(text.text) > MAX_CHARACTERS:
            plain_caption(f"The first {MAX_CHARACTERS:,} of {len(text.text):,} characters.")
    folders = logged_content.image_folders(load.store().home)
    for image in images:
        content, reason = logged_content.image_bytes(image, folders)
        if content is not None:
            st.image(content, caption=formatting.escape_markdown(image.name), width=480)
        else:
            plain_caption(f"Image in {image.name}: {reason}")
    lines = [table_row(name=name, value=input_value_words(value)) for name, value in list(values.items())[:MAX_INPUTS]]
    if not lines:
        return
    if texts or images:
        with st.expander(formatting.plural(len(values), "input"), icon=":material/table_rows:"):
            draw_table("annotate-inputs", "Inputs of the item", INPUT_COLUMNS, lines, compact=True)
    else:
        draw_table("annotate-inputs", "Inputs of the item", INPUT_COLUMNS, lines, compact=True)


def _answer_buttons(
    board: LabellingBoard,
    task: LabellingTask,
    who: str,
    began: datetime,
    suggestion: tuple[str, float] | None,
    guideline: str | None,
    row: Row | None,
    newest: Callable[[], LabellingBoard],
) -> None:
    """Draw a button for each class, with the keys 1 to 9 for the first nine, and a button to skip the item.

    An answer is saved before the page is drawn again, and it is based on the current board, because others may have answered in the
    meantime.
    """

    def answer(label: str) -> None:
        held = newest()
        settled = labelling_board.settled_label(held, task.item, who, label)
        records = labelling_board.answer_records(
            held,
            task,
            who,
            label,
            began=began,
            at=datetime.now(UTC),
            suggestion=suggestion,
            guideline=guideline,
            labels_model=row is not None,
        )
        _save_answer(records, task, label, settled[0] if settled else None)

    def skip(reason: str) -> None:
        _save_answer(labelling_board.skip_records(newest(), task, who, reason, began=began, at=datetime.now(UTC)), task, None, None)

    with st.container(horizontal=True, key="annotate-classes"):
        for place, name in enumerate(board.classes):
            words = formatting.escape_markdown(class_words(board.model, name) if board.model else name)
            number = str(place + 1) if place < 9 else None
            st.button(words, key=f"annotate-class-{place}", shortcut=number, on_click=answer, args=(name,))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        reason = st.selectbox("Reason to skip", SKIP_REASONS, None, placeholder="Choose or type", accept_new_options=True, width=280)
        chosen: dict[str, Any] = {"on_click": skip, "args": (str(reason)[:500],)} if reason else {}
        if st.button("Skip", icon=":material/skip_next:", key="annotate-skip", shortcut="0", **chosen) and not reason:
            st.error("Choose a reason to skip, or type one.", icon=":material/error:")


def _save_answer(records: Sequence[dict[str, Any]], task: LabellingTask, label: str | None, settled: str | None) -> None:
    """Write the records, and let the page show the next item when it is drawn again."""
    if not save_records(records, NOT_SAVED):
        return
    st.session_state["annotate-last"] = (task.item, label, settled)
    st.session_state.pop("annotate-began", None)
    st.query_params.pop("item", None)


def _session_note(board: LabellingBoard, who: str) -> None:
    """Draw the last answer of this session with a button to answer that item again, and the number of labels that the person has given
    today.
    """
    last = st.session_state.get("annotate-last")
    mine = board.answers[(board.answers["annotator"].astype(str) == who)]
    today = int((mine["at"] >= pd.Timestamp(datetime.now(UTC).date())).sum())
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{formatting.plural(today, 'label')} by you today.", width="content")
        if last is None:
            return
        item, label, settled = last
        words = f"{item}: {label}" if label is not None else f"{item}: skipped"
        plain_caption(f"Last: {words}{f'; settled as {settled}' if settled is not None else ''}.")
        if st.button("Answer it again", icon=":material/undo:", type="tertiary", key="annotate-back"):
            st.query_params["item"] = item
            st.rerun()


def queue_table(board: LabellingBoard, scope: Scope) -> None:
    """Draw the first items of the queue and why they wait."""
    st.header("Queue", anchor=False)
    rows = [
        table_row(
            item=links.link_cell(each.item, "annotate", scope, project=board.project, item=each.item),
            reason=each.reason,
            labels=f"{each.labels:,}",
            score="" if each.asked else formatting.format_number(each.score),
        )
        for each in board.queue[:MAX_SHOWN]
    ]
    if not rows:
        plain_paragraph("Nothing waits in these dates.")
        return
    draw_table("annotate-queue", "Items that wait for a label", QUEUE_COLUMNS, rows, compact=True)
    plain_caption("Items that a case asks to relabel come first, then lower scores: their labels are expected to be more informative.")
    csv_button(
        "queue",
        lambda: pd.DataFrame([[q.item, q.reason, q.labels, q.score] for q in board.queue], columns=["item", "reason", "labels", "score"]),
    )


def settled_labels_file(board: LabellingBoard) -> None:
    """Offer the settled labels with the content of their items as a file; nothing if none is settled."""
    if board.crowd is None or not board.crowd.settled.any():
        return
    store, project = load.store(), board.project
    csv_button("settled", lambda: project_items.project_settled_labels(store, project), label="Settled labels (CSV)", has_groups=False)


def assignment_form(board: LabellingBoard) -> None:
    """Draw the form that gives the next items to people by skill and load. It works only in the process that owns the store, which knows
    who has which items.
    """
    if current_replica() is not None:
        return
    st.header("Assign work", anchor=False)
    open_work = ", ".join(f"{who} {n}" for who, n in sorted(board.load.items())) or "none"
    plain_paragraph(
        "Each item goes to the annotator with the highest accuracy on similar items. Nobody gets more than "
        f"{LOAD_STEP} open items above the annotator with the fewest. Open assignments: {open_work}."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        people = st.multiselect("Annotators", board.people, accept_new_options=True, key="annotate-people", width=420)
        n = st.number_input("Items", 1, 500, 20, key="annotate-items", width=120)
        pressed = st.button("Assign", icon=":material/assignment_ind:", key="annotate-assign")
    if not pressed:
        return
    if not people:
        st.error("Choose the annotators first.", icon=":material/error:")
        return
    taken = {*board.taken, *((item, who) for who, item, *_ in board.given)}
    found = appoint_annotators(board.queue[: int(n)], list(people), board.crowd, board.load, taken)
    if not found:
        st.info("These annotators were already given all of these items.", icon=":material/info:")
        return
    reasons = {each.item: each.reason for each in board.queue[: int(n)]}
    records = [
        {
            "kind": "assignment",
            "project": board.project,
            "item": each.item,
            "annotator": each.annotator,
            "policy": f"{board.policy}, by skill",
            "reason": f"{reasons[each.item]} {each.reason}",
            "score": each.score,
        }
        for each in found
    ]
    if save_records(records, NOT_SAVED):
        st.toast(f"{formatting.plural(len(records), 'assignment')} written.", icon=":material/check_circle:")
        st.rerun()


def skipped_table(board: LabellingBoard) -> None:
    """Draw the items that were skipped, newest first; nothing if none was."""
    question = Records("skip", SKIPPED, ever=True, only=(("project", board.project),))
    rows = load.ask_store(question, Window("", EPOCH, load.page_clock())).sort_values("at", ascending=False, kind="stable")
    if rows.empty:
        return
    st.header("Skipped", anchor=False)
    lines = [
        table_row(
            item=str(each["item"]), annotator=str(each["annotator"]), reason=str(each["reason"]), at=time_zone.zoned_minute(each["at"])
        )
        for each in rows.head(MAX_SHOWN).to_dict("records")
    ]
    draw_table("annotate-skipped", "Skipped items and why", SKIP_COLUMNS, lines, compact=True)
    csv_button("skipped", rows, has_groups=False)
