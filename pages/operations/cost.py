"""Cost :material/payments:
What does the model cost, in training, labelling and serving, where will the month end, and what does one get for it? Each part is priced once: by the
cost that records carry, else by a price a request, an hour, a kWh or a label. Currencies are never converted. The forecast is a local level model of
the days so far, with its 95 % interval; the month is held against the budget that is set here. Errors are priced by the owner's own figures.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.operations import cost, energy
from observability.dashboard.overview import findings

here = frame.begin_model("cost")
energy.of_all_rows(here)
found = energy.findings_of(here, "operations/cost")
spent = cost.spending(here)
known = bool(spent.currencies) or any(each.value is not None for each in found)
if known:
    cost.sentences(found)
    st.header("This month", anchor=False)
    cost.budget(here, spent)
    cost.month(here, found)

    left, right = st.columns(2, gap="large")
    with left:
        st.header("Spent on what", anchor=False)
        cost.breakdown(spent)
    with right:
        st.header("Training runs", anchor=False)
        cost.by_run(here)
else:
    empty_states.nothing("No cost is known yet.", "One price is enough to begin with, or a cost with each prediction.")
    cost.how_to_log(expanded=True)
cost.parts_table(spent)

st.header("Findings", anchor=False)
if known:
    cost.how_to_log()
findings.listed("findings", "Findings about cost", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "cost")
