"""The suggestions of a labelling project: how often annotators accept them, how often annotators follow wrong suggestions (anchoring), and
the effect of accepting confident suggestions.
"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import hours_in_words
from observability.dashboard import frame
from observability.dashboard.charts import suggestions as charts_suggestions
from observability.dashboard.choice_box import address_writer, link_warning
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, finding_lines, plain_paragraph
from observability.metrics import suggestions
from observability.metrics.suggestions import AcceptanceOutcome
from observability.stats.interval import Interval

USUAL = 90
"""Default confidence of the slider, in hundredths."""
LOWEST = 50
"""Lowest confidence of the slider, in hundredths. The slider begins lower if there are suggestions with a lower confidence."""
EFFECT_COLUMNS = columns_on_phone(
    "what figure",
    column("what", "Figure", strong=True),
    *number_columns(figure="Value", reach="95 % interval"),
    column("of", "Of"),
)


def suggestions_section(now: pd.DataFrame, found: Sequence[Finding]) -> None:
    """Draw the section about suggestions; nothing if no suggestion was shown."""
    if not now["shown"].any():
        return
    st.header("Suggestions", anchor=False)
    order = (suggestions.ANCHORING, suggestions.TAKEN, suggestions.ACCEPTANCE)
    about = [finding for finding in found if finding.metric in order and "/annotator:" not in finding.subject]
    finding_lines(sorted(about, key=lambda finding: order.index(finding.metric)))
    _anchoring_chart(next((each for each in found if each.metric == suggestions.ANCHORING and "here" in each.evidence), None))
    _acceptance_section(now)


def _anchoring_chart(told: Finding | None) -> None:
    """Draw how often annotators give a wrong answer, on the same items: when it is suggested to them and when nothing is suggested."""
    if told is None:
        return
    both = (("it is suggested", told.evidence["here"]), ("nothing is suggested", told.evidence["there"]))
    rows = pd.DataFrame([[name, *each] for name, each in both], columns=["side", "value", "low", "high", "n"])
    figure, metrics = charts_suggestions.anchoring_dots(rows), (suggestions.ANCHORING, suggestions.TAKEN)
    columns = {"side": "Where", "n": "Items", "value": "Wrong answers"}
    frame.chart_with_table(figure, rows, key="anchoring", alt=told.because, metrics=metrics, columns=columns)


def _acceptance_section(now: pd.DataFrame) -> None:
    """Draw accuracy by confidence, and the effect of a threshold."""
    rows = suggestions.acceptance_curve(now)
    if rows.empty:
        return
    st.subheader("Automatic acceptance", anchor=False)
    at = _confidence_threshold(rows)
    told = suggestions.acceptance_outcome(now, at)
    if told is None:
        return
    alt = acceptance_sentence(told)
    plain_paragraph(alt)
    columns = {
        "confidence": "Confidence from",
        "coverage": "Coverage",
        "value": "Gold accuracy",
        "n": "Gold items",
        "accepted": "Suggestions",
    }
    figure = charts_suggestions.accuracy_coverage_curve(rows, at, told.today)
    frame.chart_with_table(figure, rows, key="curve", alt=alt, metrics=("suggestion_accuracy",), columns=columns)
    _acceptance_effect(told)


def _confidence_threshold(rows: pd.DataFrame) -> float:
    """Draw the slider, whose value is the parameter `confidence` of the address, and return the threshold."""
    low = min(int(100 * rows["confidence"].min()), LOWEST)
    named = st.query_params.get("confidence", str(USUAL))
    known = named.isdigit() and low <= int(named) <= 100
    if not known:
        link_warning(f"The link names the confidence {named}; expected a whole number from {low} to 100.")
    held = int(named) if known else USUAL
    write = address_writer("confidence", "confidence-slider", str)
    found: int = st.slider("Accept from confidence", low, 100, held, step=1, format="%d %%", key="confidence-slider", on_change=write)
    return found / 100


def acceptance_sentence(told: AcceptanceOutcome) -> str:
    """The effect of the threshold in one sentence."""
    threshold = formatting.format_share(told.threshold)
    if not told.accepted:
        return f"No suggestion reaches a confidence of {threshold}."
    accepted = f"{told.accepted:,} of {told.suggestions:,} suggestions ({formatting.format_share(told.coverage)}) reach {threshold}"
    if told.error.value is None:
        return f"{accepted}; their error rate is unknown, as none is a gold item."
    interval = formatting.format_interval(told.error.low, told.error.high, "share")
    return f"{accepted}; {formatting.format_share(told.error.value)} of them are wrong ({interval}, {told.error.n:,.0f} gold items)."


def _acceptance_effect(told: AcceptanceOutcome) -> None:
    """Draw the figures that the threshold would change, each with the basis of its estimate."""
    hours = None if told.seconds is None else told.seconds / 3600
    facts: list[tuple[str, Interval | None, str, str]] = [
        ("Error rate of accepted suggestions", told.error, f"{told.error.n:,.0f} accepted suggestions of gold items", "measured"),
        ("Error rate of annotators below the threshold", told.people, "their first answers to gold items", "measured"),
        ("Error rate of all labels, with this threshold", told.overall, "the two rows above, weighted by their shares", "estimated"),
        ("Error rate of all labels, today", told.today, "first answers to gold items with a suggestion and a confidence", "measured"),
    ]
    known = [(name, figure, of, basis) for name, figure, of, basis in facts if figure is not None]
    lines = [table_row(_effect_cells(name, figure, of, basis)) for name, figure, of, basis in known]
    saved: Cell | None = {"t": hours_in_words(hours), "mark": told.time_basis} if hours is not None else None
    of_time = f"{told.labels:,} labels of this window no longer needed; {told.timed:,} with a logged time"
    of_time = of_time if hours is not None else "log `seconds` to see it"
    lines.append(table_row(what="Annotator time saved", figure=saved, reach=None, of=of_time))
    with st.expander("Errors and time, now and with acceptance", icon=":material/table_rows:"):
        draw_table("effect", "Effect of accepting suggestions", EFFECT_COLUMNS, lines, compact=True)
    rows = [[name, figure.value, figure.low, figure.high, figure.n, basis] for name, figure, _, basis in known]
    rows.append(["Hours of annotators saved", hours, None, None, told.labels, told.time_basis])
    twin = pd.DataFrame(rows, columns=["what", "value", "low", "high", "n", "basis"])
    csv_button("accepting", lambda: twin.assign(threshold=told.threshold))
    about = "Assumes that gold items are like the others. A threshold chosen on these figures looks slightly better here than it will be."
    st.caption("Estimated from gold items.", help=about)


def _effect_cells(name: str, figure: Interval, of: str, basis: str) -> dict[str, Cell]:
    """The cells of one figure."""
    known = figure.value is not None
    interval = formatting.format_interval(figure.low, figure.high, "share") if known else formatting.DASH
    return {
        "what": {"t": name},
        "figure": {"t": formatting.format_share(figure.value), "mark": basis if known else None},
        "reach": {"t": interval},
        "of": {"t": of},
    }
