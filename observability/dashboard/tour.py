"""The tour of the sample: five steps in the sidebar, each about one page. The browser remembers whether the reader closed the tour."""

from typing import Any

import streamlit as st

from observability.core.catalog import Model
from observability.dashboard import links, load
from observability.dashboard.components import page_component
from observability.dashboard.scope import Scope

FIRST = {"t": "Tour"}
STEPS = (
    ("health", "All models", "One row per model: status, traffic, latency, inputs, outcomes, fairness and cost. Below, the incidents."),
    (
        "model",
        "One model",
        "Is it up, are its inputs normal, is it right, is it fair, what does it cost, what changed? Each answer has a chart.",
    ),
    (
        "incident",
        "One incident",
        "Findings of one fault are one incident: since when, the suspected source, what changed before it, who owns it.",
    ),
    ("cases", "One prediction", "Find a wrong prediction and see its inputs, what pushed its score, its label, and errors like it."),
    ("review", "The week", "A meeting on one page: frozen figures, the agenda by importance, decisions, and actions with owners."),
)
"""Page, title and text of each step."""


def draw_tour() -> None:
    """Draw the tour in the sidebar, if the store holds the sample."""
    sample = [model for model in load.catalog().models if model.sample and model.task]
    if sample:
        with st.sidebar:
            page_component("tour")(key="tour", data=tour_steps(sample), on_go_change=_follow_step)


def tour_steps(models: list[Model]) -> dict[str, Any]:
    """The steps of the tour with their links. Steps about one model use the first of these models that has an artifact (a model file), else
    the first model.
    """
    shown = next((model for model in models if any(version.artifact for version in model.versions)), models[0])
    steps = []
    for page, title, text in STEPS:
        scope = Scope(model=shown.name if page in ("model", "cases") else None)
        steps.append({**links.link_cell(title, page, scope), "text": text})
    return {"caption": "Tour of the sample", "again": "Tour of the sample", "first": FIRST, "steps": steps}


def _follow_step() -> None:
    if target := st.session_state["tour"].go:
        links.follow_link(target)
