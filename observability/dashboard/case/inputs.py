"""What does a case show of its inputs: each value against the reference, what is odd about it, and what was wrong with such values at that time?"""

from datetime import timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.dashboard import links
from observability.dashboard.case import load_case
from observability.dashboard.case.case import Here, missing
from observability.dashboard.overview import findings
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.investigation import offline_values
from observability.investigation.evidence_types import Input
from observability.investigation.offline_values import Twin

FLAGS = {
    "unseen": ("watch", "Never seen", "The reference never holds this level."),
    "null": ("watch", "Missing", "The value is null."),
    "absent": ("watch", "Not sent", "The feature was not in the record."),
    "wrong_type": ("act", "Wrong type", "The value is of another type than the reference's."),
    "stale": ("watch", "Stale", "It was read longer before the prediction than is usual."),
    "out_of_range": ("act", "Out of range", "It lies far outside of what the reference holds."),
}
"""Severity, word and meaning of each flag."""
COLUMNS = (
    column("feature", "Feature", strong=True, width="12rem"),
    column("value", "Value", align="right", width="10rem"),
    column(
        "place",
        "In the reference",
        width="10rem",
        help="Where the number stands: the dot on the middle 90 % of the reference; of a level, its share",
    ),
    column("flag", "Odd?", width="8rem"),
    column("because", "In words", wide=True),
)
AT_FIRST = 15
USUAL = 0.05
"""A value that is missing is not odd where at least this share of the reference lacks it as well."""


def inputs(here: Here) -> None:
    """The inputs, those that are odd first, each against the reference."""
    held: tuple[Input, ...] | None = here.part("inputs")
    if held is None:
        missing(here, "inputs")
        return
    odd = [each for each in held if is_odd(each)]
    names = ", ".join(each.feature for each in odd[:4])
    status = formatting.status("watch", "Look") if odd else formatting.status("ok")
    said = f"{len(odd)} of {len(held)} inputs {'are' if len(odd) != 1 else 'is'} odd: {names}{' and others' if len(odd) > 4 else ''}." if odd else (
        f"None of the {len(held)} inputs is odd: none is missing, unseen, out of range or stale."
    )  # fmt: skip
    st.markdown(f"{status}: {formatting.plain(said)}")
    if not here.row.version.reference_rows:
        st.caption("There is no reference to hold the values against: register this version with held-out predictions.")
    other = load_case.twin(here.opened)
    differs = offline_values.differing(here.row, other) if other is not None else []
    if other is not None:
        both(here, other, differs)
    order = sorted(held, key=lambda each: (not is_odd(each), each.feature not in differs, -extremeness(each)))
    whole = st.toggle(f"All {len(held)} inputs", key=here.key("inputs-all")) if len(held) > AT_FIRST else True
    scope = around(here)
    rows = [as_row(each, scope, other if each.feature in differs else None) for each in (order if whole else order[:AT_FIRST])]
    table("inputs", "Inputs, odd ones first", COLUMNS, rows, compact=True)


def both(here: Here, other: Twin, differs: list[str]) -> None:
    """Whether the same request has equal values online and offline, with the way to the other record."""
    status = formatting.status("watch", "Skew") if differs else formatting.status("ok", "The same on both sides")
    names = f": {', '.join(differs[:6])}{' and others' if len(differs) > 6 else ''}" if differs else ""
    said = f"{len(differs)} of {len(other.values)} values differ from those that were logged {other.side} for the same subject at the same time{names}."
    st.markdown(f"{status}: {formatting.plain(said)}")
    target = links.case("", other.id, here.row.model.name, here.scope)["go"]
    st.button(
        f"Open the {other.side} record",
        type="tertiary",
        icon=":material/compare_arrows:",
        key=here.key("twin"),
        on_click=links.go,
        args=(target,),
    )


def is_odd(each: Input) -> bool:
    """Whether a flag means something: a missing value that is missing in much of the reference does not."""
    common = each.share is not None and each.share >= USUAL
    return bool(set(each.flags) - ({"null", "absent"} if common else set()))


def extremeness(each: Input) -> float:
    """How far from the middle of the reference, 0 to 1."""
    if each.percentile is not None:
        return abs(each.percentile - 50) / 50
    return 1 - each.share if each.share is not None else 0.0


def as_row(each: Input, scope: Scope, other: Twin | None = None) -> dict[str, Any]:
    """One input; its name leads to its drift page at that date. other: the record of the same request on the other side, where its value differs."""
    cells: dict[str, Cell] = {
        "feature": links.link(each.feature, "drift", scope, feature=each.feature),
        "value": {
            "t": formatting.cut(in_words(each.value), 40),
            "title": in_words(each.value),
            "sub": f"read {formatting.minute(each.read_at)}" if each.read_at else None,
        },
        "because": {"t": each.because},
        "flag": {"t": formatting.DASH, "quiet": True},
    }
    if other is not None:
        cells["value"] |= {"mark": "differs", "changed": True, "sub": f"{other.side}: {in_words(other.values[each.feature])}"}
    if each.flags and not is_odd(each):
        cells["flag"] = {"t": "missing, as often", "quiet": True}
    elif each.flags:
        severity, word, meaning = FLAGS.get(each.flags[0], ("watch", each.flags[0], ""))
        others = ", ".join(FLAGS[flag][1].lower() for flag in each.flags[1:] if flag in FLAGS)
        cells["flag"] = {**links.link(word, "quality", scope), "s": severity, "title": meaning, "sub": others or None}
    if each.percentile is not None:
        about = "" if each.exact else "about "
        cells["place"] = {
            "t": f"{about}{formatting.number(each.percentile)} %", "title": "of the reference lies below",
            "interval": {"v": each.percentile, "low": 5, "high": 95, "min": 0, "max": 100, "whole": 50, "width": 130, "tone": tone(each)},
        }  # fmt: skip
    elif each.share is not None:
        cells["place"] = {"t": formatting.share(each.share), "title": "of the reference's rows", "bar": {"v": each.share, "max": 1}}
    return row(cells)


def tone(each: Input) -> str:
    """The colour of the dot: that of the flag."""
    return str(FLAGS[each.flags[0]][0]) if each.flags and each.flags[0] in FLAGS and is_odd(each) else ""


def in_words(value: Any) -> str:
    """A value for a person, cut short."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    said = f"{value:,.6g}".replace("-", formatting.MINUS) if isinstance(value, float) else str(value)
    return said if len(said) <= 120 else f"{said[:119]}…"


def at_that_time(here: Here) -> None:
    """The findings about values and drift around the prediction."""
    found: tuple[Finding, ...] = here.part("findings") or ()
    about = [each for each in found if needs_action(each.severity)]
    if here.opened.why("findings"):
        missing(here, "findings")
    elif not about:
        st.caption("Nothing that needs a person was found about values, drift or traffic on the day of this prediction.")
    else:
        findings.listed("case-findings", "Findings of that day", about, that_day(here), most=6)


def around(here: Here) -> Scope:
    """The scope of the day of the prediction and the six before it, of its model."""
    start = here.row.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return Scope(model=here.row.model.name, version=here.row.version.name).at(start - timedelta(days=6), start + timedelta(days=1))


def that_day(here: Here) -> Scope:
    """The scope of the day of the prediction alone: what the findings are about."""
    start = here.row.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return around(here).at(start, start + timedelta(days=1))
