"""The inputs of a case: each value compared with the reference, its flags, and findings about inputs of that day."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.dashboard import links, time_zone
from observability.dashboard.case import load_case
from observability.dashboard.case.case import CasePage, part_unavailable
from observability.dashboard.cells import filled_columns
from observability.dashboard.overview import findings
from observability.dashboard.paged_names import paged_names
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import link_button, status_line
from observability.investigation import offline_values
from observability.investigation.evidence_types import Input
from observability.investigation.latent_inputs import latent_features
from observability.investigation.offline_values import Twin

FLAGS = {
    "unseen": ("watch", "Never seen", "Not a level of the reference."),
    "null": ("watch", "Missing", "The value is null."),
    "absent": ("watch", "Not sent", "Not in the record."),
    "wrong_type": ("act", "Wrong type", "Another type than in the reference."),
    "stale": ("watch", "Stale", "Older than usual at the time of the prediction."),
    "out_of_range": ("act", "Out of range", "Outside the reference's range, or far from its central 99 %."),
}
"""Severity, word and meaning of each flag."""
COLUMNS = columns_on_phone(
    "feature value flag",
    column("feature", "Feature", strong=True, width="12rem"),
    column("value", "Value", align="right", width="10rem"),
    column(
        "place",
        "In the reference",
        width="10rem",
        help="Number: share of the reference's values below it, on its central 90 %. Category: share of the reference rows with this level",
    ),
    column("flag", "Flag", width="8rem"),
    column("because", "Details", wide=True),
)
FEW_COLUMNS = (
    column("feature", "Input", strong=True, width="9.5rem"),
    column("value", "Value", align="right"),
    column("place", "Reference", width="5rem", help=COLUMNS[2]["help"]),
)
SHOWN_AT_FIRST, FEW_INPUTS, MAX_FLAGGED = 10, 6, 3
"""Number of rows that the table shows at first; number of inputs on the first screen, and maximum number of flagged inputs among them."""


def inputs_section(here: CasePage) -> None:
    """Draw the inputs compared with the reference, flagged ones first."""
    held: tuple[Input, ...] | None = here.part("inputs")
    if held is None:
        part_unavailable(here, "inputs")
        return
    flagged = [value.feature for value in held if value.flagged]
    words = (
        f"{len(flagged)} of {len(held)} inputs flagged: {_first_names(flagged, 4)}."
        if flagged
        else f"None of {len(held)} inputs is flagged."
    )
    st.markdown(status_line("watch" if flagged else "ok", words))
    if not here.row.version.reference_rows:
        st.caption("No reference to compare with: register this version with held-out predictions.")
    other = load_case.offline_twin(here.opened)
    differs = offline_values.differing_features(here.row, other) if other is not None else []
    if other is not None:
        _skew_note(here, other, differs)
    order = sorted(held, key=lambda each: (not each.flagged, each.feature not in differs, -_extremeness(each)))
    latent = set(latent_features([each.feature for each in held]))
    named = [each for each in order if each.feature not in latent or each.flagged or each.feature in differs]
    kept = {each.feature for each in named}
    folded = [each for each in order if each.feature not in kept]
    whole = (
        st.toggle(f"All {len(named):,} {'named ' if folded else ''}inputs", key=here.key("inputs-all"))
        if len(named) > SHOWN_AT_FIRST
        else True
    )
    scope = week_scope(here)
    listed = set(paged_names([each.feature for each in named], "inputs", here.key("inputs"))) if whole else set()
    rows = [
        _input_row(each, scope, other if each.feature in differs else None)
        for each in ([each for each in named if each.feature in listed] if whole else named[:SHOWN_AT_FIRST])
    ]
    shown = filled_columns(COLUMNS, rows, ("feature", "value", "flag"))
    draw_table("inputs", "Inputs, flagged ones first", shown, rows, compact=True)
    if folded:
        with st.expander(f"{len(folded):,} latent inputs", icon=":material/data_array:", key=here.key("inputs-latent")):
            paged = set(paged_names([each.feature for each in folded], "latent inputs", here.key("latent")))
            lines = [_input_row(each, scope) for each in folded if each.feature in paged]
            shown = filled_columns(COLUMNS, lines, ("feature", "value", "flag"))
            draw_table("inputs-latent", "Latent inputs", shown, lines, compact=True)


def main_inputs(here: CasePage, important: Sequence[str], most: int = FEW_INPUTS) -> None:
    """Draw a few inputs on the first screen: flagged ones, then the most important ones. important: names of features, best first."""
    held: tuple[Input, ...] | None = here.part("inputs")
    if held is None:
        part_unavailable(here, "inputs")
        return
    latent, places = set(latent_features([each.feature for each in held])), {name: place for place, name in enumerate(important)}
    named = sorted(
        (each for each in held if each.feature not in latent or each.flagged),
        key=lambda each: (places.get(each.feature, len(places)), -_extremeness(each)),
    )
    flagged = [each for each in named if each.flagged][:MAX_FLAGGED]
    shown = [*flagged, *islice((each for each in named if not each.flagged), most)][:most]
    rows = [_input_row(each, week_scope(here)) for each in shown]
    for row in rows:  # beside the figure there is no room for a column of flags, so flags are shown under the names
        cells = row["cells"]
        if "s" in cells["flag"]:
            cells["feature"] |= {"s": cells["flag"]["s"], "sub": cells["flag"]["t"]}
    draw_table("main-inputs", "Main inputs", FEW_COLUMNS, rows, compact=True)


def _skew_note(here: CasePage, other: Twin, differs: list[str]) -> None:
    """Draw whether the online and the offline values of the request are equal, with a link to the other record."""
    names = f": {_first_names(differs, 6)}" if differs else ""
    words = f"{len(differs)} of {len(other.values)} values differ from those logged {other.side} for the same subject and time{names}."
    st.markdown(status_line("watch" if differs else "ok", words, "Skew" if differs else "No skew"))
    target = links.case_link("", other.id, here.row.model.name, here.scope)["go"]
    link_button(f"Open the {other.side} record", target, key=here.key("twin"), icon="compare_arrows")


def _first_names(names: Sequence[str], most: int) -> str:
    """The first names, and the number of other names: `age, sex and 3 others`."""
    return ", ".join(names[:most]) + (f" and {formatting.plural(len(names) - most, 'other')}" if len(names) > most else "")


def _extremeness(each: Input) -> float:
    """The distance from the median of the reference, from 0 to 1; for a category, one minus its share."""
    if each.percentile is not None:
        return abs(each.percentile - 50) / 50
    return 1 - each.share if each.share is not None else 0.0


def _input_row(each: Input, scope: Scope, other: Twin | None = None) -> dict[str, Any]:
    """The table row of one input. Its name links to its drift in that week. other: the record from the other side (online or offline), if
    its value differs.
    """
    cells: dict[str, Cell] = {
        "feature": links.link_cell(each.feature, "drift", scope, feature=each.feature),
        "value": {
            "t": formatting.truncate(input_value_words(each.value), 40),
            "title": input_value_words(each.value),
            "sub": f"read {time_zone.zoned_minute(each.read_at)}" if each.read_at else None,
        },
        "because": {"t": formatting.DASH, "quiet": True} if _is_told_by_columns(each) else {"t": each.because},
        "flag": {"t": formatting.DASH, "quiet": True},
    }
    if other is not None:
        cells["value"] |= {"mark": "differs", "changed": True, "sub": f"{other.side}: {input_value_words(other.values[each.feature])}"}
    if each.flags and not each.flagged:
        cells["flag"] = {"t": "missing, common", "quiet": True}
    elif each.flags:
        severity, word, meaning = FLAGS.get(each.flags[0], ("watch", each.flags[0], ""))
        others = ", ".join(FLAGS[flag][1].lower() for flag in each.flags[1:] if flag in FLAGS)
        cells["flag"] = {**links.link_cell(word, "quality", scope), "s": severity, "title": meaning, "sub": others or None}
    if each.percentile is not None:
        about, below = "" if each.exact else "about ", each.percentile if each.below is None else each.below
        scale = {"low": 5, "high": 95, "min": 0, "max": 100, "whole": 50, "width": 130}
        interval = {"v": each.percentile, **scale, "tone": _flag_tone(each)}
        words = f"{about}{formatting.format_share(below / 100)} below"
        equal = f"{formatting.format_share(each.equal / 100)} equal" if each.equal else None
        cells["place"] = {"t": words, "sub": equal, "title": "of the reference's values", "interval": interval}
    elif each.share is not None:
        cells["place"] = {"t": formatting.format_share(each.share), "title": "of the reference's rows", "bar": {"v": each.share, "max": 1}}
    return table_row(cells)


def _is_told_by_columns(each: Input) -> bool:
    """Whether the columns for value, place in the reference and flag already contain everything in the sentence about an input."""
    placed = each.percentile is not None or each.share is not None
    return placed and set(each.flags) <= {"null", "absent"}


def _flag_tone(each: Input) -> str:
    """The severity of the flag, as the colour of the dot."""
    return str(FLAGS[each.flags[0]][0]) if each.flags and each.flags[0] in FLAGS and each.flagged else ""


def input_value_words(value: Any) -> str:
    """A value as text of at most 120 characters."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    said = f"{value:,.6g}".replace("-", formatting.MINUS) if isinstance(value, float) else str(value)
    return said if len(said) <= 120 else f"{said[:119]}…"


