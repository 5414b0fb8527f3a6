"""Input drift :material/ssid_chart:
Have the inputs or the scores moved away from the reference, which most, and on which days? Ranked by how far (and how important the feature is,
where that is known); click a bar, a cell, or choose a feature, to see reference and current on top of each other.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import choice_box, empty_states, export_report, frame, load, time_series
from observability.dashboard.charts import drift as charts_drift
from observability.dashboard.overview import findings
from observability.dashboard.serving import drift, multivariate_drift

here = frame.begin_model("drift")
with frame.loading(300):
    found = [each for each in load.findings(here.window) if each.analyzer == "serving/drift"]
judged = [each for each in drift.columns(found) if each.value is not None]
traded = [each for each in found if each.metric == "level_trade"]
if not judged:
    for each in found:
        st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    empty_states.nothing(
        "Nothing can be compared yet.",
        "Register this version with held-out predictions, or choose a longer window.",
        "add_model",
        "Register",
    )
    st.stop()

st.markdown(f"**{formatting.plain(drift.summary(judged, traded))}**")
for each in traded:
    st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
chosen = drift.chosen(judged)
st.header("Which moved most", anchor=False)
bars = drift.ranking(judged)
if here.model.settings.importance:
    st.caption("In the order of importance × drift: how far a column moved, and how much the model leans on it (a heuristic).")
if bars["value_there"].notna().any():
    st.caption("Bars are of the whole window. A ring is what its last days alone say, where they moved further than the window shows.")
figure = charts_drift.ranked(bars, selected=chosen.subject)
frame.chart(figure, bars, key="ranking", alt=drift.summary(judged, traded), metrics=("psi",), on_select=choice_box.by_click("ranking"))

drift.box(judged)
drift.overlay(here, chosen)

days = time_series.drift_by_day(judged)
if days["day"].nunique() > 1:
    st.header("On which days", anchor=False)
    st.markdown("Each cell is one day of one column against the whole reference; small days read higher by chance.")
    figure = charts_drift.heatmap(days, value="PSI", unit="", top=1.0, selected=chosen.subject)
    frame.chart(figure, days, key="days", alt=drift.day_sentence(days), metrics=("psi",), on_select=choice_box.by_click("days"))

multivariate_drift.line(here)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about drift", [each for each in found if each.severity != "ok"], here.scope)
export_report.export_button(here.window)
