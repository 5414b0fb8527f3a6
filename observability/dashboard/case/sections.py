"""The sections of a case below its first screen: a row of links that stays visible, and the opened section.

Only the opened section is computed and drawn. The address names it (`section=label`), so links and the browser's back button lead to it.
Addresses that end with the anchor of an earlier layout (`#conclude`) lead to the part that now has that content.
"""

from collections.abc import Callable

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard.case import (
    case,
    conclude,
    decision_boundary,
    explanation,
    inputs,
    label,
    load_case,
    map_of_predictions,
    similar_errors,
    versions,
)
from observability.dashboard.case.case import CasePage
from observability.dashboard.charts import case as charts_case
from observability.dashboard.choice_box import link_warning
from observability.dashboard.components import page_component
from observability.investigation.evidence_types import ErrorRule, LabelCheck
from observability.investigation.label_types import with_unit
from observability.investigation.latent_inputs import latent_bars_together

Word = tuple[str, str]
"""A word or two, and their colour: `act`, `watch`, `ok`, or "" for grey."""
FIRST = "inputs"
PARAMETER = "section"
MOVED = {"happened": "said", "take": "said", "conclude": ""}
"""Where the content of earlier anchors is now: a section, or "" for the first screen."""


def opened_section() -> str:
    """The section that the address names. If it names none, the decision boundary if the address has changed values, else the inputs."""
    named = st.query_params.get(PARAMETER) or ""
    if named in SECTIONS:
        return named
    if named:
        link_warning(f"A case has no section {named[:40]}; its sections are {', '.join(SECTIONS)}.")
    return "edge" if st.query_params.get("what_if") else FIRST


@st.fragment
def sections_of_case(here: CasePage) -> None:
    """Draw the row of sections and the opened section. A click on another section reruns only this part."""
    opened = opened_section()
    key = here.key("sections")

    def follow() -> None:
        wanted = st.session_state[key].go
        if wanted in SECTIONS:
            st.query_params[PARAMETER] = wanted

    rows = []
    for anchor, (title, word, _) in SECTIONS.items():
        words, colour = _section_word(here, word)
        rows.append({"to": anchor, "name": title, "word": words, "s": colour, "href": here.local_address(**{PARAMETER: anchor})})
    leads = {**{name: name for name in SECTIONS}, **MOVED}
    data = {"caption": "Sections of this case", "rows": rows, "opened": opened, "leads": leads}
    page_component("sections")(key=key, data=data, on_go_change=follow)
    with st.container(key="case-section"):  # as tall as the window, so that the row of sections stays at the top even if a section is short
        SECTIONS[opened][2](here)


def _section_word(here: CasePage, word: Callable[[CasePage], Word]) -> Word:
    """The word of a section. If it cannot be computed, the word says so and the other sections are not affected."""
    try:
        return word(here)
    except Exception:
        return "not available", ""


def _inputs_word(here: CasePage) -> Word:
    """The number of flagged inputs."""
    held = here.part("inputs")
    if held is None:
        return "not available", ""
    odd = sum(value.flagged for value in held)
    return (f"{odd} flagged", "watch") if odd else ("none flagged", "ok")


def _attribution_word(here: CasePage) -> Word:
    """The feature with the largest attribution."""
    held = explanation.session_contrasts(here)
    found = held.average if held else load_case.known_contrast(here.opened)
    if found is None or not found.bars:
        return ("not computed" if here.row.version.artifact else "not available"), ""
    first = latent_bars_together(found.bars)[0]
    return f"{first.feature[:40]} {charts_case.signed_number(first.attribution)}", ""


def _margin_word(here: CasePage) -> Word:
    """The margin to another decision."""
    try:
        near = load_case.case_margin(here.opened)
    except ObservabilityError:
        return "not available", ""
    if near.margin != near.margin:
        return "unknown", ""
    if here.row.model.task == "regression":
        return f"within {with_unit(here.row.model, formatting.format_number(abs(near.margin)))}", ""
    return f"margin {formatting.format_number(abs(near.margin))}", ""


def _label_word(here: CasePage) -> Word:
    """Whether the label is suspect."""
    check: LabelCheck | None = here.part("label_check")
    if here.row.label is None:
        return "none yet", ""
    if check is None:
        return "not available", ""
    if check.suspect:
        return (check.standing, "") if check.measured else ("suspect", "watch")
    return ("inconclusive", "") if check.unclear else ("plausible", "ok")


def _pattern_word(here: CasePage) -> Word:
    """The error rate of similar predictions, if they form a pattern of errors."""
    rule: ErrorRule | None = here.part("rule")
    if rule is None:
        return "no rule", ""
    return (
        (f"{formatting.format_share(rule.rate)} wrong", "watch") if rule.clear else ("no clear pattern" if rule.weak else "no pattern", "")
    )


def _versions_word(here: CasePage) -> Word:
    """The number of other versions."""
    others = len(here.row.model.versions) - 1
    return (formatting.plural(others, "other") if others > 0 else "no other"), ""


def _entries_word(here: CasePage) -> Word:
    """The number of verdicts and actions."""
    name = here.row.model.name, here.row.id
    n = len(load_case.case_verdicts(*name)) + len(load_case.case_actions(*name))
    return (formatting.plural(n, "entry", "entries") if n else "none yet"), ""


def _draw_inputs(here: CasePage) -> None:
    """Draw the inputs and the findings of that day's checks."""
    case.case_section("Input checks", lambda: inputs.inputs_section(here), anchor="inputs")
    case.draw_guarded("Findings of that day", lambda: inputs.findings_of_that_day(here))


def _draw_similar(here: CasePage) -> None:
    """Draw the rule of similar errors, and the error tree."""
    case.case_section("Similar errors", lambda: similar_errors.error_rule_section(here), anchor="alike")
    map_of_predictions.map_link(here, "map-alike")
    case.case_section("Error tree", lambda: similar_errors.error_tree_section(here))


def _draw_nearby(here: CasePage) -> None:
    """Draw the decision boundary, and a link to the map of predictions around the case."""
    title = "Decision boundary" if here.row.model.classes else "Nearby scores"
    case.case_section(title, lambda: decision_boundary.boundary_section(here), anchor="edge")
    map_of_predictions.map_link(here, "map-nearby")


def _draw_history(here: CasePage) -> None:
    """Draw the timeline and the earlier conclusions."""
    case.case_section("Timeline", lambda: case.case_timeline(here), anchor="happened")
    case.case_section("Earlier conclusions", lambda: conclude.earlier_conclusions(here), anchor="said")


SECTIONS: dict[str, tuple[str, Callable[[CasePage], Word], Callable[[CasePage], None]]] = {
    "inputs": ("Inputs", _inputs_word, _draw_inputs),
    "why": (
        "Why",
        _attribution_word,
        lambda here: case.case_section("Why this score?", lambda: explanation.explanation_section(here), anchor="why"),
    ),
    "edge": ("Nearby", _margin_word, _draw_nearby),
    "label": ("Label", _label_word, lambda here: case.case_section("Label check", lambda: label.label_section(here), anchor="label")),
    "alike": ("Like this", _pattern_word, _draw_similar),
    "versions": (
        "Versions",
        _versions_word,
        lambda here: case.case_section("Other versions", lambda: versions.versions_section(here), anchor="versions"),
    ),
    "said": ("History", _entries_word, _draw_history),
}
"""The sections in order: anchor, and for each its name, its word and the function that draws it."""
