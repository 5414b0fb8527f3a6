"""Trade-offs :material/balance:
Forms of one model on the same rows: fewer trees, fp16, bf16, int8, a small network, threads and devices. Each is compared by changed
decisions (also by slice), repeatability, latency, energy, size and cost. Choose the one to serve. An audit is run by the command
trade-offs, on the page Audits, or imported.
"""

import streamlit as st

from observability.analyzers.operations import trade_offs as judged
from observability.dashboard import form_decision, frame, load_findings
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.operations import trade_offs
from observability.dashboard.overview import findings
from observability.dashboard.widgets import leading_finding_line, plain_caption

scope = begin_records_page("trade_offs")
with frame.loading_skeleton(300):
    audits = frame.answer_or_stop(lambda: trade_offs.known_audits(scope))
    about = load_findings.scope_record_findings(scope, judged.NAME)
if not audits:
    trade_offs.trade_offs_empty_state()
    st.stop()
choice = trade_offs.chosen_comparison(audits)
audit = choice.audit
own = [each for each in about if (each.model, each.version) == (audit.model, audit.version)]
made = form_decision.made_form_decisions(lambda each: each.serves(audit.model, audit.version))
used = made[0].form if made else audit.in_use
trade_offs.comparison_summary(choice)
leading_finding_line(own)
trade_offs.trade_off_chart(choice)
trade_offs.forms_table(choice, used)
trade_offs.slice_section(choice)
st.header("Decision", anchor=False)
form_decision.form_decision_section(trade_offs.form_to_serve(choice, used, own, scope), made)
findings.findings_section("trade-off-findings", "Findings about forms", own, scope)
others = sorted({f"{each.model} {each.version}" for each in about if each.needs_action and each not in own})
if others:
    plain_caption(f"Findings about forms of other versions: {', '.join(others)}.")
