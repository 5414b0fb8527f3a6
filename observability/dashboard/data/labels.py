"""The labels page: the predictions that have a label so far, the usual share at that age, and when the other labels are expected.

The counts and the usual share are the same as in serving/performance (metrics/label_maturity.py).
"""

from dataclasses import replace
from datetime import datetime, timedelta

import pandas as pd
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
from observability.dashboard.frame import ModelPage
from observability.dashboard.widgets import finding_lines, plain_paragraph
from observability.metrics import label_maturity
from observability.metrics.label_maturity import COMPLETE, PAST_DAYS, LabelCompletion, days_before_end

COUNTS = Aggregate("outcomes", keys=(Bucket("day"), By("label")))
WORDS = {
    "share": "Labelled",
    "usual": "Usual at this age",
    "final": "Expected in the end",
    "complete_by": f"{100 * COMPLETE:.0f} % of them expected by",
    "age": "Days after serving",
}

PEOPLE = {
    "annotator": "Annotator",
    "value": "Agreement with the others",
    "others": "Agreement among the others",
    "others_n": "Their items",
    "severity": "Severity",
}


def page_label_completion(here: ModelPage, now: datetime) -> LabelCompletion:
    """Return the label counts for the days of the window and of the four weeks before, and the usual shares of days of the same age, as
    they were known 7, 14 and 21 days before `now`.
    """
    from observability.monitoring.check_windows import question_window

    window = here.window
    version = here.model.version(window.version) if window.version else None
    context = Context(here.model, version or (here.model.versions[-1] if here.model.versions else Version("")), window, now)
    asks = label_maturity.label_history_asks()
    spans: dict[str, Window] = {name: question_window(ask, context) for name, ask in asks.items()}
    spans |= {"current_counts": window, "past_counts": window.past(PAST_DAYS)}
    if window.version is None:
        spans = {name: replace(each, version=None) for name, each in spans.items()}
    return label_maturity.label_completion({name: load.ask_store(COUNTS, each) for name, each in spans.items()}, context)


def label_maturity_by_day(of: LabelCompletion, here: ModelPage, arrived: LabelCompletion | None = None) -> pd.DataFrame:
    """Return a row for each day of the window and of the four weeks before: period, served, labelled, share, usual, final, complete_by.

    usual: the share that days of this age usually have. final: the share expected in the end, which is the day's share plus what days
    usually gain after this age (Bornhuetter and Ferguson 1972). complete_by: the day by which 95 % of the final share are expected.
    arrived: counts of the labels that had arrived by the end of the window, from which the delay is estimated; with None, the delay is
    estimated from `of`.
    """
    end, final, ready = here.window.end, of.final_share, (arrived or of).days_until_complete()
    settled = max(of.final_ages(), default=0)
    rows = []
    for day, served, labelled, _ in of.rows:
        if served > 0:
            age = days_before_end(day, end)
            share, usual = labelled / served, of.usual[age]
            gain = max(final - usual, 0.0) if age <= settled else 0.0
            known = ready is not None and len(of.usual) >= PAST_DAYS // 2
            complete_by = (day + timedelta(days=ready or 0)).date().isoformat() if known else None
            rows.append([naive_utc(day), served, labelled, share, usual, min(share + gain, 1.0), complete_by])
    return pd.DataFrame(rows, columns=["period", "served", "labelled", "share", "usual", "final", "complete_by"])


def predictions_of_label_day(here: ModelPage, point: clicks.Point, days: pd.DataFrame) -> clicks.CaseQuery | None:
    """Return the query for the labelled predictions of a clicked day, or for its unlabelled predictions if the hatched part was clicked.
    The chart also has days before the window.
    """
    around = clicks.ChartPeriod(here.scope, min(here.window.start, aware_utc(days["period"].min().to_pydatetime())), here.window.end)
    asked = {0: "label != null", 1: "label = null"}.get(int(point.get("curve_number") or 0), clicks.EVERY)
    return clicks.cases_of_period(around, point, days["period"], asked, clicks.NEWEST)


def label_share_by_age(of: LabelCompletion) -> pd.DataFrame:
    """Return age (days since serving, from 1), and the usual and the lowest share of labels in the three weeks before."""
    return pd.DataFrame([(days, of.usual[days], of.lowest[days]) for days in sorted(of.usual)], columns=["age", "usual", "lowest"])


def label_completion_sentence(days: pd.DataFrame, here: ModelPage) -> str:
    """Return a sentence on how many labels are still expected for the days of the window that have a usual share, and by when."""
    inside = days[days["period"] >= naive_utc(here.window.start)]
    if inside.empty:
        return "No prediction of this window is old enough yet."
    served, labelled = float(inside["served"].sum()), float(inside["labelled"].sum())
    coming = float((inside["final"] * inside["served"]).sum()) - labelled
    of = "this window" if len(inside) >= here.window.days else f"the {len(inside)} days that can be compared"
    by = inside["complete_by"].iloc[-1]
    if days["labelled"].sum() == 0:
        return "No prediction of these days has a label that counts as its outcome."
    if coming < 0.01 * served:
        return f"No more labels are expected for {of} (estimated from the weeks before)."
    day = formatting.format_iso_day(by) if by else None
    when = f", {100 * COMPLETE:.0f} % of all labels by {day}" if day else "; by when is unknown: the history is too short"
    return f"About {coming:,.0f} more labels are expected for {of}{when} (estimated from the weeks before)."


