"""Performance :material/query_stats:
Is the model right, as far as labels tell? The metric over time with its 95 % interval, the limit and events; grey where most labels are still to
come. Below: which errors it makes, and the levels of a column where it is worst, with how many rows and how sure.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import clicks, empty_states, frame, load, per_class, time_series
from observability.dashboard.case import find
from observability.dashboard.charts import time as charts_time
from observability.dashboard.overview import window_comparison
from observability.dashboard.serving import performance

here = frame.begin_model("performance")
with frame.loading(300):
    found = [each for each in load.findings(here.window) if each.analyzer == "serving/performance"]
metrics = performance.measured(found)
ripe = next((each for each in found if each.metric == "label_maturity"), None)
if not metrics:
    for each in found:
        st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    empty_states.nothing(
        "Nothing could be measured in this window.",
        "Labels may still be on their way: choose an earlier window, or log labels by the id of their prediction.",
    )
    st.stop()

finding = performance.choose(metrics, here.model)
st.markdown(f"{formatting.status(finding.severity)}: **{formatting.sentence(finding.because)}**")
if ripe:
    st.caption(formatting.sentence(ripe.because))

st.header("Over time", anchor=False)
days = time_series.metric_over(here.model, here.window, finding)
figure = charts_time.metric(
    days,
    name=formatting.metric_title(finding.metric),
    unit=finding.unit,
    limit=performance.limit(finding),
    baseline=finding.evidence.get("baseline"),
    marks=time_series.marks(here.model.name, here.window),
)
frame.chart(
    figure, days, key="over-time", alt=finding.because.replace("`", ""), metrics=(finding.metric, "label_maturity"),
    on_select=clicks.leads("over-time", lambda point: clicks.period(here, point, days["period"], clicks.errors(here))),
)  # fmt: skip

window_comparison.draw(finding)

left, right = st.columns([4, 5], gap="large")
with left:
    st.header("Which errors", anchor=False)
    performance.errors(here)
    find.button("The cases with the largest loss", here.scope, "to-cases", inbox="Largest loss")
with right:
    st.header("Where it is worst", anchor=False)
    performance.slices_of(here, finding)

per_class.class_by_class(here)

st.header("All metrics", anchor=False)
performance.all_metrics(found)
