"""How is one model, answered in order: is it up, are its inputs normal, is it right, is it fair, what drives it, what does it cost, what changed?

Each answer is a heading, one sentence with a status, a small chart with its table, and a link to the page that shows more.
"""

from collections.abc import Callable, Sequence

import streamlit as st

from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding, Severity, needs_action
from observability.dashboard import clicks, frame, links, time_series
from observability.dashboard.charts import time as charts_time
from observability.dashboard.frame import Here
from observability.dashboard.overview import fleet
from observability.dashboard.overview.fleet import Standing
from observability.dashboard.table import table
from observability.incidents.grouping import listed
from observability.metrics.performance import HEADLINE

UP = ("volume", "freshness_hours", "silence_hours")
"""Metrics of data/quality that are about arrival, not about values."""
OUTCOMES = ("serving/calibration", "serving/estimated_performance", "serving/why_changed")
"""Analyzers beside serving/performance that say whether the model is right."""
Question = Callable[[Here, Standing], None]


def is_it_up(here: Here, standing: Standing) -> None:
    """Traffic, errors, freshness."""
    traffic = standing.traffic
    n, errors = float(traffic["n"].sum()), float(traffic["errors"].sum())
    found = [each for each in standing.of("data/quality") if each.metric in UP]
    failed = f"{formatting.share(errors / n)} of them failed" if errors else "none of them failed"
    said = f"{n:,.0f} predictions in {formatting.span(here.window.start, here.window.end)}" + (f", {failed}." if n else ".")
    slow = standing.of("serving/latency")
    asked = needing(standing, "data/requests")
    p99 = fleet.figure(standing, "serving/latency", "latency_p99")
    heading(
        "Is it up?", fleet.worst([*found, *slow, *asked]), said, "latency" if slow else "quality", here, after=p99.because if p99 else None
    )
    if n:
        shown = traffic[["period", "n"]].rename(columns={"n": "value"})
        figure = charts_time.small(shown, name="predictions", unit="predictions", marks=standing.events)
        frame.chart(
            figure,
            traffic,
            key="model-traffic",
            alt=f"Traffic: {said}",
            metrics=("volume", "freshness_hours"),
            on_select=clicks.leads(
                "model-traffic", lambda point: clicks.period(here, point, traffic["period"], clicks.EVERY, clicks.NEWEST)
            ),
        )


def are_inputs_normal(here: Here, standing: Standing) -> None:
    """Quality of the values, and drift."""
    quality = [each for each in standing.of("data/quality") if each.metric not in UP]
    drift = standing.of("serving/drift")
    inside = [each for each in needing(standing, "serving/slices") if each.likely_source == "input"]
    both = fleet.worst([*quality, *drift, *needing(standing, "serving/multivariate_drift"), *inside])
    moved = {each.subject for each in drift if needs_action(each.severity)}
    broken = [each for each in quality if needs_action(each.severity)]
    judged = {each.subject for each in drift if each.value is not None}
    said = f"{len(moved)} of {len(judged)} inputs and scores moved away from the reference"
    said = drift[0].because if drift and not judged else f"{said}; {formatting.plural(len(broken), 'problem')} with values."
    heading("Are its inputs normal?", both, said, "drift", here)
    worst = next((each for each in drift if each.evidence.get("by_day")), None)
    if worst is not None:
        days = time_series.drift_by_day([worst]).rename(columns={"day": "period"})
        figure = charts_time.small(
            days[["period", "value"]], name=f"PSI of {worst.subject}", unit="", limit=fleet.single(worst), marks=standing.events
        )
        st.caption(f"The input that moved most, {formatting.plain(worst.subject)}, by day; small days read higher by chance.")
        on_mark = clicks.leads("model-drift", lambda point: clicks.period(here, point, days["period"], clicks.EVERY, clicks.NEWEST))
        frame.chart(figure, days, key="model-drift", alt=worst.because.replace("`", ""), metrics=("psi",), on_select=on_mark)


def needing(standing: Standing, *analyzers: str) -> list[Finding]:
    """What some analyzers say that needs a person."""
    return [each for name in analyzers for each in standing.of(name) if needs_action(each.severity)]


def page_of(found: Sequence[Finding]) -> str:
    """The page that shows the worst of what is said about outcomes."""
    name = found[0].analyzer.partition("/")[2] if graver(found, "unknown") else ""
    return name if name in links.page_files() else "performance"


def graver(found: Sequence[Finding], severity: Severity) -> bool:
    """Whether the worst finding needs a person, and more than a severity says."""
    return bool(found) and needs_action(found[0].severity) and SEVERITIES.index(found[0].severity) < SEVERITIES.index(severity)


