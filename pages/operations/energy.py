"""Energy :material/bolt:
How much energy does the model draw for a thousand predictions and for a training run, and what is emitted for it? Each figure says whether it was
measured (read from counters), estimated, or assumed (latency or duration times a stated power); hatched bars are not measured. Energy at the device
times PUE, times the carbon intensity of the hour; SCI adds what making the hardware emitted, where price records state it. Held against the model's
own past, found in the same way.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.operations import energy
from observability.dashboard.overview import findings

here = frame.begin_model("energy")
energy.of_all_rows(here)
found = energy.findings_of(here, "operations/energy")
energy.sentences(found)

st.header("Serving", anchor=False)
now = energy.measured(here)
if now.method is None:
    energy.nothing_known(now)
else:
    energy.by_day(here, now, found)
    energy.assumptions(here, now)
    energy.versions(here)

st.header("Training runs", anchor=False)
energy.runs(here)

st.header("Findings", anchor=False)
energy.how_to_log()
findings.listed("findings", "Findings about energy", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "energy")
