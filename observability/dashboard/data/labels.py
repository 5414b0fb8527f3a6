"""Which predictions have their label by now, how many usually have by that age, and when is the rest expected?

The same counts and the same estimate of what is usual as serving/performance judges by (metrics/label_maturity.py).
"""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.analyzer import Context
from observability.core.catalog import Version
from observability.core.finding import Finding
from observability.core.questions import Aggregate, Bucket, By
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Window
from observability.dashboard import clicks, empty_states, frame, load
from observability.dashboard.charts import labels as charts_labels
from observability.dashboard.frame import Here
from observability.metrics import label_maturity
from observability.metrics.label_maturity import COMPLETE, PAST_DAYS, Completion, age

if TYPE_CHECKING:
    from pandas import DataFrame

COUNTS = Aggregate("outcomes", keys=(Bucket("day"), By("label")))
OLDEST = 7
WORDS = {
    "share": "Labelled", "usual": "Usual by this age", "final": "Expected in the end", "complete_by": f"{100 * COMPLETE:.0f} % of them expected by", "age": "Days after serving",
}  # fmt: skip

PEOPLE = {
    "annotator": "Annotator",
    "value": "Agrees with the others",
    "others": "The others without them",
    "others_n": "Their items",
    "severity": "What is said",
}


def completion(here: Here) -> Completion:
    """How many labels the days of the window and of the month before have, and usually have."""
    from observability.monitoring.check import span_of

    window = here.window
    version = here.model.version(window.version) if window.version else None
    context = Context(here.model, version or (here.model.versions[-1] if here.model.versions else Version("")), window, load.now())
    asks = label_maturity.asks()
    spans: dict[str, Window] = {name: span_of(ask, context) for name, ask in asks.items()}
    spans |= {"current_counts": window, "past_counts": window.past(PAST_DAYS)}
    if window.version is None:
        spans = {name: replace(each, version=None) for name, each in spans.items()}
    return label_maturity.completion({name: load.frame(COUNTS, each) for name, each in spans.items()}, context)


def by_day(of: Completion, here: Here) -> "DataFrame":
    """A row for each day with predictions of the window and the month before: period, served, labelled, share; usual: share that a day of this age usually
    has; final: share that it is expected to have in the end, its own and what days usually get after that age (Bornhuetter and Ferguson 1972);
    complete_by: the day by which 95 % of that are expected.
    """
    import pandas as pd

    end = here.window.end
    ready = ready_after(of)
    rows = [
        {
            "period": naive_utc(day), "served": served, "labelled": labelled, "share": labelled / served, "usual": of.usual[age(day, end)],
            "final": min(labelled / served + max(last(of) - of.usual[age(day, end)], 0.0), 1.0),
            "complete_by": None if ready is None or not settled(of) else (day + timedelta(days=ready)).date().isoformat(),
        }
        for day, served, labelled, _ in of.rows
        if served > 0
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["period", "served", "labelled", "share", "usual", "final", "complete_by"])


def of_day(here: Here, point: clicks.Point, days: "DataFrame") -> clicks.Cases | None:
    """The predictions of a day that have their label, or of the hatched part those that have none; days before the window are in the chart, too."""
    around = clicks.Around(here.scope, min(here.window.start, aware_utc(days["period"].min().to_pydatetime())), here.window.end)
    asked = {0: "label != null", 1: "label = null"}.get(int(point.get("curve_number") or 0), clicks.EVERY)
    return clicks.period(around, point, days["period"], asked, clicks.NEWEST)


def last(of: Completion) -> float:
    """Share of labels that days have in the end, as far as the month tells: the middle of its oldest week."""
    oldest = sorted(of.usual)[-OLDEST:]
    return float(np.median([of.usual[each] for each in oldest])) if oldest else 0.0


def ready_after(of: Completion) -> int | None:
    """Days after which a day usually has 95 % of the labels that it gets; None where no labels come."""
    return next((days for days in sorted(of.usual) if of.usual[days] >= COMPLETE * last(of)), None) if last(of) > 0 else None


def settled(of: Completion) -> bool:
    """Whether the weeks before tell how labels come: two weeks of ages at the least."""
    return len(of.usual) >= PAST_DAYS // 2


