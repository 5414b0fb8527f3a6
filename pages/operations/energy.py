"""Energy :material/bolt:
Energy and carbon per thousand predictions and per training run. Each figure is measured (read from counters), estimated, or assumed
(latency or duration times a stated power); hatched bars are not measured. Carbon is the energy of the device times PUE, times the carbon
intensity of the hour; SCI adds embodied carbon, where price records have it. The baseline is the model's own past by the same method.
Batches: processor time is measured; joules are processor time times a power that is measured, calibrated with its error, or assumed.
Training: the emissions of a result, the starting hour with the lowest emissions (by the intensities of 28 days), what a power cap saves and
costs.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.operations import energy, energy_batches, energy_savings
from observability.dashboard.overview import findings
from observability.dashboard.widgets import logging_examples

here = frame.begin_model_page("energy")
energy.slice_ignored_note(here)
found = energy.window_findings(here, "operations/energy")
st.header("Serving", anchor=False)
now = energy.energy_of_serving(here)
if now.method is None:
    energy.energy_sentences(found)
    energy.no_serving_energy(now)
else:
    energy.energy_by_day_charts(here, now, found)
    energy.energy_assumptions(here, now)
    energy.energy_by_version_table(here)
    energy.energy_sentences(found, ("idle_share",))

energy_batches.batches_section(here)

st.header("Training runs", anchor=False)
runs = energy.energy_of_training_runs(here)
energy.energy_sentences(found, ("run_energy_forecast",))
energy.training_run_energy_chart(runs)
energy_savings.early_stops_section(here)
energy_savings.results_section(here)
left, right = st.columns(2, gap="large")
with left:
    energy_savings.start_hour_section(here, runs)
with right:
    energy_savings.power_cap_section(here)

logging_examples(energy.EXAMPLES | energy_savings.SAVING_EXAMPLES)
findings.findings_section("energy", "Findings about energy", found, here.scope)
