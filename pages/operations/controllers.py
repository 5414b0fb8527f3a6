"""Controllers :material/settings_input_component:
Models that steer a system, such as a cache, an index or a scheduler: what their decisions cost against the old rule, on average and in
the tail, whether outcomes come as predicted, whether decisions change their own inputs, how often a guardrail steps in, and the kill
switch.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load_findings
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.operations import controllers
from observability.dashboard.overview import findings
from observability.dashboard.widgets import leading_finding_line

scope = begin_records_page("controllers")
with frame.loading_skeleton(300):
    known, window = frame.answer_or_stop(lambda: controllers.controllers_in_scope(scope))
    about = load_findings.scope_record_findings(scope, controllers.judged.NAME)
if not known:
    controllers.no_controllers()
    st.stop()
needy = len({each.model for each in about if each.needs_action})
attention = formatting.plural(needy, "controller needs", "controllers need") if needy else "none needs"
st.markdown(
    f"**{formatting.plural(len(known), 'controller')}** decided {sum(len(each.rows) for each in known):,} times; {attention} attention."
)
chosen = controllers.chosen_controller(known, about)
controllers.controllers_table(known, about, chosen.model, scope)
own = controllers.own_findings(about, chosen.model)
st.header(formatting.escape_markdown(chosen.model), anchor=False)
controllers.kill_switch(chosen)
leading_finding_line(each for each in own if each.metric != controllers.judged.REGRET)
controllers.regret_section(chosen, own)
controllers.versus_table(chosen)
controllers.tail_section(chosen)
controllers.calibration_section(chosen, own)
controllers.feedback_section(chosen, own)
controllers.steering_section(chosen)
findings.findings_section("controller-findings", "Findings about controllers", about, scope, models=True)
