"""What does a long case hold, and what does each section say in a word? A list that jumps, and stays in sight."""

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard.case import inputs as case_inputs
from observability.dashboard.case import load_case
from observability.dashboard.case import why as case_why
from observability.dashboard.case.case import Here
from observability.dashboard.charts import case as charts_case
from observability.dashboard.table import ASSETS
from observability.export.case import SOURCES
from observability.investigation.evidence_types import LabelCheck, Rule, Triage

Word = tuple[str, str]
"""A word or two, and the tone in which they stand: act, watch, ok, or "" for grey. The tone never says more than the word."""
NAMES = {
    "happened": "What happened", "inputs": "Inputs", "why": "Why", "edge": "Edge", "label": "Label", "alike": "Others like it", "versions": "Versions",
    "conclude": "Conclude", "said": "Said before", "take": "Take along",
}  # fmt: skip
"""Anchor and name of each section, in order."""


@cache
def component() -> Callable[..., Any]:
    """The registered component; once a process."""
    return st.components.v2.component(
        "sections",
        html='<div id="sections"></div>',
        css=(ASSETS / "sections.css").read_text(encoding="utf-8"),
        js=(ASSETS / "sections.js").read_text(encoding="utf-8"),
    )


def listed(here: Here, *, known: bool) -> None:
    """The list. known: the words stand beside the names; before that they would have to be waited for."""
    words = {name: word(here, name) if known else ("", "") for name in NAMES}
    rows = [{"to": name, "name": title, "word": words[name][0], "s": words[name][1]} for name, title in NAMES.items()]
    component()(key=f"sections-{'known' if known else 'first'}", data={"caption": "Sections of this case", "rows": rows})


def ready(here: Here) -> bool:
    """Whether the words need not be waited for."""
    return {"inputs", "label_check", "rule", "triage"} <= here.opened.look.known.keys()


def word(here: Here, name: str) -> Word:
    """What a section says; one that cannot be worked out says so, and stops nothing else."""
    try:
        return WORDS[name](here)
    except Exception:
        return "not given", ""


def happened(here: Here) -> Word:
    """Right or wrong."""
    found = here.row
    if found.label is None:
        return "no label yet", ""
    if found.error is not None:
        return f"{formatting.number(abs(found.error))} too {'high' if found.error > 0 else 'low'}" if found.error else "exact", ""
    return ("cannot tell", "") if found.wrong is None else ("wrong", "act") if found.wrong else ("right", "ok")


def inputs(here: Here) -> Word:
    """How many are odd."""
    held = here.part("inputs")
    if held is None:
        return "not given", ""
    odd = sum(map(case_inputs.is_odd, held))
    return (f"{odd} odd", "watch") if odd else ("none odd", "ok")


def why(here: Here) -> Word:
    """The feature that pushed most."""
    held = case_why.kept(here)
    found = held.average if held else load_case.known_contrast(here.opened)
    if found is None or not found.bars:
        return ("not asked yet" if here.row.version.artifact else "not given"), ""
    return f"{found.bars[0].feature[:40]} {charts_case.signed(found.bars[0].attribution)}", ""


def edge(here: Here) -> Word:
    """How far from another answer."""
    try:
        near = load_case.margin(here.opened)
    except ObservabilityError:
        return "not given", ""
    if near.margin != near.margin:
        return "not known", ""
    return f"{'within ' if here.row.model.task == 'regression' else ''}{formatting.number(abs(near.margin))}", ""


def label(here: Here) -> Word:
    """Whether it is suspect."""
    check: LabelCheck | None = here.part("label_check")
    if here.row.label is None:
        return "none yet", ""
    if check is None:
        return "not given", ""
    if check.suspect:
        return ("unlikely", "") if check.measured else ("suspect", "watch")
    return ("cannot tell", "") if check.unclear else ("plausible", "ok")


def alike(here: Here) -> Word:
    """How often such predictions are wrong, where that is a pattern."""
    rule: Rule | None = here.part("rule")
    if rule is None:
        return "no rule", ""
    return (f"{formatting.share(rule.rate)} wrong", "watch") if rule.weak else ("no pattern", "")


def versions(here: Here) -> Word:
    """How many others there are."""
    others = len(here.row.model.versions) - 1
    return (formatting.plural(others, "other") if others > 0 else "no other"), ""


def conclude(here: Here) -> Word:
    """The source that most speaks for."""
    found: tuple[Triage, ...] | None = here.part("triage")
    return (SOURCES[found[0].source].lower() if found else "not given"), ""


def said(here: Here) -> Word:
    """How much people said."""
    name = here.row.model.name, here.row.id
    n = len(load_case.verdicts(*name)) + len(load_case.actions(*name))
    return (formatting.plural(n, "entry", "entries") if n else "nothing yet"), ""


def take(here: Here) -> Word:
    """In what form."""
    return "HTML, CSV", ""


WORDS: dict[str, Callable[[Here], Word]] = {
    "happened": happened, "inputs": inputs, "why": why, "edge": edge, "label": label, "alike": alike, "versions": versions, "conclude": conclude,
    "said": said, "take": take,
}  # fmt: skip