def findings_of_that_day(here: CasePage) -> None:
    """Draw the findings about values, drift and traffic on the day of the prediction. They are computed only when the part is unfolded."""
    box = st.expander("Findings of that day", icon=":material/today:", key=here.key("findings"), on_change="rerun")
    if box.open:
        with box:
            _findings_table(here)


def _findings_table(here: CasePage) -> None:
    """Draw the findings of the day that need action."""
    found: tuple[Finding, ...] = here.part("findings") or ()
    about = [each for each in found if needs_action(each.severity)]
    if here.opened.why("findings"):
        part_unavailable(here, "findings")
    elif not about:
        st.caption("No finding about values, drift or traffic on that day needs attention.")
    else:
        findings.findings_table("case-findings", "Findings of that day", about, _day_scope(here), most=6)
        first = about[0]
        named = {"id": first.incident or first.id, "analyzer": first.analyzer, "subject": first.subject, "metric": first.metric}
        link_button("Open the incident", links.link_cell("", "incident", week_scope(here), **named), key="go-incident", icon="crisis_alert")


def week_scope(here: CasePage) -> Scope:
    """The scope of the version in the week that ends with the day of the prediction."""
    start = here.row.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return Scope(model=here.row.model.name, version=here.row.version.name).at(start - timedelta(days=6), start + timedelta(days=1))


def _day_scope(here: CasePage) -> Scope:
    """The scope of the day of the prediction only."""
    start = here.row.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return week_scope(here).at(start, start + timedelta(days=1))
