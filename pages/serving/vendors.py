"""Vendors :material/cloud_queue:
Models that serve elsewhere, asked the same questions again and again. Answers of the newest round are compared with a baseline and with the
round before, so that a change that the vendor does not announce is seen. Below them, the calls of language models that tracing has logged.
"""

import streamlit as st

from observability.core import formatting
from observability.core.finding import worst_first
from observability.dashboard import frame, load_findings
from observability.dashboard.data.records_summary import attention_count, begin_records_page, dates_note
from observability.dashboard.overview import findings
from observability.dashboard.serving import model_calls, vendor_timeline, vendors
from observability.dashboard.widgets import finding_lines

scope = begin_records_page("vendors")
with frame.loading_skeleton(300):
    sets, window = frame.answer_or_stop(lambda: vendors.sets_in_scope(scope))
    found = load_findings.scope_record_findings(scope, vendors.judged.NAME)
    of_calls = model_calls.call_drift_findings(scope)
if not sets:
    vendors.probes_empty_state()
    model_calls.traffic_section(scope, of_calls)
    if of_calls:
        findings.findings_section("vendor-findings", "Findings about calls", of_calls, scope)
    st.stop()
models = len({rounds.model for rounds, _ in sets})
st.markdown(
    f"**{formatting.plural(models, 'model')}**, {formatting.plural(len(sets), 'set')} of fixed questions{dates_note(window)}; "
    f"{attention_count(found, 'set')}.{vendors.simulated_note(sets)}"
)
chosen = vendors.chosen_set(sets, found)
vendors.sets_table(sets, found, chosen, scope)

rounds, changes = next(each for each in sets if vendors.set_key(each[0]) == chosen)
vendor_timeline.timeline_section(sets, found, rounds.model)
own = vendors.judged.set_findings(found, rounds.model, rounds.name)
st.header(formatting.escape_markdown(f"{rounds.model}: {rounds.name}"), anchor=False)
finding_lines(finding for finding in own if finding.severity != "ok")
vendors.similarity_caption(rounds)
vendors.rounds_chart(rounds, changes, own)
if changes is not None:
    st.header("Answers that changed", anchor=False)
    vendors.changed_section(rounds, changes)
    vendors.accept_form(rounds)

model_calls.traffic_section(scope, of_calls)
findings.findings_section("vendor-findings", "Findings about vendors", worst_first([*found, *of_calls]), scope)
