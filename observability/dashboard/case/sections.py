"""The list of sections of a case: links that stay in sight, each with the result of its section in a word."""

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard.case import explanation as case_why
from observability.dashboard.case import inputs as case_inputs
from observability.dashboard.case import load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.charts import case as charts_case
from observability.dashboard.table import ASSETS
from observability.export.case import SOURCES
from observability.investigation.evidence_types import ErrorRule, LabelCheck, Triage
from observability.investigation.label_types import with_unit

Word = tuple[str, str]
"""A word or two, and their colour: act, watch, ok, or "" for grey."""


@cache
def _sections_component() -> Callable[..., Any]:
    """The registered component; once a process."""
    return st.components.v2.component(
        "sections",
        html='<div id="sections"></div>',
        css=(ASSETS / "sections.css").read_text(encoding="utf-8"),
        js=(ASSETS / "sections.js").read_text(encoding="utf-8"),
    )


def sections_list(here: CasePage, *, known: bool) -> None:
    """The list. known: with the words, which need the parts of the case."""
    rows = []
    for anchor, (title, word) in SECTIONS.items():
        words, colour = _section_word(here, word) if known else ("", "")
        rows.append({"to": anchor, "name": title, "word": words, "s": colour})
    _sections_component()(key=f"sections-{'known' if known else 'first'}", data={"caption": "Sections of this case", "rows": rows})


def section_words_ready(here: CasePage) -> bool:
    """Whether the parts that the words need are computed."""
    known = here.opened.look.known.keys()
    return {"inputs", "label_check", "rule", "triage"} <= known and not load_case.repair_pending(here.opened)


def _section_word(here: CasePage, word: Callable[[CasePage], Word]) -> Word:
    """The word of a section; a failure is shown and stops no other."""
    try:
        return word(here)
    except Exception:
        return "not available", ""


def _outcome_word(here: CasePage) -> Word:
    """Right or wrong."""
    found = here.row
    if found.label is None:
        return "no label yet", ""
    if found.error is not None:
        size = with_unit(found.model, formatting.format_number(abs(found.error)))
        return f"{size} too {'high' if found.error > 0 else 'low'}" if found.error else "exact", ""
    return ("inconclusive", "") if found.wrong is None else ("wrong", "act") if found.wrong else ("right", "ok")


def _inputs_word(here: CasePage) -> Word:
    """The number of flagged inputs."""
    held = here.part("inputs")
    if held is None:
        return "not available", ""
    odd = sum(map(case_inputs.is_input_flagged, held))
    return (f"{odd} flagged", "watch") if odd else ("none flagged", "ok")


def _attribution_word(here: CasePage) -> Word:
    """The feature with the largest attribution."""
    held = case_why.session_contrasts(here)
    found = held.average if held else load_case.known_contrast(here.opened)
    if found is None or not found.bars:
        return ("not computed" if here.row.version.artifact else "not available"), ""
    return f"{found.bars[0].feature[:40]} {charts_case._signed_number(found.bars[0].attribution)}", ""


def _margin_word(here: CasePage) -> Word:
    """The margin to another decision."""
    try:
        near = load_case.case_margin(here.opened)
    except ObservabilityError:
        return "not available", ""
    if near.margin != near.margin:
        return "unknown", ""
    return f"{'within ' if here.row.model.task == 'regression' else ''}{formatting.format_number(abs(near.margin))}", ""


def _label_word(here: CasePage) -> Word:
    """Whether the label is suspect."""
    check: LabelCheck | None = here.part("label_check")
    if here.row.label is None:
        return "none yet", ""
    if check is None:
        return "not available", ""
    if check.suspect:
        return ("unlikely", "") if check.measured else ("suspect", "watch")
    return ("inconclusive", "") if check.unclear else ("plausible", "ok")


def _pattern_word(here: CasePage) -> Word:
    """The error rate of similar predictions, where it is a pattern."""
    rule: ErrorRule | None = here.part("rule")
    if rule is None:
        return "no rule", ""
    return (f"{formatting.format_share(rule.rate)} wrong", "watch") if rule.weak else ("no pattern", "")


def _versions_word(here: CasePage) -> Word:
    """The number of other versions."""
    others = len(here.row.model.versions) - 1
    return (formatting.plural(others, "other") if others > 0 else "no other"), ""


def _source_word(here: CasePage) -> Word:
    """The first suspected source."""
    found: tuple[Triage, ...] | None = here.part("triage")
    return (SOURCES[found[0].source].lower() if found else "not available"), ""


def _entries_word(here: CasePage) -> Word:
    """The number of verdicts and actions."""
    name = here.row.model.name, here.row.id
    n = len(load_case.case_verdicts(*name)) + len(load_case.case_actions(*name))
    return (formatting.plural(n, "entry", "entries") if n else "none yet"), ""


SECTIONS: dict[str, tuple[str, Callable[[CasePage], Word]]] = {
    "happened": ("Outcome", _outcome_word),
    "inputs": ("Inputs", _inputs_word),
    "why": ("Explanation", _attribution_word),
    "edge": ("Decision boundary", _margin_word),
    "label": ("Label", _label_word),
    "alike": ("Similar errors", _pattern_word),
    "versions": ("Versions", _versions_word),
    "conclude": ("Conclusion", _source_word),
    "said": ("History", _entries_word),
    "take": ("Export", lambda _here: ("HTML, CSV", "")),
}
"""Name and word of each section by its anchor, in order."""
