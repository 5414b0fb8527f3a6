"""The agenda of a review: its items in order, and the forms that arrange, close and comment on an item."""

from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.metric_definitions import METRICS
from observability.core.weeks import Week
from observability.dashboard import frame, links, load
from observability.dashboard.charts import incident as charts_incident
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.drafts import draft_arguments
from observability.dashboard.overview import findings, incident_page, incidents
from observability.dashboard.review import action_items, load_review, shared_meeting
from observability.dashboard.review.fleet import frozen_scope
from observability.dashboard.review.review import ReviewPage, agenda_record, form_turn, next_form_turn
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import link_button, note_line, plain_caption, plain_paragraph, save_records, utc_midnight
from observability.export.review import ENDS, item_title
from observability.metrics.performance import HEADLINE
from observability.records import values
from observability.review import agenda_figures, meeting
from observability.review.action_items import CLOSED
from observability.review.agenda import Item
from observability.review.incident_items import FIRST_WEEK

COLUMNS = (
    column("place", "", width="2rem"),
    column("what", "What", wide=True),
    column("model", "Model", width="9rem", phone=False),
    column("end", "Outcome", width="12rem", min_width="8rem"),
    column("act", "", width="4rem", phone=False),
)
KEYS = {"a": "act", "w": "watch", "c": "accept"}
"""For each key of the keyboard, the outcome that is already chosen when the key opens an item."""
OPENED = "agenda-item-opened"
"""Session key that is set when the keyboard opened an item."""
NOTE_VERBS = {"pin": "Pinned", "unpin": "Removed", "rank": "Ranked again", "add": "Added", "reopen": "Reopened", "note": "Note"}


def agenda_step(room: ReviewPage) -> None:
    """Draw the agenda, and a form for the chosen item."""
    shared_meeting.shared_part(room, "agenda", _agenda_tables)
    known = {item.item: item for item in (*room.agenda.items, *room.agenda.folded)}
    titles = {key: item_title(item.models, _short_title(item)).replace("`", "") for key, item in known.items()}
    missing = "The link names an item that is not in this week."
    chosen = address_selectbox(
        "item", "Open an item", list(known), words=lambda key: titles.get(key, key), placeholder="Choose an item", missing=missing
    )
    if chosen in known:
        _edit_agenda_item(room, known[chosen])
    if room.is_open:
        _add_item_form(room)


def _agenda_tables(room: ReviewPage) -> None:
    """Draw the items of the agenda, the actions agreed so far, and the items that are not on the agenda."""
    if st.session_state.pop(OPENED, False):
        st.rerun()  # the form of the item is outside of this part
    agenda = room.agenda
    if any(FIRST_WEEK in item.reasons for item in agenda.items):
        st.caption(FIRST_WEEK)
    if agenda.items:
        rows = [_agenda_row(room, item, place) for place, item in enumerate(agenda.items, 1)]
        if room.is_open:
            draw_table(
                "agenda", "Agenda", COLUMNS, rows, large=True, on_act=lambda found, does: _begin_outcome(room, found[0], does), keys=KEYS
            )
        else:  # nothing can be decided, so the table has no buttons and no keys
            draw_table("agenda", "Agenda", COLUMNS[:-1], rows, large=True)
    elif unknown := sum(part["severity"] == "unknown" for part in room.body["models"]):
        words = f"nothing needs attention this week, but {formatting.plural(unknown, 'model')} could not be judged"
        st.markdown(f"{formatting.status_label('unknown')}: {words}.")
    else:
        st.markdown(f"{formatting.status_label('ok')}: nothing needs attention this week.")
    if agreed := load_review.agreed_actions(room.review):
        action_items.actions_table("agenda-actions", "Actions of this review", agreed)
    if agenda.folded:
        with st.expander(f"Not on the agenda: {formatting.plural(len(agenda.folded), 'item')}", icon=":material/unfold_more:"):
            rows = [_agenda_row(room, item, None) for item in agenda.folded]
            draw_table("folded", "Items not on the agenda", COLUMNS[:-1], rows, compact=True)


def _short_title(item: Item) -> str:
    """The short title of an item: for an incident its claim, for any other item the whole title."""
    return incidents.short_claim(item.title) if item.sort == "incident" else item.title


def _agenda_row(room: ReviewPage, item: Item, place: int | None) -> dict[str, Any]:
    """The table row of one agenda item: its reasons, its outcome and the link to it."""
    end = room.ended.get(item.item)
    flag = f"Undecided for {item.weeks} weeks. " if item.overdue and not end else ""
    pinned = "Pinned. " if item.item in room.agenda.pinned else ""
    outcome: Cell = {"t": formatting.DASH}
    if end:
        action = next((known for known in load_review.agreed_actions(room.review) if known["action"] == end.get("action")), None)
        said = f"{end['author']}{': ' + end['text'] if end.get('text') else ''}"
        outcome = {"t": ENDS[end["does"]], "sub": f"{end['text']}\n{meeting.who_and_when(action)}" if action else said}
    reasons = [*(each for each in item.reasons if each != FIRST_WEEK), shared_meeting.open_now_words(room, item.item)]
    target = {
        **links.link_cell(_short_title(item), "review", None, review=room.review, item=item.item),
        "title": item.title.replace("`", ""),
    }
    return table_row(
        place=str(place) if place else "",
        what={"s": item.shown_severity, **target, "sub": f"{flag}{pinned}{' '.join(filter(None, reasons))}"},
        model=", ".join(item.models) or None,
        end=outcome,
        act={"act": item.item, "t": f"Act on item {place}"} if place else None,
        selected=st.query_params.get("item") == item.item,
    )


