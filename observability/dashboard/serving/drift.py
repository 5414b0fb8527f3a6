"""Which column does the drift page look at, and what does it say about it?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action, over_window, worst_look
from observability.dashboard import choice_box, clicks, distributions, frame
from observability.dashboard.charts import drift as charts_drift
from observability.dashboard.frame import Here
from observability.dashboard.overview import window_comparison
from observability.dashboard.sidebar import BIND
from observability.incidents.grouping import listed

if TYPE_CHECKING:
    from pandas import DataFrame


BEYOND = 0.05
"""From this share on, values beyond the reference's range are spoken of."""


def columns(found: Sequence[Finding]) -> list[Finding]:
    """Of the findings about drift those that say how a whole column is: one a column."""
    return [each for each in found if each.metric == "psi"]


def summary(judged: Sequence[Finding], traded: Sequence[Finding] = ()) -> str:
    """How many moved, in one sentence, those among them of which only two levels changed places (traded)."""
    bad = [each for each in judged if needs_action(each.severity)]
    levels = [each.subject for each in traded if each.subject not in {one.subject for one in bad}]
    early = sum(each.severity == "unknown" for each in judged)
    said = f"{len(bad) + len(levels)} of {len(judged)} columns moved away from the reference"
    if bad:
        said += f", {bad[0].subject} most"
    if levels:
        said += f"; of {listed(levels)} only two levels, which changed places"
    return said + (f"; {early} cannot be judged yet." if early else ".")


def ranking(judged: Sequence[Finding]) -> "DataFrame":
    """What the bars draw, of the whole window: subject, value, low, high, limit, severity, n; where only its last days moved so far, those (`worst_look`)
    and the value there. In the order of the findings' ranks.
    """
    import pandas as pd

    columns = ["subject", "value", "low", "high", "limit", "severity", "n"]
    rows = [
        [*(getattr(over_window(each), name) for name in columns), worst_look(each), each.value if worst_look(each) else None]
        for each in sorted(judged, key=lambda one: -one.rank)
    ]
    frame_ = pd.DataFrame(rows, columns=[*columns, "worst_look", "value_there"])
    return frame_.astype({"value": float, "low": float, "high": float, "limit": float, "value_there": float})


def chosen(judged: Sequence[Finding]) -> Finding:
    """The column that the address names, else the one that moved most; one that is not there is said."""
    return choice_box.column(judged, "judged") or max(judged, key=lambda each: each.rank)


def box(judged: Sequence[Finding]) -> None:
    """The box to choose a column, bound to the address; clicks on the charts write to it."""
    names = [each.subject for each in sorted(judged, key=lambda one: -one.rank)]
    st.header("Reference and current", anchor=False)
    st.selectbox("Column", names, index=None, placeholder="The one that moved most", key="feature", bind=BIND, width=320)


def overlay(here: Here, finding: Finding) -> None:
    """Reference and current of one column on top of each other, with n and effect sizes."""
    version, window = distributions.judged_version(here.model, here.window, finding.version)
    st.markdown(f"{formatting.status(finding.severity)}: {formatting.sentence(finding.because)}")
    if version is None:
        return
    column = str(finding.evidence.get("column") or distributions.reference_of(here.model, finding.subject))
    edges = distributions.edges_of(version, column)
    current, reference = distributions.histograms(window, (column,))
    if edges is None or current.empty or reference.empty:
        st.caption("The distributions of this column are not kept.")
        return
    sizes = f"{int(reference['n'].sum()):,} predictions in the reference, {int(current['n'].sum()):,} in this window"
    st.caption(formatting.plain(f"{sizes}. {effects(finding)}"))
    if edges.levels:
        twin = distributions.levels(edges, current, reference)
        figure = charts_drift.overlay_levels(twin, name=finding.subject)
    else:
        twin = distributions.numbers(edges, current, reference)
        figure = charts_drift.overlay_numbers(twin, name=finding.subject)
    metrics = ("psi", "jensen_shannon_distance", "l_infinity") if edges.levels else ("psi", "kolmogorov_smirnov", "wasserstein")
    of = distributions.level_of if edges.levels else distributions.step_of
    on_mark = clicks.leads("overlay", lambda point: of(here, point, twin, column))
    frame.chart(figure, twin, key="overlay", alt=finding.because.replace("`", ""), metrics=metrics, on_select=on_mark)
    if not edges.levels:
        beyond(twin)
        missing(current, reference)
    window_comparison.draw(finding)


def effects(finding: Finding) -> str:
    """The effect sizes of a finding in one line."""
    words = {
        "kolmogorov_smirnov": "Kolmogorov-Smirnov D",
        "wasserstein": "Wasserstein (reference sd)",
        "mean_shift": "mean shift (reference sd)",
        "l_infinity": "L-infinity",
        "jensen_shannon_distance": "Jensen-Shannon",
    }
    whole, where = over_window(finding), worst_look(finding)
    parts = [f"PSI {formatting.number(whole.value)} ({formatting.number(whole.low)} to {formatting.number(whole.high)})"]
    if where:
        parts[0] += f". {where.capitalize()} ({finding.n:,} predictions): PSI {formatting.number(finding.value)}"
    parts += [f"{word} {formatting.number(finding.evidence[key])}" for key, word in words.items() if finding.evidence.get(key) is not None]
    if finding.evidence.get("null_95") is not None:
        parts.append(f"chance alone stays under PSI {formatting.number(finding.evidence['null_95'])}")
    return ", ".join(parts) + "."


def beyond(twin: "DataFrame") -> None:
    """Say where much of the window lies outside what the reference held."""
    for place in (0, -1):
        step = twin.iloc[place]
        if step["current"] - step["reference"] >= BEYOND:
            st.caption(
                formatting.plain(
                    f"{formatting.share(step['current'])} of the values are {step['step']}, {formatting.share(step['reference'])} in the reference; they are drawn in one step."
                )
            )


def missing(current: "DataFrame", reference: "DataFrame") -> None:
    """Values that the steps leave out, on both sides."""
    now, then = distributions.special_shares(current), distributions.special_shares(reference)
    names = list(dict.fromkeys([*now, *then]))
    if names:
        said = ", ".join(
            f"{name} {formatting.share(now.get(name, 0.0))} (reference {formatting.share(then.get(name, 0.0))})" for name in names
        )
        st.caption(formatting.plain(f"Not drawn: {said}."))


def day_sentence(days: "DataFrame") -> str:
    """What the heatmap shows most of all."""
    worst = days.iloc[int(days["value"].argmax())]
    return f"Largest on one day: {worst['subject']} on {formatting.day(worst['day'])}, PSI {formatting.number(worst['value'])}."
