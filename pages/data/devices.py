"""Devices :material/sensors:
Devices that collect data: completeness, delay, rejected rows and column statistics of their batches, compared with their own earlier
batches and with devices that hold the same columns. Choose a device for its batches and predictions, and to decide what is done with it.
Devices belong to no single model.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.data import batches, device_actions, devices, lineage_view
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings
from observability.dashboard.widgets import finding_lines
from observability.metrics.lineage import Thing

scope = begin_records_page("devices")
with frame.loading_skeleton(300):
    rows, window = frame.answer_or_stop(lambda: devices.devices_in_scope(scope))
    about, pending = devices.known_findings(scope, rows)
    found = None if about is None else [each for each in about if each.analyzer == devices.judged.NAME]
if rows.empty and not found:
    devices.no_devices()
    st.stop()
st.markdown(devices.devices_summary(rows, found, window))
devices.concentration_lines(rows)
chosen = devices.chosen_device(rows, found)
devices.devices_table(rows, about, chosen, scope)
devices.no_past_note(scope)
devices.few_peers_note(rows)
devices.device_day_chart(rows, found, chosen)
if pending:
    devices.pending_notice(scope)
if about is None or found is None:
    st.skeleton(height=300)
    st.stop()

own = rows[rows["subject"] == chosen]
if chosen is not None and len(own):
    words = devices.device_words(chosen)
    st.header(formatting.escape_markdown(words[0].upper() + words[1:]), anchor=False)
    said = devices.findings_about_device(about, chosen)
    finding_lines(finding for finding in said if finding.severity != "ok")
    devices.column_chart(own, said)
    device_actions.device_action_form(chosen, said, own)
    outcomes = batches.batch_outcomes(window, scope, list(map(str, own["batch"])))
    source = str(own["source"].iloc[-1])
    batches.batches_table(own, said, outcomes, None, scope, source, window)
    device = own["device"].iloc[-1]
    thing = Thing("device", (source, device)) if isinstance(device, str) else Thing("source", (source,))
    lineage_view.lineage_button(thing, scope, key="to-lineage")

findings.findings_section("device-findings", "Findings about devices", found, scope)
