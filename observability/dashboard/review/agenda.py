"""The agenda: what to talk about, in which order, and how each item ends."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.metric_definitions import METRICS
from observability.core.weeks import Week
from observability.dashboard import links
from observability.dashboard.choice_box import choose
from observability.dashboard.drafts import held
from observability.dashboard.review import load_review
from observability.dashboard.review.fleet import scope_of
from observability.dashboard.review.review import Room, agenda_record, next_turn, say, turn_of
from observability.dashboard.table import column, row, table
from observability.export.review import ENDS
from observability.review.action_items import CLOSED
from observability.review.agenda import Item
from observability.store.ingest import record_writer

COLUMNS = (
    column("place", "", width="2rem"),
    column("what", "What", wide=True),
    column("model", "Model", width="9rem"),
    column("end", "Outcome", width="12rem"),
)
CHANGES = {"new": "new", "worse": "worse", "as before": "as last week", "better": "better", "due": "due"}


def draw(room: Room) -> None:
    """The agenda and, under it, the item somebody works on."""
    agenda = room.agenda
    if not agenda.items:
        st.markdown(f"{formatting.status('ok')}: nothing needs a person this week.")
    else:
        table("agenda", "Agenda", COLUMNS, [as_row(room, each, place) for place, each in enumerate(agenda.items, 1)], large=True)
    if agenda.folded:
        with st.expander(f"Folded: {formatting.plural(len(agenda.folded), 'more item')}", icon=":material/unfold_more:"):
            table("folded", "Items that are not on the agenda", COLUMNS, [as_row(room, each, None) for each in agenda.folded], compact=True)
    known = {each.item: each for each in (*agenda.items, *agenda.folded)}
    chosen = choose(
        "item", "Work on an item", list(known), words=lambda key: f"{', '.join(known[key].models)}: {known[key].title}".replace("`", "")[:120] if key in known else key,
        placeholder="Choose an item", missing="The link names an item that is not in this week.",
    )  # fmt: skip
    if chosen in known:
        work_on(room, known[chosen])
    add(room)


def as_row(room: Room, item: Item, place: int | None) -> dict[str, Any]:
    """One item."""
    end = room.ended.get(item.item)
    flag = f"Undecided for {item.weeks} weeks. " if item.overdue and not end else ""
    pinned = "Pinned. " if item.item in room.agenda.pinned else ""
    return row(
        {
            "place": {"t": str(place) if place else ""},
            "what": {"s": item.severity, **links.link(item.title, "review", None, review=room.review, item=item.item), "sub": f"{flag}{pinned}{' '.join(item.reasons)}"},
            "model": {"t": ", ".join(item.models) or formatting.DASH},
            "end": {"t": ENDS[end["does"]], "sub": f"{end['author']}{': ' + end['text'] if end.get('text') else ''}"} if end else {"t": formatting.DASH},
        },
        selected=st.query_params.get("item") == item.item,
    )  # fmt: skip


def work_on(room: Room, item: Item) -> None:
    """One item with what was said about it, and the form that ends it."""
    with st.container(border=True):
        st.subheader(formatting.sentence(item.title), anchor=False)
        st.caption(formatting.plain(" ".join(item.reasons)))
        evidence(room, item)
        notes = [each for each in room.said if each["item"] == item.item]
        for each in notes:
            words = f": {formatting.plain(each['text'])}" if each.get("text") else ""
            st.markdown(
                f":gray[{formatting.plain(formatting.minute(each['at']))} {formatting.plain(each['author'])}] **{formatting.plain(said_word(each['does']))}**{words}"
            )
        if room.author is None:
            st.caption("Give your name above to write.")
            return
        arrange(room, item)
        finish(room, item)
        remark(room, item)


def said_word(does: str) -> str:
    """What somebody did with an item, in a word."""
    return (
        ENDS.get(does)
        or {"pin": "Pinned", "unpin": "Taken off", "rank": "Put back in its place", "add": "Added", "reopen": "Reopened", "note": "Note"}[
            does
        ]
    )


def evidence(room: Room, item: Item) -> None:
    """Links to what the item rests on, in each model that it concerns: the live page in the frozen dates."""
    analyzer = item.about.get("analyzer", "").rpartition("/")[2]
    page = analyzer if analyzer in links.page_files() else "model"
    for model in (each for each in item.models if room.model(each) is not None):
        scope, of = scope_of(room, model), f" ({model})" if len(item.models) > 1 else ""
        with st.container(horizontal=True, gap="small"):
            for label, name in (("Look at it", page), ("The model in that week", "model"), ("Its findings", "findings")):
                if name != page or label == "Look at it":
                    target = links.link(f"{label}{of}", name, scope)
                    st.button(
                        formatting.plain(target["t"]), type="tertiary", icon=":material/arrow_forward:", key=f"go-{label}-{model}", on_click=links.go,
                        args=(target["go"],),
                    )  # fmt: skip


def arrange(room: Room, item: Item) -> None:
    """Put on the agenda, take off, take either back, or open again."""
    agenda = room.agenda
    on, moved = item in agenda.items, item.item in agenda.pinned | agenda.removed
    with st.container(horizontal=True, gap="small"):
        if moved and item.sort != "added" and st.button("Put back in its place", icon=":material/undo:", type="tertiary", key="rank"):
            _ = say(room, [agenda_record(room, item.item, "rank")]) and st.rerun()
        if on and st.button("Take off the agenda", icon=":material/keep_off:", type="tertiary", key="unpin"):
            _ = say(room, [agenda_record(room, item.item, "unpin")]) and st.rerun()
        if item.item not in agenda.pinned and st.button("Pin", icon=":material/keep:", type="tertiary", key="pin"):
            _ = say(room, [agenda_record(room, item.item, "pin")]) and st.rerun()
        if item.item in room.ended and st.button("Open again", icon=":material/undo:", type="tertiary", key="reopen"):
            _ = say(room, [agenda_record(room, item.item, "reopen"), *given_up(room, item, "The item was opened again.")]) and st.rerun()


def finish(room: Room, item: Item) -> None:
    """Accept, watch or act, with owner, day, and the metric that it should move. The boxes are new ones once an outcome was kept."""
    week = Week.parse(room.body["week"])
    form = f"finish-{room.review}-{item.item}"
    turn = turn_of(form)
    does = st.segmented_control(
        "How does it end?",
        list(ENDS),
        format_func=lambda key: {"accept": "Accept", "watch": "Watch", "act": "Act"}[key],
        **held(f"does-{form}-{turn}"),
    )
    if does is None:
        return
    words = st.text_area("What was said" if does != "act" else "What has to be done", max_chars=4000, **held(f"text-{form}-{turn}"))
    more: dict[str, Any] = {}
    if does == "act":
        model = item.model
        if len(item.models) > 1:
            model = st.selectbox("Model whose metric it should move", item.models, **held(f"model-{form}-{turn}", model, item.models))
        names = metrics(room.finding(item.of(model).get("finding")))
        more["model"] = model
        left, middle, right = st.columns(3)
        more["owner"] = left.text_input("Owner", max_chars=80, **held(f"owner-{form}-{turn}", owner(room, model))).strip()
        due = middle.date_input("Until", **held(f"due-{form}-{turn}", (week.end + timedelta(days=7)).date()))
        more["due"] = datetime.combine(due, time(), tzinfo=UTC) if due else None
        more["metric"] = right.selectbox(
            "Metric it should move", names, format_func=formatting.metric_title, **held(f"metric-{form}-{turn}", names[0], names)
        )
        more["goal"] = left.number_input("Goal (may stay empty)", value=None, format="%g", **held(f"goal-{form}-{turn}"))
    if st.button("Keep", icon=":material/check:", key=f"keep-{form}-{turn}"):
        if does == "act" and not words.strip():
            st.warning("Say what has to be done.")
            return
        if say(room, records(room, item, does, words.strip(), more)):
            next_turn(form)
            st.rerun()


def remark(room: Room, item: Item) -> None:
    """Say something without ending the item. The box is a new one after each remark of this session; what others say meanwhile does not touch it."""
    form = f"remark-{room.review}-{item.item}"
    turn = turn_of(form)
    with st.expander("Add a remark", icon=":material/chat:"):
        words = st.text_area("Remark", max_chars=4000, **held(f"{form}-{turn}"))
        sent = st.button("Add", icon=":material/add:", key=f"add-{form}-{turn}") and words.strip()
        if sent and say(room, [agenda_record(room, item.item, "note", text=words.strip())]):
            next_turn(form)
            st.rerun()


def records(room: Room, item: Item, does: str, words: str, more: dict[str, Any]) -> list[dict[str, Any]]:
    """The records that end an item: its outcome and, where somebody acts, the action. Where it had ended in an action before and does not now, that is given up."""
    if does != "act":
        return [agenda_record(room, item.item, does, text=words), *given_up(room, item, "The item ended otherwise.")]
    action = record_writer.new_id()
    of = item.of(more.get("model"))
    about = {name: of.get(name) for name in ("incident", "finding", "slice")}
    made = {
        "kind": "action",
        "action": action,
        "author": room.author,
        "text": words,
        "model": item.model,
        "review": room.review,
        **about,
        **more,
    }
    return [agenda_record(room, item.item, "act", text=words, action=action), made]


def given_up(room: Room, item: Item, reason: str) -> list[dict[str, Any]]:
    """The record that gives up the action that an item had ended in; none where there is no such action, or it is closed."""
    end = room.ended.get(item.item)
    action = load_review.actions().get(str(end.get("action"))) if end else None
    if action is None or action.state in CLOSED:
        return []
    return [{"kind": "action", "action": action.id, "author": room.author, "state": "cancelled", "reason": reason}]


def owner(room: Room, model: str | None) -> str:
    """Who owns a model."""
    part = room.model(model)
    return str(part["owner"] or "") if part else ""


def metrics(finding: dict[str, Any] | None) -> list[str]:
    """Metrics that an action could move: that of the item first."""
    first = [finding["metric"]] if finding and finding["metric"] in METRICS else []
    return first + [each for each in METRICS if each not in first]


def add(room: Room) -> None:
    """Put something on the agenda that no analyzer found."""
    with st.expander("Add an item", icon=":material/add:"):
        if room.author is None:
            st.caption("Give your name above to write.")
            return
        turn = turn_of(f"add-{room.review}")
        key = f"add-item-{room.review}-{turn}"
        names = [each["model"] for each in room.body["models"]]
        words = st.text_input("What should be talked about?", max_chars=400, **held(f"{key}-words"))
        model = st.selectbox("Model", names, index=None, placeholder="None in particular", **held(f"{key}-model", among=names))
        if st.button("Add", icon=":material/add:", key=key) and words.strip():
            record = agenda_record(room, f"added:{record_writer.new_id()}", "add", text=words.strip(), model=model)
            if say(room, [record]):
                next_turn(f"add-{room.review}")
                st.rerun()
