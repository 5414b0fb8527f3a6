"""Cost :material/payments:
The cost of training, labelling, serving and storage, the forecast of the month against its budget, and the cost of right decisions and
errors. Each part is priced once: by the logged cost, else by a price per request, hour, kWh or label. Currencies are not converted. The
forecast is a local level model of the days so far, with its 95 % interval. Errors are priced by the owner's settings.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.operations import cost, energy
from observability.dashboard.overview import findings
from observability.dashboard.widgets import logging_examples

here = frame.begin_model_page("cost")
energy.slice_ignored_note(here)
found = energy.window_findings(here, "operations/cost")
spent = cost.cost_breakdown(here)
known = bool(spent.currencies) or any(each.value is not None for each in found)
if known:
    cost.cost_sentences(found, first=True)
    st.header("This month", anchor=False)
    with st.container(horizontal=True):
        cost.budget_form(here, spent)
        cost.token_price_form(here)
    cost.month_forecast_chart(here, found)
    cost.cost_sentences(found, first=False)

    runs, outside = cost.priced_training_runs(here)
    left, right = st.columns(2, gap="large") if len(runs) else (st.container(), st.container())
    with left:
        st.header("Cost by part", anchor=False)
        cost.cost_by_period_charts(spent)
    with right:
        st.header("Training runs", anchor=False)
        cost.training_run_costs(runs, outside)
else:
    empty_states.empty_state("Cost is unknown.", "Log one price, or a cost with each prediction.")
    cost.token_price_form(here)
    logging_examples(cost.EXAMPLES, expanded=True)
cost.cost_parts_table(spent)

if known:
    logging_examples(cost.EXAMPLES)
findings.findings_section("cost", "Findings about cost", found, here.scope)