def label_maturity_section(here: ModelPage, found: list[Finding]) -> None:
    """Draw label maturity by day and by age, with its findings."""
    with st.skeleton(height=320):
        now = load.page_clock()
        of = page_label_completion(here, now)
        # the delay of a past window is estimated from the labels that had arrived by its end
        arrived = page_label_completion(here, min(now, here.window.end))
    days = label_maturity_by_day(of, here, arrived)
    finding_lines(finding for finding in found if finding.metric == "label_maturity")
    if days.empty:
        empty_states.empty_state(
            "Label maturity is not known yet.",
            "It needs about two weeks of predictions with labels: log records of kind label with the predictions' ids.",
        )
        return
    st.header("By day of serving", anchor=False)
    said = label_completion_sentence(days, here)
    plain_paragraph(said)
    begin, last = (aware_utc(each.to_pydatetime()) for each in (days["period"].min(), days["period"].max()))
    span = formatting.format_span(begin, last + timedelta(days=1))
    limited = next((finding for finding in found if finding.metric == "label_maturity" and isinstance(finding.limit, float)), None)
    limit = (limited.limit, limited.severity) if limited and isinstance(limited.limit, float) else (None,)
    on_bar = clicks.cases_on_click("labels", lambda point: predictions_of_label_day(here, point, days), days["period"])
    figure, metrics = charts_labels.label_maturity_bars(days, here.window, *limit), ("label_maturity",)
    frame.chart_with_table(
        figure, days, key="labels", alt=f"Labels by day of serving, {span}. {said}", metrics=metrics, columns=WORDS, on_select=on_bar
    )
    ages = label_share_by_age(arrived)
    if len(ages) > 1 and arrived.final_share > 0:
        st.header("Label delay", anchor=False)
        took = label_delay_sentence(arrived)
        plain_paragraph(took)
        figure = charts_labels.label_arrival_curve(ages)
        frame.chart_with_table(figure, ages, key="ages", alt=took, metrics=metrics, columns=WORDS)


def label_delay_sentence(of: LabelCompletion) -> str:
    """Return a sentence on the number of days within which most of a day's labels arrive, and on the share of predictions that get a label
    in the end.
    """
    first = of.days_until_complete()
    when = f"{100 * COMPLETE:.0f} % of the labels of a day arrive within {formatting.plural(first, 'day')}; " if first else ""
    after = formatting.plural(max(of.final_ages()), "day")
    return f"{when}{after} after serving, usually {100 * of.final_share:.0f} % of predictions have a label."


def annotator_agreement_frame(found: list[Finding]) -> pd.DataFrame:
    """annotator, value (agreement with the majority of the others), low, high, n, others (agreement among the others), others_n, severity.

    severity: the severity of the finding about the annotator; None if there is no finding. The annotator with the lowest agreement relative
    to the others is first. The frame is empty if no annotator can be compared.
    """
    columns = ["annotator", "value", "low", "high", "n", "others", "others_n", "severity"]
    said = [each for each in found if each.metric == "annotator_agreement"]
    severity = {each.subject.partition("=")[2]: each.severity for each in said if each.subject != "model"}
    rows = [[*each, severity.get(each[0])] for each in (said[0].evidence.get("people") or [] if said else [])]
    return pd.DataFrame(rows, columns=columns).astype({"severity": object})


def annotator_agreement_chart(found: list[Finding]) -> None:
    """Draw the agreement of each annotator as a chart with its table."""
    rows = annotator_agreement_frame(found)
    if rows.empty:
        return
    odd = rows[rows["severity"].notna()]
    lowest = rows.iloc[0]
    own, others = formatting.format_share(lowest["value"]), formatting.format_share(lowest["others"])
    claim = f"Significantly lower agreement: {', '.join(odd['annotator'])}" if len(odd) else f"No outlier among {len(rows)} annotators"
    alt = f"{claim}. Lowest: {lowest['annotator']}, {own}; the others {others}."
    plain_paragraph(alt)
    if len(rows) > charts_labels.MAX_ANNOTATORS:
        st.caption(f"Chart: the {charts_labels.MAX_ANNOTATORS} farthest below the others. Table: all {len(rows)}.")
    figure, metrics = charts_labels.annotator_dots(rows), ("annotator_agreement",)
    frame.chart_with_table(figure, rows, key="annotators", alt=alt, metrics=metrics, columns=PEOPLE)
