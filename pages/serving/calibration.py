"""Calibration :material/straighten:
Do scores mean what they say: is an event that is given 30 % seen 3 times in 10? Dots are groups of equally many predictions with their 95 % interval;
on the dashed line score and truth agree. An expected calibration error (ECE) is never zero, so it stands beside what chance gives a model without any
fault. Of a regression: does the truth rise as the prediction does?
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings
from observability.dashboard.serving import calibration

here = frame.begin_model("calibration")
with frame.loading(300):
    found = calibration.main_first([each for each in load.findings(here.window, wait=True) if each.analyzer == "serving/calibration"])
known = [each for each in found if each.value is not None]
if not known:
    for each in found:
        st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    empty_states.nothing(
        "Nothing can be said about calibration yet.", "Labels may still be on their way: choose an earlier or a longer window."
    )
    st.stop()

said = calibration.claims(known)
if here.model.task == "regression":
    st.header("What was predicted, and what came true", anchor=False)
    calibration.slope(known[0])
else:
    decided = calibration.choose_class(here)
    both = calibration.sides(here, decided)
    if both is None:
        empty_states.no_rows(f"labelled predictions decided as {formatting.plain(decided)}" if decided else "labelled predictions")
    else:
        calibration.class_words(both)
        left, right = st.columns([3, 2], gap="large")
        with left:
            st.header("What was said, and what came true", anchor=False)
            calibration.curve(here, both, said)
        with right:
            st.header("Against chance", anchor=False)
            calibration.chance(both)
        st.header("Over time", anchor=False)
        calibration.over_time(here, both)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about calibration", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "calibration")
