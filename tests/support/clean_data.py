"""The test in which an analyzer judges 300 clean weeks, runs, audits, batches or studies and raises no critical finding.

Run one with `LONG_TESTS=1 python -m pytest -n 0 tests/TEST`; without `LONG_TESTS` most of them judge a few.
"""

CLEAN_DATA = {
    "data/batches": "analyzers/data/test_batches.py::test_clean_weeks_rarely_raise_a_warning_and_never_a_critical_finding",
    "data/cleaning": "analyzers/data/test_cleaning.py::test_clean_weeks_rarely_raise_a_warning_and_never_a_critical_finding",
    "data/datasets": "simulation/test_frame_replay.py::test_twins_without_the_fault_raise_nothing_critical",
    "data/devices": "analyzers/data/test_devices.py::test_a_clean_week_of_a_fleet_is_silent",
    "data/labelling": "analyzers/data/test_labelling.py::test_clean_projects_raise_no_critical_finding_and_few_warnings",
    "data/labels": "analyzers/data/test_labels.py::test_clean_weeks_raise_no_critical_finding_and_few_warnings",
    "data/personal_data": "analyzers/data/test_personal_data.py::test_clean_weeks_of_texts_with_numbers_raise_nothing",
    "data/quality": "analyzers/data/test_quality.py::test_clean_weeks_hardly_ever_alarm",
    "data/requests": "analyzers/data/test_requests.py::test_a_usual_week_raises_no_alarm",
    "data/storage": "analyzers/data/test_storage.py::test_clean_weeks_raise_no_critical_finding_and_few_warnings",
    "operations/controllers": "analyzers/operations/test_controllers.py::test_clean_weeks_raise_no_critical_finding",
    "operations/cost": "analyzers/operations/test_cost.py::test_clean_weeks_raise_no_critical_finding_and_few_warnings",
    "operations/energy": "analyzers/operations/test_energy.py::test_clean_weeks_do_not_alarm",
    "operations/trade_offs": "analyzers/operations/test_trade_offs.py::test_300_clean_audits_raise_no_critical_finding",
    "serving/batch_gate": "analyzers/serving/test_batch_gate.py::test_clean_batches_are_not_held",
    "serving/calibration": "analyzers/serving/test_calibration.py::test_calibrated_weeks_seldom_alarm",
    "serving/call_drift": "simulation/test_call_faults.py::test_weeks_without_a_fault_raise_nothing_critical_and_hardly_any_warning",
    "serving/device_agreement": "analyzers/serving/test_device_agreement.py::test_clean_weeks_raise_no_finding",
    "serving/drift": "analyzers/serving/test_drift.py::test_clean_weeks_seldom_alarm",
    "serving/edge_fleet": "analyzers/serving/test_edge_fleet.py::test_clean_weeks_raise_no_critical_finding",
    "serving/estimated_performance": "analyzers/serving/test_estimated_performance.py::test_clean_weeks_seldom_distrust_or_alarm",
    "serving/latency": "analyzers/serving/test_latency.py::test_clean_weeks_and_days_seldom_alarm",
    "serving/multivariate_drift": (
        "analyzers/serving/test_multivariate_drift.py::test_clean_weeks_cannot_be_distinguished_from_the_reference"
    ),
    "serving/performance": "analyzers/serving/test_performance.py::test_clean_weeks_seldom_alarm",
    "serving/slices": "analyzers/serving/test_slices.py::test_clean_weeks_name_no_slice_as_critical",
    "serving/vendors": "analyzers/serving/test_vendors.py::test_nights_without_a_change_rarely_raise_a_finding",
    "serving/why_changed": "analyzers/serving/test_why_changed.py::test_clean_weeks_raise_no_critical_finding_and_few_warnings",
    "training/runs": "analyzers/training/test_runs.py::test_clean_runs_do_not_alarm",
    "training/selection": "analyzers/training/test_selection.py::test_equal_challengers_are_rarely_reported_worse_in_a_region",
    "training/studies": "analyzers/training/test_studies.py::test_clean_augmentations_rarely_raise_a_warning",
    "trust/audits": "analyzers/trust/test_audits.py::test_three_hundred_repeated_audits_raise_no_act_and_few_warnings",
    "trust/explanations": "simulation/test_frame_replay.py::test_twins_without_the_fault_raise_nothing_critical",
    "trust/exports": "analyzers/trust/test_exports.py::test_an_export_without_logged_fields_is_unknown_and_clean_exports_raise_nothing",
    "trust/fairness": "analyzers/trust/test_fairness.py::test_clean_weeks_seldom_alarm",
    "trust/live_guard": "analyzers/trust/test_live_guard.py::test_clean_weeks_name_nobody",
}
