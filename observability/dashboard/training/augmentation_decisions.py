"""Decisions about augmentations on the page Studies (keep, drop or hold), with what was measured after each decision."""

from collections.abc import Sequence

import streamlit as st

from observability.core import formatting
from observability.core.finding import iso
from observability.core.time import naive_utc
from observability.dashboard import load, person_name, time_zone
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import NOT_SAVED, save_records
from observability.detection.augmentation_verdict import AugmentationVerdict, Verdict
from observability.metrics.augmentation import AugmentationAudit
from observability.store.types.decision_items import DecisionItem

BEGIN = "augmentation:"
"""Prefix of the id of the decisions about an augmentation, `augmentation:MODEL:VERSION:NAME`."""
CHOICES: dict[Verdict, tuple[str, str]] = {"keep": ("Keep", "promote"), "drop": ("Drop", "reject"), "hold": ("Hold", "hold")}
"""For each verdict, the word on the page and the choice in the record."""
MADE = (
    column("at", "Decided (UTC)", width="8rem"),
    column("what", "Decision", strong=True, wide=True),
    column("by", "By"),
    column("since", "Since then", wide=True),
)


def augmentation_decision_id(audit: AugmentationAudit) -> str:
    """The id of the decisions about one augmentation of one model version."""
    return f"{BEGIN}{audit.model}:{audit.version}:{audit.name}"


def augmentation_decision(
    audit: AugmentationAudit, verdict: Verdict, author: str, reason: str, told: AugmentationVerdict | None
) -> dict[str, object]:
    """The record of a decision. told: the verdict that follows from the measurements; the record stores it as evidence."""
    word, choice = CHOICES[verdict]
    about = f"{word} augmentation {audit.name} of {audit.model} {audit.version}: {reason}"
    evidence = [told.finding.id, f"audit of {iso(audit.at)}"] if told else [f"audit of {iso(audit.at)}"]
    record = {"kind": "decision", "decision": augmentation_decision_id(audit), "author": author, "statement": about, "choice": choice}
    return {**record, "model": audit.model, "decider": author, "evidence": evidence, "state": "standing"}


def measured_since(made: DecisionItem, audits: Sequence[AugmentationAudit]) -> str:
    """Words for what followed a decision: whether the same augmentation was measured later (with any version), and whether it is in use."""
    _, model, rest = made.id.split(":", 2)
    later = [
        audit
        for audit in audits
        if audit.model == model and rest.endswith(f":{audit.name}") and naive_utc(audit.at) > naive_utc(made.last.at)
    ]
    if not later:
        return "not measured again"
    newest = max(later, key=lambda audit: audit.at)
    used = "in use" if newest.in_use else "not in use"
    return f"measured on {formatting.format_day(newest.at)} with version {newest.version}: {used}"


def decisions_about_augmentations(audits: Sequence[AugmentationAudit], verdicts: Sequence[AugmentationVerdict | None]) -> None:
    """Draw the form for a decision, and the decisions in force with later measurements. verdicts: for each audit the verdict on it."""
    models = {audit.model for audit in audits}
    made = [each for model in sorted(models) for each in load.store().decisions(model) if each.id.startswith(BEGIN)]
    _decision_form(audits, verdicts)
    rows = [
        table_row(
            at=time_zone.zoned_minute(each.last.at),
            what=str(each.fields.get("statement")),
            by=each.last.author,
            since=measured_since(each, audits),
        )
        for each in made
        if each.state == "standing"
    ]
    if rows:
        draw_table("augmentation-decisions", "Decisions about augmentations", MADE, rows, compact=True)


def _decision_form(audits: Sequence[AugmentationAudit], verdicts: Sequence[AugmentationVerdict | None]) -> None:
    """Draw the boxes of a decision; a reason is required."""
    turn = int(st.session_state.get("augmentation-turn", 0))
    names = {f"{audit.name} of {audit.model} {audit.version}": place for place, audit in enumerate(audits)}
    with st.popover("Keep or drop an augmentation", icon=":material/gavel:", key="augmentation-decide"):
        author = person_name.person_name_box("augmentation-author")
        name = st.selectbox("Augmentation to decide", list(names), key=f"augmentation-name-{turn}")
        audit, told = audits[names[name]], verdicts[names[name]]
        proposed = told.verdict if told else "hold"
        if told:
            st.markdown(formatting.escape_markdown(f"Proposed: {told.verdict}, {told.reason}."))
        choice = st.radio(
            "Decision",
            list(CHOICES),
            list(CHOICES).index(proposed),
            lambda each: CHOICES[each][0],
            key=f"augmentation-choice-{turn}-{name}",
        )
        reason = st.text_input("Reason", max_chars=400, key=f"augmentation-reason-{turn}").strip()
        if not st.button("Save", icon=":material/save:", key="augmentation-save"):
            return
    author = person_name.decision_author(author, reason)
    if author is None:
        return
    if save_records([augmentation_decision(audit, choice, author, reason, told)], NOT_SAVED):
        st.session_state["augmentation-turn"] = turn + 1
        st.rerun()