def _edit_agenda_item(room: ReviewPage, item: Item) -> None:
    """Draw one item with its notes, and the forms that arrange, close and comment on it."""
    with st.container(border=True):
        short = _short_title(item)
        st.subheader(formatting.sentence_markdown(short), anchor=False)
        whole = [] if short.rstrip(".") == item.title.rstrip(".") else [item.title]
        plain_caption(" ".join([*whole, *(each for each in item.reasons if each != FIRST_WEEK)]))
        _item_figure(room, item)
        _evidence_links(room, item)
        shared_meeting.shared_part(room, "item", lambda now: _item_notes(now, item))
        if room.author is None:
            st.caption(room.read_only_words)
            return
        _arrange_item(room, item)
        _outcome_form(room, item)
        _remark_form(room, item)


def _item_notes(room: ReviewPage, item: Item) -> None:
    """Draw the notes and decisions about an item, and the people who have it open now."""
    for note in room.said:
        if note["item"] == item.item:
            verb = ENDS.get(note["does"]) or NOTE_VERBS[note["does"]]
            note_line(note["at"], note["author"], verb, note.get("text") or "", strong=True)
    shared_meeting.open_now_line(room, item.item)


def _item_figure(room: ReviewPage, item: Item) -> None:
    """Draw the frozen figures of an item: the metric by day with its comparison band, and sentences about the comparison and the worst
    slice.
    """
    figure = agenda_figures.item_figure(room.body, item)
    if figure is None:
        return
    if len(figure.days) > 1:
        days, finding = incident_page.days_frame(figure.days), figure.finding
        onset = datetime.fromisoformat(finding["onset"]) if finding["onset"] else None
        drawn = charts_incident.incident_line(
            days,
            name=figure.title,
            unit=finding["unit"],
            of_label=load.label_unit(figure.model),
            limit=figure.limit,
            severity=finding["severity"],
            baseline=figure.baseline,
            baseline_name=findings.BASELINES[finding["against"]],
            band=figure.band,
            onset=onset,
        )
        alt = f"{figure.title} of {figure.model} by day. {figure.comparison}"
        frame.chart_with_table(drawn, days, key="item-days", alt=alt, metrics=(finding["metric"],))
    plain_paragraph(" ".join(filter(None, (figure.comparison, figure.worst_words))))


def _evidence_links(room: ReviewPage, item: Item) -> None:
    """Draw links to the live pages of the item in the frozen dates, for each of its models. An item without a model has links for all
    models.
    """
    own = links.analyzer_page(item.about.get("analyzer", "")) or "model"
    pages = {own: "Open the page", "model": "Open the model", "findings": "Findings"}
    for model in (name for name in item.models or (None,) if name is None or room.model(name) is not None):
        scope, of = frozen_scope(room, model), f" ({model})" if len(item.models) > 1 else ""
        with st.container(horizontal=True, gap="small"):
            if incident := item.of(model).get("incident"):
                link_button(f"Open the incident{of}", links.link_cell("", "incident", scope, id=incident), key=f"go-incident-{model}")
            for page, label in pages.items():
                if model is None and page == "model":
                    continue
                link_button(f"{label}{of}", links.link_cell("", page, scope), key=f"go-{page}-{model}")


def _arrange_item(room: ReviewPage, item: Item) -> None:
    """Pin an item, remove it, rank it again, or reopen it."""
    agenda = room.agenda
    offered = {
        "rank": ("Rank again", "undo", item.item in agenda.pinned | agenda.removed and item.sort != "added"),
        "unpin": ("Remove from the agenda", "keep_off", item in agenda.items),
        "pin": ("Pin", "keep", item.item not in agenda.pinned),
        "reopen": ("Reopen", "undo", item.item in room.ended),
    }
    with st.container(horizontal=True, gap="small"):
        for does, (label, icon, possible) in offered.items():
            if possible and st.button(label, icon=f":material/{icon}:", type="tertiary", key=does):
                cancelled = _cancelled_action(room, item, "The item was reopened.") if does == "reopen" else []
                if save_records([agenda_record(room, item.item, does), *cancelled]):
                    st.rerun()


