"""Data quality :material/fact_check:
Do predictions arrive as they should, and are their values whole? Volume by hour or day against what was expected, then each feature against its
checks: nulls, NaN, absent, of another type, never seen in the reference, out of its range, constant, stuck.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import clicks, distributions, empty_states, frame, load, time_series
from observability.dashboard.charts import drift as charts_drift
from observability.dashboard.charts import time as charts_time
from observability.dashboard.data import quality
from observability.dashboard.overview import findings
from observability.dashboard.table import table

here = frame.begin_model("quality")
with frame.loading(240):
    found = [each for each in load.findings(here.window) if each.analyzer == "data/quality"]

st.header("Arrival", anchor=False)
volume = quality.volume(here.window, found)
said = quality.arrival(found)
st.markdown(f"{formatting.status(said.severity)}: {formatting.sentence(said.because)}" if said else "What to expect is not known yet.")
if volume["n"].sum() > 0:
    figure = charts_time.volume(volume, time_series.marks(here.model.name, here.window))
    alt = said.because.replace("`", "") if said else "Predictions over time"
    on_bar = clicks.leads("volume", lambda point: clicks.period(here, point, volume["period"], clicks.EVERY, clicks.NEWEST))
    frame.chart(figure, volume, key="volume", alt=alt, metrics=("volume", "silence_hours"), on_select=on_bar)
else:
    empty_states.no_rows()
    st.stop()

columns = quality.columns(here.model, here.window)
days = distributions.missing_by_day(here.window, columns)
rates = quality.rates(here.model, here.window, columns)
claims = quality.by_claim(found)
st.header("Features and their checks", anchor=False)
table(
    "checks", "Features by check", quality.check_columns(rates, claims), quality.check_rows(rates, claims, days, here.scope), compact=True
)
frame.explain(*quality.CHECKS)

if len(days) and days["day"].nunique() > 1:
    st.header("Missing values by day", anchor=False)
    st.markdown(quality.missing_sentence(days))
    figure = charts_drift.heatmap(days, value="missing", unit="share", top=max(float(days["value"].max()), 0.05))
    on_cell = clicks.leads("missing", lambda point: quality.cell_of(here, point, days))
    frame.chart(figure, days, key="missing", alt=quality.missing_sentence(days), metrics=("null_rate",), on_select=on_cell)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about data quality", [each for each in found if each.severity != "ok"], here.scope)
