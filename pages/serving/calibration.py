"""Calibration :material/straighten:
Do scores match observed rates: is an event with a score of 30 % seen 3 times in 10? Dots are groups of equally many predictions with their
95 % interval; on the dashed line score and observed rate agree. An expected calibration error (ECE) is never zero, so it is compared with
sampling noise, the ECE of a perfectly calibrated model. For a regression: does the truth rise as the prediction does?
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame
from observability.dashboard.overview import findings
from observability.dashboard.serving import calibration
from observability.dashboard.widgets import finding_lines

here = frame.begin_model_page("calibration")
found = findings.analyzer_findings(here, "serving/calibration", wait=True)
found.sort(key=lambda finding: finding.metric == "ecce")  # the finding on the ECE (or the slope) comes first
known = [finding for finding in found if finding.value is not None]
if not known:
    finding_lines(found)
    empty_states.stop_without_result(found, "No calibration yet.", "Labels may still be missing: choose an earlier or a longer window.")

alt = calibration.calibration_claims(known)
if here.model.task == "regression":
    st.header("Truth by prediction", anchor=False)
    calibration.regression_calibration_section(known[0])
else:
    decided = calibration.decided_class_box(here)
    both = calibration.calibration_sides(here, decided)
    if both is None:
        empty_states.no_rows_state(
            f"labelled predictions decided as {formatting.escape_markdown(decided)}" if decided else "labelled predictions"
        )
    else:
        calibration.class_confidence_sentence(both)
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.header("Reliability diagram", anchor=False)
            calibration.reliability_section(here, both, alt)
        with right:
            st.header("Sampling noise", anchor=False)
            calibration.ece_null_section(both)
        finding_lines(finding for finding in known[1:] if not finding.needs_action)
        st.header("Over time", anchor=False)
        calibration.ece_over_time_section(here, both)

findings.findings_section("calibration", "Findings about calibration", found, here.scope)