def is_it_right(here: Here, standing: Standing) -> None:
    """The headline metric, measured, and how many labels are in."""
    measured = standing.of("serving/performance")
    main = next((each for each in measured if each.metric == HEADLINE.get(here.model.task or "")), None)
    ripe = next((each for each in measured if each.metric == "label_maturity"), None)
    inside = [each for each in needing(standing, "serving/slices") if each.likely_source != "input"]
    found = fleet.worst([*measured, *needing(standing, *OUTCOMES), *inside])
    said = main.because if main else measured[0].because if measured else "Nothing could be measured."
    after = ripe.because if ripe else None
    if main and graver(found, main.severity):
        said, after = found[0].because, " ".join([main.because, *([after] if after else [])])
    heading("Is it right?", found, said, page_of(found), here, after=after)
    if main is not None and main.value is not None:
        days = time_series.of_metric(main)
        figure = charts_time.metric(
            days,
            name=formatting.metric_title(main.metric),
            unit=main.unit,
            limit=fleet.single(main),
            baseline=main.evidence.get("baseline"),
            marks=standing.events,
            height=200,
        )
        frame.chart(
            figure,
            days,
            key="model-outcome",
            alt=main.because.replace("`", ""),
            metrics=(main.metric, "label_maturity"),
            on_select=clicks.leads("model-outcome", lambda point: clicks.period(here, point, days["period"], clicks.errors(here))),
        )


def is_it_fair(here: Here, standing: Standing) -> None:
    """Whether groups are treated alike."""
    found = standing.of("trust/fairness")
    if not found:
        said = "No sensitive attribute is known, so groups cannot be compared."
    else:
        attributes = dict.fromkeys(each.subject.partition("=")[0] for each in found)
        bad = [each for each in found if needs_action(each.severity)]
        said = f"{formatting.plural(len(bad), 'problem')} in how groups by {listed(list(attributes))} are treated."
        said = found[0].because if not any(each.value is not None for each in found) else said
    heading("Is it fair?", found, said, "fairness", here, known=bool(found))


def what_drives_it(here: Here, standing: Standing) -> None:
    """Which features the predictions rest on, now against the reference."""
    found = standing.of("trust/explanations")
    main = next((each for each in found if each.subject == "model"), None)
    heading("What drives it?", found, main.because if main else "No explanation is known.", "explanations", here, known=bool(found))


def what_does_it_cost(here: Here, standing: Standing) -> None:
    """Money and energy of a thousand predictions."""
    money = fleet.figure(standing, "operations/cost", "cost_per_thousand")
    energy = fleet.figure(standing, "operations/energy", "energy_per_thousand")
    found = fleet.worst([*standing.of("operations/cost"), *standing.of("operations/energy")])
    said = [each.because for each in (money, energy) if each is not None]
    first = said[0] if said else found[0].because if found else "Nothing about cost or energy is known."
    told = found[0].because if found and needs_action(found[0].severity) else first  # what `heading` says is not said again
    after = next((each for each in said[1:] if each != told), None)
    heading("What does it cost?", found, first, "cost", here, after=after, known=bool(found))


def what_changed(here: Here, standing: Standing) -> None:
    """Events, and findings that the window before did not have."""
    rows = fleet.changes([standing], here.scope)
    events, fresh = len(standing.events), len(standing.fresh)
    said = f"{formatting.plural(events, 'event')} and {formatting.plural(fresh, 'finding')} that the same time before did not have."
    heading("What changed?", standing.fresh, said, "findings", here)
    if rows:
        table("changed", "Events and new findings", fleet.CHANGE_COLUMNS, rows[:12], compact=True)


def heading(
    question: str, found: Sequence[Finding], sentence: str, page: str, here: Here, after: str | None = None, *, known: bool = True
) -> None:
    """The question, the answer with its status, the worst finding where it needs a person, and the link. known: whether anything was looked at."""
    worst = found[0] if found else None
    severity = worst.severity if worst and needs_action(worst.severity) else fleet.settled(found) if known else "unknown"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(question, anchor=False, width="content")
        st.page_link(
            str(links.page_files()[page]),
            label=links.about(links.page_files()[page])[0],
            icon=":material/arrow_forward:",
            icon_position="right",
            query_params=here.scope.parameters(),
        )
    st.markdown(f"{formatting.status(severity)}: {formatting.sentence(sentence)}")
    if worst and needs_action(severity) and worst.because != sentence:
        st.markdown(f":gray[Worst:] {formatting.sentence(worst.because)}")
    if worst and severity == "unknown" and worst.because != sentence:
        st.caption(formatting.sentence(worst.because))
    if after:
        st.caption(formatting.sentence(after))


QUESTIONS: tuple[Question, ...] = (
    is_it_up,
    are_inputs_normal,
    is_it_right,
    is_it_fair,
    what_drives_it,
    what_does_it_cost,
    what_changed,
)
