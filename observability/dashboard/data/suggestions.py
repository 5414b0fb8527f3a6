"""What do people do with what a machine suggests, and what would be won by accepting its surest suggestions without them?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import hours_in_words
from observability.dashboard import frame
from observability.dashboard.charts import suggestions as charts_suggestions
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics import suggestions
from observability.metrics.suggestions import Accepting
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

USUAL = 90
"""Confidence, in hundredths, at which the slider stands where the address says nothing."""
LOWEST = 50
"""From here on at the least the slider goes, in hundredths; lower where suggestions are less sure."""
EFFECT = (
    column("what", "If they were accepted", strong=True),
    column("figure", "Then", align="right"),
    column("reach", "95 % interval", align="right"),
    column("of", "Of what"),
)


def shown(now: "DataFrame", found: Sequence[Finding]) -> None:
    """The section about suggestions; nothing where none was shown."""
    if not now["shown"].any():
        return
    st.header("What the machine suggests", anchor=False)
    order = (suggestions.ANCHORING, suggestions.TAKEN, suggestions.ACCEPTANCE)
    for each in sorted(
        (one for one in found if one.metric in order and "/annotator:" not in one.subject), key=lambda one: order.index(one.metric)
    ):
        st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    anchoring(next((each for each in found if each.metric == suggestions.ANCHORING and "here" in each.evidence), None))
    accepting(now)


def anchoring(told: Finding | None) -> None:
    """How often a wrong answer is given where it is suggested and where nothing is, of the same items."""
    import pandas as pd

    if told is None:
        return
    both = (("it is suggested", told.evidence["here"]), ("nothing is suggested", told.evidence["there"]))
    rows = pd.DataFrame([[name, *each] for name, each in both], columns=["side", "value", "low", "high", "n"])
    frame.chart(
        charts_suggestions.sides(rows), rows, key="anchoring", alt=told.because, metrics=(suggestions.ANCHORING, suggestions.TAKEN),
        columns={"side": "Where", "n": "Items", "value": "Give the wrong answer"},
    )  # fmt: skip


def accepting(now: "DataFrame") -> None:
    """Accuracy by confidence, and what a threshold would do."""
    rows = suggestions.curve(now)
    if rows.empty:
        return
    st.subheader("Which suggestions could be accepted without a person?", anchor=False)
    at = threshold(rows)
    told = suggestions.accepting(now, at)
    if told is None:
        return
    alt = sentence(told)
    st.markdown(formatting.plain(alt))
    frame.chart(
        charts_suggestions.curve(rows, at, told.today), rows, key="curve", alt=alt, metrics=("suggestion_accuracy",),
        columns={"confidence": "Confidence from", "coverage": "Suggestions that reach it", "value": "Right by gold", "n": "With gold", "accepted": "Suggestions"},
    )  # fmt: skip
    effect(told)


def threshold(rows: "DataFrame") -> float:
    """The slider, whose value stands in the address as `confidence`."""
    low = min(int(100 * rows["confidence"].min()), LOWEST)
    named = st.query_params.get("confidence", str(USUAL))
    known = named.isdigit() and low <= int(named) <= 100
    if not known:
        st.warning(
            f"The link names the confidence {formatting.plain(named)}; it is a whole number from {low} to 100.", icon=":material/link_off:"
        )
    held = int(named) if known else USUAL

    def write() -> None:
        st.query_params["confidence"] = str(st.session_state["confidence-slider"])

    found: int = st.slider("Accept from a confidence of", low, 100, held, step=1, format="%d %%", key="confidence-slider", on_change=write)
    return found / 100


def sentence(told: Accepting) -> str:
    """What the threshold would do, in one sentence."""
    if not told.accepted:
        return f"No suggestion reaches a confidence of {formatting.share(told.threshold)}."
    accepted = f"From {formatting.share(told.threshold)} on {told.accepted:,} of {told.suggestions:,} suggestions ({formatting.share(told.coverage)}) would be accepted"
    if told.error.value is None:
        return f"{accepted}; how many of them are wrong cannot be told, none is a gold item."
    return f"{accepted}; {formatting.share(told.error.value)} of them are wrong ({formatting.share(told.error.low)} to {formatting.share(told.error.high)}, {told.error.n:,.0f} gold items)."


def effect(told: Accepting) -> None:
    """What would change, each figure with its basis."""
    import pandas as pd

    time = None if told.seconds is None else told.seconds / 3600
    of_time = f"{told.labels:,} labels of this window that nobody would give; {told.timed:,} of them say how long they took"
    facts: list[tuple[str, str, Interval | None, str, str]] = [
        ("Accepted suggestions that are wrong", "share", told.error, f"{told.error.n:,.0f} accepted suggestions of gold items", "measured"),
        ("Labels of people below the threshold that are wrong", "share", told.people, "their first answers to gold items", "measured"),
        ("All labels that are wrong, then", "share", told.overall, "both, by their shares", "estimated"),
        ("All labels that are wrong, today", "share", told.today, "first answers to gold items that were shown a suggestion with a confidence", "measured"),
    ]  # fmt: skip
    lines = [row(as_cells(name, each, of, basis)) for name, _, each, of, basis in facts if each is not None]
    saved: Cell = {"t": formatting.DASH if time is None else hours_in_words(time), "mark": None if time is None else told.time_basis}
    lines.append(row({"what": {"t": "Time of people saved"}, "figure": saved, "reach": {"t": formatting.DASH}, "of": {"t": of_time if time is not None else "log `seconds` to see it"}}))  # fmt: skip
    table("effect", "What accepting suggestions would do", EFFECT, lines, compact=True)
    rows = [[name, each.value, each.low, each.high, each.n, basis] for name, _, each, _, basis in facts if each is not None]
    rows.append(["Hours of people saved", time, None, None, told.labels, told.time_basis])
    twin = pd.DataFrame(rows, columns=["what", "value", "low", "high", "n", "basis"])
    frame.download("accepting.csv", lambda: inert_csv(twin.assign(threshold=told.threshold)), "CSV", key="accepting-csv")
    st.caption("It is assumed that gold items are like the others, and that people go on as they do. A threshold that is chosen on these figures looks a little better here than it will be.")  # fmt: skip


def as_cells(name: str, each: Interval, of: str, basis: str) -> dict[str, Cell]:
    """One figure as cells."""
    known = each.value is not None
    reach: dict[str, Any] = {
        "t": f"{formatting.share(each.low)} to {formatting.share(each.high)}" if known and each.low is not None else formatting.DASH
    }
    return {
        "what": {"t": name},
        "figure": {"t": formatting.share(each.value), "mark": basis if known else None},
        "reach": reach,
        "of": {"t": of},
    }
