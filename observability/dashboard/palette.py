"""The command palette (Ctrl or Command K): recent views, pages, models, features, incidents, actions, time ranges, and cases by id.

The button stands in the scope bar; the dialog is drawn in the browser (observability/dashboard/assets/palette.js). Entries that are found
quickly are sent with every page. Features and incidents are sent only after the palette was opened, because incidents may take seconds to
find.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from observability.core.errors import ObservabilityError
from observability.dashboard import favourites, links, load, load_findings, menu, read_incidents, recent_views, start_page, time_zone
from observability.dashboard.case import find_case
from observability.dashboard.components import page_component
from observability.dashboard.figure_capture import WITHOUT_SHARING
from observability.dashboard.frame import ask_to_share, view_target
from observability.dashboard.scope import SPANS, Scope, scope_from_state

MAX_OFFERED = 2_000
"""Maximum number of features, and of incidents, that are offered; a model may have ten thousand columns."""
MAX_ACTIONS = 200
"""Maximum number of actions that are offered, open ones first. It is limited because they are sent with every page."""
Item = dict[str, Any]


@st.fragment
def draw_palette(page: str, summary: str) -> None:
    """Draw the palette's button. page: the page that is shown. summary: the scope in words, which a phone shows instead of the boxes."""
    state = st.session_state
    scope = scope_from_state(state)
    opened = bool(state.pop("palette-opened", False))
    here = view_target(page, scope)
    recent_views.note_view(here)
    items = [
        *recent_view_items(recent_views.recent_views()[1:]),
        *shared_view_items(),
        *model_items(page, scope, state.get("recent-models", [])),
        *page_items(scope),
        *action_items(),
        *time_range_items(page, scope),
    ]
    if opened:
        items += [*feature_items(scope), *incident_items(scope)]
    data = {"items": items, "full": opened, "summary": summary, "shortcuts": page_shortcuts(scope), "here": here}
    data |= {"keys": key_rows(), "share": page not in WITHOUT_SHARING, "cookies": changed_cookies(), "opened": state.get("palette-opening")}
    answers = {"on_open_change": _mark_opened, "on_go_change": _follow, "on_find_change": _find, "on_share_change": _mark_share}
    page_component("palette")(key="palette", data=data, width="content", **answers)
    if (name := state.pop("palette-share", None)) is not None:
        ask_to_share(name)
        st.rerun()


def changed_cookies() -> dict[str, Any]:
    """Return the values that the browser keeps and that this session changed, by the name of their cookie."""
    kept: dict[str, Any] = {favourites.COOKIE: favourites.changed_cookie(), start_page.COOKIE: start_page.changed_start_page()}
    kept |= {read_incidents.COOKIE: read_incidents.changed_marks(), time_zone.COOKIE: time_zone.changed_zone()}
    return {name: value for name, value in kept.items() if value is not None}


def shared_view_items() -> list[Item]:
    """Return the views that people shared, each of which opens its page in its scope; none if they cannot be read."""
    from observability.dashboard.boards.shared_views import visible_views

    try:
        views = visible_views()
    except ObservabilityError:
        return []
    return [palette_item("Shared views", view.name, view.link, view.author) for view in views]


def palette_item(kind: str, text: str, cell: Item, hint: str = "") -> Item:
    """Return one line of the palette. cell: the link that the line follows. hint: the grey text beside the line."""
    return {"kind": kind, "t": text, "hint": hint, "go": cell["go"]}


def recent_view_items(views: Sequence[dict[str, Any]]) -> list[Item]:
    """Return the views of this session as they were left: the page, with its subject as the hint."""
    files = links.page_files()
    known = [view for view in views if view["page"] in files]
    abouts = [[str(view["parameters"].get(key) or "") for key in recent_views.TOLD_APART] for view in known]
    hints = [" · ".join(filter(None, about)) for about in abouts]
    return [
        palette_item("Recent", links.page_description(files[view["page"]])[0], {"go": view}, hint)
        for view, hint in zip(known, hints, strict=True)
    ]


def model_items(page: str, scope: Scope, recent: Sequence[str]) -> list[Item]:
    """Return every model, first favourites and then those viewed in this session. Each opens this page for the model if the page is about
    one model, else the overview of the model.
    """
    target = page if links.is_model_page(page) else "model"
    ordered = favourites.favourites_first(load.offered_models(scope.model), list(recent))
    hints = dict.fromkeys(recent, "viewed recently") | dict.fromkeys(favourites.favourite_models(), "★ favourite")
    return [palette_item("Models", name, links.link_cell("", target, scope.about(name)), hints.get(name, "")) for name in ordered]


