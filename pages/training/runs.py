"""Training runs :material/model_training:
Every run with a record in the window: state, best metric, energy, cost and findings: spikes, values that are not finite, divergence,
plateaus, overfitting, gradients, dead units, learning rate, stragglers. Choose one for its curves: the logged values faded, the smoothed
curve over them. An active run is followed within 3 seconds; one that was killed is marked lost, and its steps stay. Window and model are
chosen in the scope bar; a link to a run always opens it.
"""

import streamlit as st

from observability.analyzers.training.runs import ANALYZER, RunVerdict
from observability.core import formatting
from observability.dashboard import frame, links, load, load_findings
from observability.dashboard import scope as scopes
from observability.dashboard.data import lineage_view
from observability.dashboard.overview import findings
from observability.dashboard.training import distributed, load_runs, runs, runs_curves, runs_devices, runs_energy
from observability.metrics.lineage import Thing

frame.store_page_heading("runs")
scope = scopes.scope_from_state(st.session_state)
with frame.loading_skeleton(300):
    window = frame.answer_or_stop(lambda: load.window_of_records(scope, ANALYZER))
    everything = load_runs.analyzed_training_runs(scope.model)
if not everything:
    runs.no_training_runs()
    st.stop()
shown = runs.runs_in_window(everything, window, scope.version)
costs = runs.energy_and_cost_of_runs(everything)
chosen = runs.chosen_run(everything, shown)
chosen = chosen and runs.closely_read_runs([chosen], everything)[0]
runs.runs_summary(shown, everything, window)
runs.training_runs_table(shown, costs, [chosen.run.name] if chosen else [], scope)
if chosen is None:
    st.stop()

st.header(formatting.escape_markdown(chosen.run.name), anchor=False)


def claims_and_curves(now: list[RunVerdict]) -> None:
    """The claims and the curves of the chosen run."""
    runs.run_findings(now)
    runs.spike_batch_links(now, scope)
    runs_curves.run_curves_section(now)


runs.follow_runs([chosen], everything, claims_and_curves)
runs_energy.forecast_line(chosen, everything)
runs.run_facts([chosen], costs)
with st.container(horizontal=True, gap="small", vertical_alignment="center"):
    if len(chosen.run.ranks) > 1:
        links.page_button("distributed", "Ranks of this run", {"run": chosen.run.name})
    lineage_view.lineage_button(Thing("run", (chosen.run.name,)), scope, key="to-lineage")
distributed.one_process_efficiency(chosen.run)
runs_devices.run_devices_section(chosen, costs)

st.header("Parameters", anchor=False)
runs_curves.run_parameters_table(chosen.run)

found = load_findings.scope_record_findings(scope, ANALYZER.name)
findings.findings_section("training", "Findings about training runs", found, scope, models=True)
