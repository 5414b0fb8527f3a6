"""Would another version have been right? What the others say to the same input, and how many decisions would change for cases like it."""

from dataclasses import replace
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.numerals import worded
from observability.core.window import Slice
from observability.dashboard import links
from observability.dashboard.case import load_case
from observability.dashboard.case.case import Here
from observability.dashboard.case.decision_boundary import computed, said, spoken
from observability.dashboard.case.inputs import around
from observability.dashboard.table import Cell, column, row, table
from observability.investigation.model_answers import Answered, Churn, Regressed, Share

ROLES = {"this": "this one", "previous": "earlier", "next": "later", "challenger": "challenger", "baseline": "simple baseline"}
SOURCES = {
    "logged": "as it was logged",
    "shadow": "as it was logged beside it",
    "computed": "from its model file now",
    "baseline": "from the reference",
}
COLUMNS = (
    column("version", "Version", strong=True, width="12rem"),
    column("said", "Says", width="12rem"),
    column("right", "Right?", width="9rem"),
    column("how", "How that is known", wide=True),
)
REGRESSED = (
    column("case", "Case", strong=True), column("a", "This version", align="right"), column("b", "The other", align="right"), column("label", "Label"),
)  # fmt: skip


def versions(here: Here) -> None:
    """The table of versions, and the churn against one of them."""
    others = [each for each in here.row.model.versions if each.name != here.row.version.name]
    if not others:
        st.markdown(
            f"{formatting.status('unknown', 'No other version')}: {formatting.plain(here.row.model.name)} has only version {formatting.plain(here.row.version.name)}."
        )
        st.caption("Register a challenger with --artifact, or log its answers beside these with environment shadow.")
    found: tuple[Answered, ...] | None
    if any(each.artifact for each in others):
        found = computed(here, "answers", "Ask the other versions", lambda note: load_case.answers(here.opened, note))
        found = found if found is not None else said(lambda: load_case.answers(here.opened, None))
    else:
        found = said(lambda: load_case.answers(here.opened, None))
    if found is None:
        return
    table("versions", "What each version says to this input", COLUMNS, [as_row(each, here) for each in found], compact=True)
    for each in others[:3]:
        churn(here, each.name)


def as_row(each: Answered, here: Here) -> dict[str, Any]:
    """One version."""
    right: Cell = {"t": formatting.DASH, "quiet": True}
    if each.right is not None:
        right = {"s": "ok", "t": "Right"} if each.right else {"s": "act", "t": "Wrong"}
    elif each.absolute_error is not None:
        right = {"t": f"off by {formatting.number(each.absolute_error)}"}
    score = f" ({spoken(each.score)})" if here.row.model.classes and not isinstance(each.score, dict) and each.score is not None else ""
    lacking = f"; it also takes {', '.join(each.missing[:4])}, which the input lacks" if each.missing else ""
    how = each.why or f"{SOURCES.get(each.source or '', '')}{lacking}"
    said_ = f"{worded(each.prediction) if each.prediction is not None else formatting.DASH}{score}"
    return row(
        {
            "version": {**to_version(each, here), "sub": ROLES[each.role]},
            "said": {"t": said_ if each.source else "cannot answer", "mark": "simulated" if each.basis == "simulated" else None},
            "right": right,
            "how": {"t": how},
        },
        selected=each.role == "this",
    )


def to_version(each: Answered, here: Here) -> Cell:
    """A version: its own leads to the model's page, another one to the comparison of both about this time, in the slice of the rule."""
    if each.role == "baseline":
        return {"t": each.version}
    scope = around(here)
    if each.role == "this":
        return links.link(each.version, "model", scope)
    rule = here.part("rule")
    scope = replace(scope, slice=Slice.parse(rule.slice) if rule is not None else None)
    return links.link(each.version, "compare", scope, b_version=f"{each.version} in shadow" if each.role == "challenger" else each.version)


def churn(here: Here, other: str) -> None:
    """How the other version would have answered cases like this one."""
    st.subheader(formatting.plain(f"If version {other} had answered cases like it"), anchor=False)
    rule = here.part("rule")
    part = rule.slice if rule is not None else None
    found: Churn | None = computed(
        here,
        f"churn-{other}",
        f"Compare with version {formatting.plain(other)} on the same rows",
        lambda note: load_case.churn(here.opened, other, part, note),
    )
    if found is None:
        return
    basis = f":orange-badge[:material/science: {found.basis}] " if found.basis != "measured" else ""
    st.markdown(f"{basis}{formatting.sentence(found.because)}")
    st.caption(
        formatting.plain(
            f"{found.rows:,} rows, {found.labelled:,} with labels. Other decisions {share(found.flips)}; worse {share(found.worse)}; better {share(found.better)}."
        )
    )
    if found.regressed:
        rows = [regressed(each, here) for each in found.regressed[:10]]
        table(f"regressed-{abs(hash(other))}", f"Cases that version {other} answers worse", REGRESSED, rows, compact=True)


def share(of: Share) -> str:
    """A share with its interval."""
    if of.value is None:
        return "not known"
    return f"{formatting.share(of.value)} ({of.n:,} of {of.of:,}, {formatting.share(of.low)} to {formatting.share(of.high)})"


def regressed(each: Regressed, here: Here) -> dict[str, Any]:
    """One case that the other version answers worse."""
    return row(
        {
            "case": links.case(each.id, each.id, here.row.model.name, here.scope),
            "a": {"t": formatting.number(each.score_a)},
            "b": {"t": formatting.number(each.score_b)},
            "label": {"t": worded(each.label)},
        }
    )
