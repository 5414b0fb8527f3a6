"""The menu of the sidebar, ordered by use, and the tabs of a page under the scope bar.

An entry has tabs. A tab has one or more pages, and opens the first of them. A page that no tab lists becomes a tab of the entry for its
folder. Findings, changes and training runs are about the chosen model, or about all models if none is chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import streamlit as st

from observability.dashboard import links
from observability.dashboard.components import page_component
from observability.dashboard.scope import Scope, scope_from_state

Tabs = Mapping[str, tuple[str, ...]]
"""Pages by the label of their tab; an empty label stands for the title of its page."""
MODELS = "Models"
TRAINING_PAGES = ("runs", "compare_runs", "distributed", "studies", "selection")


@dataclass(frozen=True, eq=False)
class MenuEntry:
    """One entry of the menu. about_model: whether its link keeps the chosen model. folders: folders whose pages become tabs of the entry if
    no tab lists them.
    """

    label: str
    icon: str
    tabs: Tabs
    about_model: bool = False
    folders: tuple[str, ...] = ()


ENTRIES = (
    MenuEntry(
        "Home",
        "home",
        {"Overview": ("health",), "Findings": ("findings",), "Changes": ("changes",), "Dashboards": ("dashboards",)},
        folders=("overview",),
    ),
    MenuEntry(
        MODELS,
        "deployed_code",
        {
            "Overview": ("model",),
            "Findings": ("findings",),
            "Performance": ("performance", "estimated_performance", "calibration", "why_changed", "compare"),
            "Drift": ("drift", "multivariate_drift"),
            "Quality": ("quality", "requests", "personal_data"),
            "Slices": ("slices",),
            "Explanations": ("explanations",),
            "Fairness": ("fairness",),
            "Audits": ("audits", "live_guard", "exports"),
            "Labels": ("labels",),
            "Serving": ("latency", "batch_gate", "vendors", "edge_fleet", "controllers"),
            "Cost": ("cost", "energy", "trade_offs"),
            "Training": TRAINING_PAGES,
            "Changes": ("changes",),
        },
        about_model=True,
        folders=("serving", "trust"),
    ),
    MenuEntry("Investigate", "manage_search", {"Find a case": ("cases",), "Map": ("prediction_map",), "Case": ("case",)}, about_model=True),
    MenuEntry("Review", "groups", {"Weekly review": ("review",), "Actions": ("actions",), "Programme": ("programme",)}),
    MenuEntry(
        "Data",
        "dataset",
        {"Datasets": ("datasets",), "Batches": ("batches",), "Devices": ("devices",), "Cleaning": ("cleaning",)},
        folders=("data",),
    ),
    MenuEntry("Labelling", "sell", {"Labelling": ("labelling",), "Label quality": ("label_quality",), "Annotate": ("annotate",)}),
    MenuEntry(
        "Training",
        "model_training",
        {
            "Runs": ("runs",),
            "Compare runs": ("compare_runs",),
            "Distributed": ("distributed",),
            "Studies": ("studies",),
            "Selection": ("selection",),
        },
        folders=("training",),
    ),
    MenuEntry("Lab", "science", {"Scenario lab": ("lab",)}, about_model=True),
    MenuEntry("Alerts and rules", "notifications", {"Alerts": ("alerts",), "Rules and settings": ("rules",)}, about_model=True),
    MenuEntry("Store", "database", {"Store": ("store",)}, folders=("operations", "developer")),
    MenuEntry("Add a model", "add_circle", {"Add a model": ("add_model",)}),
)


@cache
def entry_tabs(entry: MenuEntry) -> Tabs:
    """Return the tabs of an entry, including tabs for unlisted pages of its folders."""
    listed = {page for other in ENTRIES for pages in other.tabs.values() for page in pages}
    others = [path for name, path in links.page_files().items() if name not in listed and path.parent.name in entry.folders]
    return {**entry.tabs, **{links.page_description(path)[0]: (path.stem,) for path in others}}


def entry_of_page(page: str, model: str | None) -> MenuEntry:
    """The entry that a page belongs to."""
    found = [entry for entry in ENTRIES if any(page in pages for pages in entry_tabs(entry).values())]
    return next((entry for entry in found if (entry.label == MODELS) == (model is not None)), found[0])


def draw_menu(page: str) -> None:
    """Draw the menu in the sidebar. page: the page that is shown."""
    scope = scope_from_state(st.session_state)
    current = entry_of_page(page, scope.model).label
    with st.sidebar:
        _draw("menu", "Main menu", [[{**row, "current": row["t"] == current} for row in menu_rows(scope)]])


def menu_rows(scope: Scope) -> list[dict[str, Any]]:
    """Return the link of every entry from a page in this scope, with the entry's icon."""
    last = scope if scope.model else replace(scope, model=st.session_state.get("last-model"))
    scopes = {True: last, False: scope.about(None)}
    first = {entry.label: next(iter(entry.tabs.values()))[0] for entry in ENTRIES}
    return [{**links.link_cell(entry.label, first[entry.label], scopes[entry.about_model]), "icon": entry.icon} for entry in ENTRIES]


def draw_tabs(page: str) -> None:
    """Draw the tabs of a page's entry, and below them the pages of the current tab, if there are several."""
    scope = scope_from_state(st.session_state)
    tabs = entry_tabs(entry_of_page(page, scope.model))
    current = next(pages for pages in tabs.values() if page in pages)
    rows = [[{**links.link_cell(label, pages[0], scope), "current": pages is current} for label, pages in tabs.items()]]
    titles = {name: links.page_description(links.page_files()[name])[0] for name in current}
    rows.append([{**links.link_cell(title, name, scope), "current": name == page} for name, title in titles.items()])
    shown = [row for row in rows if len(row) > 1]
    if shown:
        with st.container(key=f"page-tabs-{len(shown)}"):  # page.css keeps the height of this container while the script of the tabs loads
            _draw("tabs", "Pages of this part", shown)


def _draw(key: str, caption: str, lists: list[list[dict[str, Any]]]) -> None:
    """Draw lists of links. caption: for screen readers."""

    def follow() -> None:
        if target := st.session_state[key].go:
            links.follow_link(target)

    data = {"caption": caption, "kind": key, "lists": lists}
    page_component("menu")(key=key, data=data, on_go_change=follow, on_scheme_change=lambda: None)  # a change of theme needs only a rerun
