"""Challenger against champion: which version to serve and why, the slices, and the decision with what followed it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.compare import paired_rows
from observability.compare.comparison_types import WindowComparison
from observability.compare.selection import Recommendation, recommendation
from observability.compare.sentences import INTERVAL_OF_DIFFERENCE
from observability.core import formatting
from observability.core.catalog import Version
from observability.core.window import Environment, Window
from observability.dashboard import links, load, person_name, time_zone
from observability.dashboard.cells import share_cell
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.frame import ModelPage, answer_or_stop
from observability.dashboard.review.decisions import CHOICES
from observability.dashboard.serving.compare import VersionChoices, version_choices
from observability.dashboard.serving.compare_parts import percentile_note
from observability.dashboard.state_cache import cached_by_state
from observability.dashboard.table import column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import (
    csv_of_table,
    link_button,
    plain_caption,
    plain_paragraph,
    save_records,
    status_line,
    utc_midnight,
)
from observability.detection.regressed_slices import SliceChurn, churn_by_slice, find_regressed_slices
from observability.records.values import new_record_id
from observability.review.change_log import decision_event
from observability.review.sentences import regressed_slice_sentences

SEVERITY = {"promote": "ok", "hold": "watch", "reject": "act"}
STATES = {"better": "ok", "worse": "act", "alike": "ok", "undecided": "unknown", "differs": "watch"}
WORDS = {"better": "Better", "worse": "Worse", "alike": "As good", "undecided": "Undecided", "differs": "Differs"}
CRITERIA = (
    column("name", "Criterion", strong=True, width="11rem"),
    column("state", "Challenger", width="8rem"),
    column("words", "Why", wide=True, phone=False),
)
CHURN = columns_on_phone(
    "slice flips regressed",
    column("slice", "Slice", strong=True),
    *number_columns(n="Rows"),
    column("flips", "Changed", align="right", help="Share of the decisions that change"),
    column("elsewhere", "Elsewhere", align="right", help="Share of the decisions of all other rows that change"),
    column("regressed", "Regressed", align="right", help="Labelled rows that the champion alone has right"),
    column("repaired", "Repaired", align="right", help="Labelled rows that the challenger alone has right"),
    column("state", "Against elsewhere", help="Fisher's exact test, one-sided, false discovery rate of 5 % over all slices"),
)
MAX_SLICES = 8
DECISIONS = columns_on_phone(
    "at choice reason",
    column("at", "Decided (UTC)", width="8rem"),
    column("choice", "Choice", width="6rem"),
    column("version", "Version", strong=True),
    column("reason", "Reason", wide=True),
    column("by", "By"),
    column("now", "Since then", help="Share of the production predictions of this window that the version answered"),
)


@dataclass(frozen=True)
class SelectionSides:
    """The windows of challenger and champion."""

    challenger: Window
    champion: Window


def selection_boxes(here: ModelPage) -> SelectionSides | None:
    """Draw the boxes for challenger and champion. Returns the windows of both; None if the model has only one version.

    The default challenger is the newest registered version in shadow. If no registered version is in shadow, it is the newest version in
    shadow, because versions on devices may not be registered. Without any version in shadow, it is the last of the other offered versions.
    The champion is the serving version with the most predictions.
    """
    known = version_choices(here.model.name)
    offered = {words: stream for words, stream in known.offered.items() if stream[0] is not None and stream[1] != "reference"}
    serving = [words for words, stream in offered.items() if stream[1] == "production"]
    if len(offered) < 2 or not serving:
        return None
    champion_first = _most_predictions(here, known, serving)
    others = [words for words in offered if words != champion_first]
    shadowing = [words for words in others if offered[words][1] == "shadow"]
    registered = {each.name for each in here.model.versions if each.registered}
    challenger_first = next((words for words in reversed(shadowing) if offered[words][0] in registered), [*others, *shadowing][-1])
    missing = "The link names {} as a version, which this model does not have."
    with st.container(horizontal=True, gap="small"):
        names = list(offered)
        challenger = address_selectbox("challenger", "Challenger", names, placeholder=challenger_first, missing=missing, width=260)
        champion = address_selectbox("champion", "Champion", names, placeholder=champion_first, missing=missing, width=260)
    sides = [_side(here, offered[words]) for words in (challenger or challenger_first, champion or champion_first)]
    return SelectionSides(*sides)


def _side(here: ModelPage, stream: tuple[str | None, Environment]) -> Window:
    """The window of one version."""
    return replace(here.window, version=stream[0], environment=stream[1])


def _most_predictions(here: ModelPage, known: VersionChoices, serving: list[str]) -> str:
    """The serving version with the most predictions."""
    seen = load.stream_activity()
    own = seen[(seen["model"] == here.model.name) & (seen["environment"] == "production")]
    rows = own.groupby("version")["rows"].sum()
    return max(serving, key=lambda words: float(rows.get(known.offered[words][0], 0)))


@cached_by_state(8, copied=True, by_model=lambda challenger, champion: challenger.model)
def selection_slices(challenger: Window, champion: Window) -> dict[str, Any]:
    """The slices in which the challenger is worse, on the rows that both versions answered. Without such rows, no slice is tested. `churn`:
    for each slice, the decisions that change.
    """
    model = load.catalog().model(challenger.model)
    versions = [[model.version(str(each.version)) or Version(str(each.version))] for each in (challenger, champion)]
    matched = paired_rows.matched_rows(load.store().ask, model, challenger, champion, *versions)
    if not len(matched.a):
        return {"loss": "wrong", "looked_at": 0, "rows": [], "churn": []}
    return {**find_regressed_slices(model, matched, model.settings.slices), "churn": churn_by_slice(model, matched)}


def selection_verdict(here: ModelPage, sides: SelectionSides) -> Recommendation:
    """Draw the decision that the comparison favours, the criteria, the churn (changed decisions) and the slices. Returns the
    recommendation.
    """
    found = answer_or_stop(lambda: load.window_comparison_of(sides.challenger, sides.champion))
    slices = answer_or_stop(lambda: selection_slices(sides.challenger, sides.champion)) if found.pairs is not None else {}
    told = recommendation(here.model, found, len(slices.get("rows", [])), slices.get("looked_at", 0))
    head, _, rest = told.because.partition(": ")
    st.markdown(status_line(SEVERITY[told.choice], rest[:1].upper() + rest[1:], head, strong=True))
    plain_caption("A suggestion from the statistics; you decide below.")
    rows = [
        table_row(
            {
                "name": each.name,
                "state": {"s": STATES[each.state], "t": WORDS[each.state], "phone": "\n".join(filter(None, (said, how)))},
                "words": {"t": said, "sub": how or None},
            }
        )
        for each, said, how in (
            (each, each.words.replace("`", ""), each.how.removeprefix(INTERVAL_OF_DIFFERENCE).strip()) for each in told.criteria
        )
    ]
    if rows:
        draw_table("criteria", "Criteria", CRITERIA, rows, compact=True)
        if any(each.how.startswith(INTERVAL_OF_DIFFERENCE) for each in told.criteria):
            plain_caption(f"Range below a criterion: {INTERVAL_OF_DIFFERENCE}.")
        percentile_note(found.of("latency"))
    churn_section(found)
    churn_table(slices.get("churn", []))
    lines = regressed_slice_sentences({"slices": slices}) if slices else []
    if lines:
        st.header("Slices", anchor=False)
        for line in lines:
            plain_paragraph(line)
    return told


def churn_section(found: WindowComparison) -> None:
    """Draw how many decisions change on the rows that both versions answered, and which version is right more often."""
    pairs = found.pairs
    st.header("Churn", anchor=False)
    if pairs is None or not pairs.n:
        plain_paragraph("No rows were answered by both in this window, so the two are compared on different rows and churn is unknown.")
        return
    said = f"{pairs.n:,} rows were answered by both, {pairs.labelled:,} with a label."
    if pairs.flips is not None and pairs.flips.value is not None:
        low, high = (formatting.format_share(float(each or 0.0)) for each in (pairs.flips.low, pairs.flips.high))
        said += f" {formatting.format_share(pairs.flips.value)} ({low} to {high}) of the decisions change."
    said += f" The challenger alone is right (or nearer) in {pairs.only_a:,}, the champion alone in {pairs.only_b:,}."
    plain_paragraph(said)


def churn_table(churn: Sequence[SliceChurn]) -> None:
    """Draw the slices with the most changed decisions; the CSV has all slices. Draws nothing without slices."""
    if not churn:
        return
    lines = [
        table_row(
            slice=each.name,
            n=f"{each.flips.n:,.0f}",
            flips=share_cell(each.flips.value, each.flips.low, each.flips.high),
            elsewhere=formatting.format_share(each.elsewhere),
            regressed=formatting.DASH if each.regressed is None else f"{each.regressed:,}",
            repaired=formatting.DASH if each.repaired is None else f"{each.repaired:,}",
            state="More" if each.more else formatting.DASH,
        )
        for each in churn[:MAX_SLICES]
    ]
    draw_table("churn", "Changed decisions by slice, most first", CHURN, lines, compact=True)
    rows = pd.DataFrame(
        [
            {"slice": each.name, "flips": each.flips.value, "low": each.flips.low, "high": each.flips.high, "n": each.flips.n}
            for each in churn
        ]
    )
    rows = rows.assign(**{name: [getattr(each, name) for each in churn] for name in ("elsewhere", "more", "regressed", "repaired")})
    rows = rows.astype({"regressed": "Int64", "repaired": "Int64"})
    csv_of_table("churn", rows, len(rows), MAX_SLICES, "most changed")


def decision_form(here: ModelPage, sides: SelectionSides, told: Recommendation) -> None:
    """Draw the boxes of the decision, which is stored as a record. A reason is required."""
    st.header("Decision", anchor=False)
    turn = int(st.session_state.get("selection-turn", 0))
    author = person_name.person_name_box("selection-person", here.model.name)
    version = str(sides.challenger.version)
    with st.container(border=True):
        left, right = st.columns([1, 1])
        choices = list(CHOICES)
        index = choices.index(told.choice)
        choice = left.selectbox(
            f"Version {formatting.escape_markdown(version)}", choices, index, CHOICES.__getitem__, key=f"selection-choice-{turn}"
        )
        revisit = right.date_input("Revisit on", value=None, key=f"selection-revisit-{turn}")
        reason = st.text_input("Reason", max_chars=400, key=f"selection-reason-{turn}", placeholder=told.because.replace("`", "")[:200])
        if st.button(
            "Save",
            icon=":material/save:",
            key="selection-save",
            disabled=author is None,
            help=None if author else person_name.why_not_saved(),
        ):
            author = person_name.decision_author(author, reason)
            if author is None:
                return
            address = links.page_address("selection", here.scope, challenger=st.query_params.get("challenger"))
            statement = f"{CHOICES[choice]} version {version}: {reason.strip()}"
            record = {
                "kind": "decision",
                "at": datetime.now(UTC),
                "decision": new_record_id(),
                "author": author,
                "statement": statement,
                "choice": choice,
                "model": here.model.name,
                "version": version,
                "evidence": [address],
                "options": [word for word in choices if word != choice],
                "revisit": utc_midnight(revisit),
            }
            if save_records([record, decision_event(record)]):
                st.session_state["selection-turn"] = turn + 1
                st.rerun()


def past_decisions(here: ModelPage) -> None:
    """Draw earlier decisions on versions of this model, and what followed them."""
    made = [each for each in load.store().decisions(here.model.name) if each.fields.get("choice") and each.fields.get("version")]
    if not made:
        return
    st.header("Earlier decisions", anchor=False)
    seen = load.stream_activity()
    own = seen[(seen["model"] == here.model.name) & (seen["environment"] == "production")]
    total = float(own["rows"].sum())
    rows = []
    for each in made[:20]:
        fields = each.fields
        share = float(own.loc[own["version"] == fields.get("version"), "rows"].sum()) / total if total else 0.0
        revisit = fields.get("revisit")
        now = f"answered {formatting.format_share(share)} of all" if share else "has not served"
        rows.append(
            table_row(
                {
                    "at": time_zone.zoned_minute(each.first.at),
                    "choice": CHOICES.get(str(fields.get("choice")), str(fields.get("choice"))),
                    "version": str(fields.get("version")),
                    "reason": str(fields.get("statement")),
                    "by": each.first.author,
                    "now": {"t": now, "sub": f"look again on {formatting.format_iso_day(str(revisit))}" if revisit else None},
                }
            )
        )
    draw_table("selection-decisions", "Earlier decisions", DECISIONS, rows, compact=True)


def comparison_link(here: ModelPage, sides: SelectionSides) -> None:
    """Draw the link to the page that compares both versions in every metric."""
    scope = replace(here.scope, version=sides.champion.version)
    label = next(
        (words for words, stream in version_choices(here.model.name).offered.items() if stream[0] == sides.challenger.version), None
    )
    link_button("All metrics of the two", links.link_cell("", "compare", scope, b_version=label), key="selection-compare")