def page_items(scope: Scope) -> list[Item]:
    """Every page once, with the entry of the menu that it belongs to."""
    found = []
    for name, path in links.page_files().items():
        entry = menu.entry_of_page(name, scope.model).label
        title = links.page_description(path)[0]
        found.append(palette_item("Pages", title, links.link_cell("", name, scope), entry if entry != title else ""))
    return found


def time_range_items(page: str, scope: Scope) -> list[Item]:
    """Return the relative windows, each of which opens this page."""
    spans = [span for span in SPANS if span != "dates"]
    return [
        palette_item("Time range", SPANS[span], links.link_cell("", page, replace(scope, span=span, start=None, end=None)))
        for span in spans
    ]


def feature_items(scope: Scope) -> list[Item]:
    """Return the features of the scope's model, each of which opens its drift."""
    model = next((model for model in load.catalog().models if model.name == scope.model), None)
    if model is None:
        return []
    names = sorted({column.name for column in model.columns})[:MAX_OFFERED]
    return [palette_item("Features", name, links.link_cell("", "drift", scope, feature=name), model.name) for name in names]


def incident_items(scope: Scope) -> list[Item]:
    """Return the incidents of the scope's model in its window, or of all models, worst first; none if they cannot be found.

    If a model is chosen, incidents of other models are left out, because finding them may take seconds.
    """
    from observability.dashboard.overview import incidents

    try:
        found = load_findings.scope_report(scope).incidents[:MAX_OFFERED]
    except ObservabilityError:
        return []
    cells = [(incident, incidents.inbox_row(incident, [incident.model or ""], scope)["cells"]["what"]) for incident in found]
    return [palette_item("Incidents", cell["t"].replace("`", ""), cell, incident.model or "") for incident, cell in cells]


def action_items() -> list[Item]:
    """Return the actions that people agreed on, open ones first; none if they cannot be read. Each opens its review, its incident or the
    list of actions.

    Action items are stored entries, so no finding is computed for this list.
    """
    from observability.dashboard.review import action_items as listed
    from observability.dashboard.review import load_review

    try:
        actions = load_review.all_actions()[:MAX_ACTIONS]
    except ObservabilityError:
        return []
    hints = [" · ".join(filter(None, (action["model"], action["owner"], action["stage"]))) for action in actions]
    cells = [listed.action_link(action, linked=True) for action in actions]
    to_list = links.link_cell("", "actions")
    return [palette_item("Actions", cell["t"], cell if "go" in cell else to_list, hint) for cell, hint in zip(cells, hints, strict=True)]


def page_shortcuts(scope: Scope) -> list[Item]:
    """Return the pages that are opened with `g` and a letter: the letter, the words, and the target of the link."""
    keys = {"h": "Home", "m": "Models", "i": "Investigate", "r": "Review", "a": "Alerts and rules"}
    rows = {row["t"]: row for row in menu.menu_rows(scope)}
    return [{"key": key, "t": label, "go": rows[label]["go"]} for key, label in keys.items()]


def key_rows() -> list[Item]:
    """Return the keys of lists, of a review and of labelling, and what they do. The keys for incidents and for the agenda are read from the
    modules of their pages.
    """
    from observability.dashboard.overview import incident_actions
    from observability.dashboard.review import agenda

    rows = {"j k": "Next and previous row of a list", "Enter": "Open the row", "x": "Select the incident"}
    rows |= {key: f"{incident_actions.ACTIONS[does]} the incident" for key, does in incident_actions.KEYS.items()}
    rows[read_incidents.KEY] = "Mark the incident as read or unread"
    rows |= {" ".join(agenda.KEYS): f"Item of the agenda: {', '.join(agenda.KEYS.values())}", "← →": "Previous and next step of a review"}
    return [{"key": key, "t": words} for key, words in (rows | {"1 … 9": "Label of the item", "0": "Skip the item"}).items()]


def _mark_opened() -> None:
    """Record that the palette was opened; called on opening. The next run of its fragment sends all entries, and all later runs send the
    number of the opening.
    """
    st.session_state.update({"palette-opened": True, "palette-opening": st.session_state["palette"].open})


def _follow() -> None:
    """Open the page of the chosen line."""
    if target := st.session_state["palette"].go:
        links.follow_link(target)


def _mark_share() -> None:
    """Record that the view is to be shared under the typed name. The next run of the fragment then asks the shell for the dialog."""
    st.session_state["palette-share"] = str(st.session_state["palette"].share or "")


def _find() -> None:
    """Open the case of the typed id, or the search for it."""
    find_case.open_typed_case(str(st.session_state["palette"].find or ""))