def _outcome_form(room: ReviewPage, item: Item) -> None:
    """Draw the form for the outcome of an item: accept, watch or act. The outcome act records an action with owner, due date and target
    metric. The boxes are empty after each save.
    """
    week = Week.parse(room.body["week"])
    form = f"finish-{room.review}-{item.item}"
    key = f"{form}-{form_turn(form)}"
    does = st.segmented_control("Outcome", list(ENDS), format_func=str.capitalize, **draft_arguments(f"does-{key}"))
    if does is None:
        return
    acts = does == "act"
    words = st.text_area("Action" if acts else "Note", max_chars=4000, **draft_arguments(f"text-{key}"))
    more: dict[str, Any] = {}
    if acts:
        model = item.model
        if len(item.models) > 1:
            model = st.selectbox("Model of the target metric", item.models, **draft_arguments(f"model-{key}", model, item.models))
        task = next((part.get("task") for part in room.body["models"] if part["model"] == model), None)
        names = _movable_metrics(room.finding(item.of(model).get("finding")), task)
        left, middle, right = st.columns(3)
        owner = left.text_input("Owner", max_chars=80, **draft_arguments(f"owner-{key}", _model_owner(room, model))).strip()
        due = middle.date_input("Due", **draft_arguments(f"due-{key}", (max(week.end, load.page_clock()) + timedelta(days=7)).date()))
        box = draft_arguments(f"metric-{key}", names[0], names)
        metric = right.selectbox("Target metric", names, format_func=formatting.metric_title, **box)
        goal = left.number_input("Goal (optional)", value=None, format="%g", **draft_arguments(f"goal-{key}"))
        more = {"model": model, "owner": owner, "due": utc_midnight(due), "metric": metric, "goal": goal}
    if st.button("Save", icon=":material/save:", key=f"keep-{key}"):
        if acts and not words.strip():
            st.warning("Describe the action.")
            return
        if save_records(_outcome_records(room, item, does, words.strip(), more)):
            next_form_turn(form)
            st.rerun()


def _begin_outcome(room: ReviewPage, item: str, does: str) -> None:
    """Open an item, with this outcome already chosen in its form."""
    st.session_state[OPENED] = True
    st.query_params["item"] = item
    form = f"finish-{room.review}-{item}"
    for name in ("does", "draft-does"):
        st.session_state[f"{name}-{form}-{form_turn(form)}"] = does


def _remark_form(room: ReviewPage, item: Item) -> None:
    """Draw the form that adds a note to an item without closing it. The box is empty after each save; notes of other people do not change
    it.
    """
    form = f"remark-{room.review}-{item.item}"
    turn = form_turn(form)
    with st.expander("Add a note", icon=":material/chat:"):
        words = st.text_area("Note", max_chars=4000, **draft_arguments(f"{form}-{turn}"))
        sent = st.button("Add", icon=":material/add:", key=f"add-{form}-{turn}") and words.strip()
        if sent and save_records([agenda_record(room, item.item, "note", text=words.strip())]):
            next_form_turn(form)
            st.rerun()


def _outcome_records(room: ReviewPage, item: Item, does: str, words: str, more: dict[str, Any]) -> list[dict[str, Any]]:
    """The records that close an item: its outcome with a new action, or its outcome with the cancellation of the earlier action."""
    if does != "act":
        return [agenda_record(room, item.item, does, text=words), *_cancelled_action(room, item, "The item was closed differently.")]
    action = values.new_record_id()
    of = item.of(more.get("model"))
    about = {name: of.get(name) for name in ("incident", "finding", "slice")}
    made = {"kind": "action", "action": action, "author": room.author, "text": words, "model": item.model, "review": room.review}
    return [agenda_record(room, item.item, "act", text=words, action=action), made | about | more]


def _cancelled_action(room: ReviewPage, item: Item, reason: str) -> list[dict[str, Any]]:
    """The record that cancels the open action of an item; empty if it has no open action."""
    end = room.ended.get(item.item)
    action = load_review.actions_by_id().get(str(end.get("action"))) if end else None
    if action is None or action.state in CLOSED:
        return []
    return [{"kind": "action", "action": action.id, "author": room.author, "state": "cancelled", "reason": reason}]


def _model_owner(room: ReviewPage, model: str | None) -> str:
    """The owner of a model; empty if there is none."""
    part = room.model(model)
    return str(part["owner"] or "") if part else ""


def _movable_metrics(finding: dict[str, Any] | None, task: str | None) -> list[str]:
    """The metrics that an action could target: first the finding's metric, then the main metric of the model's task, then all others."""
    likely = (finding["metric"] if finding else None, HEADLINE.get(task or ""))
    return list(dict.fromkeys([*(metric for metric in likely if metric in METRICS), *METRICS]))


def _add_item_form(room: ReviewPage) -> None:
    """Draw the form that adds an item that no analyzer found."""
    with st.expander("Add an item", icon=":material/add:"):
        if room.author is None:
            st.caption(room.read_only_words)
            return
        turn = form_turn(f"add-{room.review}")
        key = f"add-item-{room.review}-{turn}"
        names = [each["model"] for each in room.body["models"]]
        words = st.text_input("Topic", max_chars=400, **draft_arguments(f"{key}-words"))
        model = st.selectbox("Model", names, index=None, placeholder="None", **draft_arguments(f"{key}-model", among=names))
        if st.button("Add", icon=":material/add:", key=key) and words.strip():
            record = agenda_record(room, f"added:{values.new_record_id()}", "add", text=words.strip(), model=model)
            if save_records([record]):
                next_form_turn(f"add-{room.review}")
                st.rerun()