def by_age(of: Completion) -> "DataFrame":
    """Age (days since it was served, from 1), usual, lowest: share of labels in the three weeks before, and the lowest of them."""
    import pandas as pd

    return pd.DataFrame(
        [(days, of.usual[days], of.lowest[days]) for days in sorted(of.usual)], columns=["age", "usual", "lowest"]
    )  # fmt: skip


def sentence(days: "DataFrame", here: Here) -> str:
    """How many of the window's predictions are labelled, how many are still expected, and by when."""
    inside = days[days["period"] >= naive_utc(here.window.start)]
    if inside.empty:
        return "No predictions of this window can be told about yet."
    served, labelled = float(inside["served"].sum()), float(inside["labelled"].sum())
    coming = float((inside["final"] * inside["served"]).sum()) - labelled
    said = f"{labelled:,.0f} of {served:,.0f} predictions of this window are labelled ({100 * labelled / served:.1f} %)"
    by = inside["complete_by"].iloc[-1]
    if coming < 0.01 * served:
        return f"{said}; no more are expected, going by the weeks before."
    when = f", {100 * COMPLETE:.0f} % of what comes by {by}" if by else "; when, four weeks do not tell yet"
    return f"{said}; about {coming:,.0f} more are expected{when} (estimated from the weeks before)."


def shown(here: Here, found: list[Finding]) -> None:
    """The page below its title."""
    with st.skeleton(height=320):
        of = completion(here)
    days = by_day(of, here)
    for each in found:
        if each.metric == "label_maturity":
            st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    if days.empty:
        empty_states.nothing(
            "How labels come is not known yet.",
            "It takes predictions and their labels over about two weeks; log labels as records of kind label with the predictions' ids.",
        )
        return
    st.header("By the day that was served", anchor=False)
    said = sentence(days, here)
    st.markdown(formatting.plain(said))
    on_bar = clicks.leads("labels", lambda point: of_day(here, point, days))
    frame.chart(
        charts_labels.by_day(days, here.window), days, key="labels", alt=said, metrics=("label_maturity",), columns=WORDS, on_select=on_bar
    )
    ages = by_age(of)
    if len(ages) > 1:
        st.header("How long labels take", anchor=False)
        first = ready_after(of)
        when = f"A day usually has {100 * COMPLETE:.0f} % of its labels {formatting.plural(first, 'day')} after it began; " if first else ""
        took = f"{when}{100 * (last(of)):.0f} % of predictions get a label within {formatting.plural(max(of.usual), 'day')}."
        st.markdown(formatting.plain(took))
        frame.chart(charts_labels.by_age(ages), ages, key="ages", alt=took, metrics=("label_maturity",), columns=WORDS)


def people(found: list[Finding]) -> "DataFrame":
    """Who labels: annotator, value (agreement with most of the others), low, high, n, others (agreement of the others without them), others_n, severity of what is said
    about them (None: nothing); the lowest against the others first. Empty where nobody can be compared.
    """
    import pandas as pd

    columns = ["annotator", "value", "low", "high", "n", "others", "others_n", "severity"]
    said = [each for each in found if each.metric == "annotator_agreement"]
    severity = {each.subject.partition("=")[2]: each.severity for each in said if each.subject != "model"}
    rows = [[*each, severity.get(each[0])] for each in (said[0].evidence.get("people") or [] if said else [])]
    return pd.DataFrame(rows, columns=columns).astype({"severity": object})


def people_shown(found: list[Finding]) -> None:
    """The chart of who labels, with its table."""
    rows = people(found)
    if rows.empty:
        return
    odd = rows[rows["severity"].notna()]
    lowest = rows.iloc[0]
    said = f"{', '.join(odd['annotator'])} surely {'agrees' if len(odd) == 1 else 'agree'} less with the others than those do among themselves" if len(odd) else (
        f"Nobody stands out of {formatting.plural(len(rows), 'annotator')}; {lowest['annotator']} is farthest below the others")  # fmt: skip
    alt = (
        f"{said}: {lowest['annotator']} agrees on {formatting.share(lowest['value'])}, the others on {formatting.share(lowest['others'])}."
    )
    st.markdown(formatting.plain(alt))
    if len(rows) > charts_labels.MOST:
        st.caption(f"Drawn are the {charts_labels.MOST} farthest below the others; the table has all {len(rows)}.")
    frame.chart(charts_labels.people(rows), rows, key="annotators", alt=alt, metrics=("annotator_agreement",), columns=PEOPLE)
