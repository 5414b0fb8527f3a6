"""Draws the figures that belong to one page each, from made-up values, in the states that the gallery shows (charts/gallery_states.py)."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.dashboard.charts import (
    audits,
    augmentation,
    calibration,
    case,
    collection,
    compare,
    controllers,
    crowd,
    data_audits,
    domain,
    edge_fleet,
    energy,
    energy_savings,
    estimates,
    explanations,
    exports,
    fairness,
    incident,
    labels,
    latency,
    outcomes,
    records,
    runs,
    storage,
    studies,
    suggestions,
    trade_offs,
)
from observability.dashboard.charts.gallery_states import START, state_frame


def _incident(state: str) -> go.Figure:
    frame, band = state_frame(state), (0.5, 0.62, "range of its own past")
    onset = (START + pd.Timedelta(days=3)).tz_localize("UTC").to_pydatetime()
    return incident.incident_line(frame, name="Null rate", unit="", limit=0.6, severity="act", baseline=0.55, band=band, onset=onset)


def _records(state: str) -> go.Figure:
    frame = state_frame(state, words="").rename(columns={"period": "at"})
    return records.record_marks(frame.assign(severity=np.resize(["ok", "watch", "act"], len(frame))), name="rows", usual=0.6)


def _weeks(state: str) -> go.Figure:
    return crowd.agreement_by_week(state_frame(state).rename(columns={"period": "week"}))


def _annotators(state: str) -> go.Figure:
    return labels.annotator_dots(state_frame(state, others=0.6, others_n=900, severity=None).rename(columns={"name": "annotator"}))


def _vendor_sets(state: str) -> go.Figure:
    frame = state_frame(state)
    marks = [frame.assign(at=frame["period"], label=f"set {place}", value=frame["value"].abs() / (1 + place)) for place in range(3)]
    rows = pd.concat(marks, ignore_index=True).assign(mark="", severity="ok", words="hover text")
    rows.loc[len(rows) // 2 :: 40, ["mark", "severity"]] = ["change", "act"]
    return records.flips_by_set(rows)


def _audited(state: str) -> go.Figure:
    return data_audits.audited_share_bars(state_frame(state, limit=0.5, severity="watch"), x="share of rows")


def _effects(state: str) -> go.Figure:
    return data_audits.rule_effect_dots(state_frame(state, before=0.6, after=0.61), x="change of accuracy")


def _stragglers(state: str) -> go.Figure:
    frame = state_frame(state)
    return runs.straggler_ratio_line(pd.DataFrame({"step": range(len(frame)), "slowest_over_median": 1 + frame["value"].abs()}))


def _phases(state: str) -> go.Figure:
    frame = state_frame(state)
    parts = [pd.DataFrame({"rank": frame["name"], "phase": phase, "ms": frame["value"].abs()}) for phase in ("compute", "data")]
    return runs.phase_bars(pd.concat(parts, ignore_index=True))


def _search(state: str) -> go.Figure:
    frame = state_frame(state, chance_low=None, chance_high=None).rename(columns={"name": "run"})
    places = range(1, len(frame) + 1)
    return studies.best_against_budget(
        frame.assign(trial=places, seconds=places, best=frame["value"].cummin(), repeat=[place % 3 == 0 for place in places]), "loss"
    )


def _searches(state: str) -> go.Figure:
    frame = state_frame(state)
    places = range(1, len(frame) + 1)
    parts = [frame.assign(study=f"search-{place}", trial=places, best=frame["value"].cummin() - place / 10) for place in range(6)]
    return studies.best_of_studies(pd.concat(parts, ignore_index=True), "loss")


def _importances(state: str) -> go.Figure:
    frame = state_frame(state)
    return studies.importance_bars(frame.assign(share=frame["value"].abs(), p_value=np.resize([0.001, 0.4], len(frame))), 0.05)


def _audited_groups(state: str) -> go.Figure:
    return audits.audited_group_dots(state_frame(state), "accuracy", level=0.6)


def _budgets(state: str) -> go.Figure:
    frame = state_frame(state, curve="attack")
    return audits.budget_curves(frame.assign(at=np.linspace(0, 1, len(frame))), "budget", "accuracy")


def _sessions(state: str) -> go.Figure:
    frame = state_frame(state)
    return suggestions.session_accuracy_dots(frame.assign(hour=range(len(frame))))


def _used(state: str) -> go.Figure:
    frame = state_frame(state, room=2.0).rename(columns={"period": "day"})
    return storage.used_by_day(frame.assign(used=frame["value"].abs()))


def _forecast(state: str) -> go.Figure:
    return energy.cost_forecast_fan(state_frame(state), currency="USD", say=lambda value: f"USD {value:,.3g}", budget=0.9)


def _run_energy(state: str) -> go.Figure:
    frame = state_frame(state, source="measured").rename(columns={"name": "run"})
    return energy.run_energy_bars(frame, name="Wh", say=lambda value: f"{value:.3g} Wh")


def _cost(state: str) -> go.Figure:
    frame = state_frame(state)
    parts = {name: frame["value"].abs() * share for share, name in enumerate(("training", "labelling", "serving", "storage"), 1)}
    return energy.cost_stack(frame[["period"]].assign(**parts), currency="USD", say=lambda value: f"USD {value:,.3g}")


def _gains(state: str) -> go.Figure:
    return augmentation.slice_change_dots(state_frame(state))


def _arrivals(state: str) -> go.Figure:
    frame = state_frame(state)
    return labels.label_arrival_curve(
        pd.DataFrame({"age": range(len(frame)), "usual": frame["value"].abs(), "lowest": frame["value"].abs() * 0.8})
    )


def _replay(state: str) -> go.Figure:
    frame = state_frame(state, policy="margin")
    return crowd.replay_curves(frame.assign(share=np.linspace(0, 1, len(frame)), errors=frame["value"].abs()))


def _ece(state: str) -> go.Figure:
    return calibration.ece_trend(state_frame(state, null_95=0.5).rename(columns={"value": "ece"}))


def _distances(state: str) -> go.Figure:
    frame = state_frame(state, null_95=0.5, verdict="unknown", n_a=1200, n_b=1200)
    return compare.distance_bars(frame.rename(columns={"name": "column", "value": "psi"}), least=0.1)


def _changes(state: str) -> go.Figure:
    frame = state_frame(state, verdict="unknown", said="").rename(columns={"value": "multiple"})
    return compare.forest_plot(frame)


def _regret(state: str) -> go.Figure:
    return controllers.regret_line(state_frame(state, evaluated=400).rename(columns={"period": "day"}))


def _steering(state: str) -> go.Figure:
    frame = state_frame(state, by="model").rename(columns={"period": "day"})
    return controllers.steering_bars(frame.assign(share=frame["value"].abs()))


def _permutations(state: str) -> go.Figure:
    return domain.permutation_importance_bars(state_frame(state).rename(columns={"name": "subject", "value": "loss"}))


def _correlations(state: str) -> go.Figure:
    return domain.correlation_change_dots(state_frame(state, reference=0.2, severity="watch").rename(columns={"name": "pair"}))


def _lags(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"period": "day"})
    return edge_fleet.lag_lines(frame.assign(p50=frame["value"].abs(), p95=2 * frame["value"].abs()), 2.0)


def _importance(state: str) -> go.Figure:
    frame = state_frame(state, share=0.1).rename(columns={"name": "feature"})
    return explanations.importance_bars(frame.assign(mean=frame["value"].abs()), unit="", against=None)


def _latency(state: str) -> go.Figure:
    frame = state_frame(state)
    values = frame["value"].abs()
    return latency.latency_percentile_lines(
        frame.assign(p50=values, p95=2 * values, p99=3 * values, low=2.5 * values, high=4 * values), limit=2.0
    )


def _requests(state: str) -> go.Figure:
    frame = state_frame(state)
    return latency.requests_by_status_bars(frame[["period"]].assign(ok=frame["value"].abs(), error=frame["value"].abs() / 9))


def _errors(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"value": "error", "low": "error_low", "high": "error_high"})
    return estimates.estimate_error_dots(frame, name="accuracy", unit="", allowed=0.1)


def _rule_trend(state: str) -> go.Figure:
    return case.error_rate_trend(state_frame(state), overall=0.6)


def _squares(state: str) -> go.Figure:
    frame = state_frame(state)
    return crowd.confusion_squares(frame.assign(true=frame["name"], label=frame["name"], share=frame["value"].abs()))


def _deletions(state: str) -> go.Figure:
    values = state_frame(state)["value"]
    return audits.deletion_curves(pd.DataFrame({"features": range(len(values)), "by_attribution": values, "at_random": values / 2}))


def _quantiles(state: str) -> go.Figure:
    frame = state_frame(state, side="model")
    return controllers.quantile_lines(frame.assign(quantile=np.linspace(0.1, 0.9, len(frame))), "minutes")


def _feedback(state: str) -> go.Figure:
    frame = state_frame(state)
    return controllers.feedback_dots(frame.assign(**{name: frame[name].abs() for name in ("value", "low", "high")}), 0.05, "watch")


def _form_slices(state: str) -> go.Figure:
    return trade_offs.form_slice_dots(state_frame(state), 0.6)


def _anchoring(state: str) -> go.Figure:
    return suggestions.anchoring_dots(state_frame(state).rename(columns={"name": "side"}).head(2))


def _flow(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"name": "group"})
    parts = [
        frame[["group"]].assign(outcome=outcome, rows=share * frame["value"].abs()) for outcome, share in (("kept", 900), ("a rule", 90))
    ]
    return collection.cleaning_flow(pd.concat(parts, ignore_index=True))


def _devices(state: str) -> go.Figure:
    frame = state_frame(state, column=None).rename(columns={"period": "day", "name": "subject"})
    return collection.device_day_heatmap(frame.assign(label=frame["subject"]), name="share of nulls", unit="share", selected=None)


def _privacy_budgets(state: str) -> go.Figure:
    frame = state_frame(state, budget=1.0).rename(columns={"name": "who", "period": "at", "value": "share"})
    return exports.budget_steps(frame.assign(epsilon=frame["share"]))


def _start_hours(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"value": "grams"})
    return energy_savings.start_hour_bars(frame.assign(hour=range(len(frame))), usual=0.6, best=3)


def _power_caps(state: str) -> go.Figure:
    frame = state_frame(state, runs=3, wh=5.0, seconds=90.0)
    shares = {f"{part}{end}": frame[end.strip("_") or "value"] for part in ("saved", "slower") for end in ("", "_low", "_high")}
    return energy_savings.power_cap_curve(frame.assign(watts=np.arange(len(frame)) * 50 + 100, **shares), knee=150, source="measured")


def _results_against_carbon(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"name": "run"})
    best = np.arange(len(frame)) % 2 == 0
    return energy_savings.results_against_carbon_marks(frame.assign(grams=frame["value"].abs() * 10, best=best), "accuracy")


def _attacks(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"name": "attack", "value": "true_positive_rate"})
    return audits.attack_roc(frame.assign(false_positive_rate=0.1))


def _far_requests(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"value": "requests"})
    return audits.distance_shares(frame.assign(distance=range(len(frame)), reference=0.5), 3.0)


def _confusion(state: str) -> go.Figure:
    names = state_frame(state)["name"].astype(str).tolist()[:12]
    counts = [[900.0 if row == column else 100.0 for column in range(len(names))] for row in range(len(names))]
    return outcomes.confusion_heatmap(counts, names)


def _versions_of_devices(state: str) -> go.Figure:
    frame = state_frame(state, version="1", share=1.0, devices=90).rename(columns={"period": "day"})
    return edge_fleet.version_shares(frame, ["1"])


def _ratios(state: str) -> go.Figure:
    frame = state_frame(state, enough=True, what="predictions").rename(columns={"name": "group"})
    return fairness.selection_ratio_dots(frame.assign(reference=np.nan), against="A", low=0.8, high=1.25)


PAGE_FIGURES: dict[str, Callable[[str], go.Figure]] = {
    "Incident": _incident,
    "Records": _records,
    "Changed answers of a vendor": _vendor_sets,
    "Agreement by week": _weeks,
    "Annotators": _annotators,
    "Audited shares": _audited,
    "Effects of rules": _effects,
    "Slowest rank": _stragglers,
    "Phases of a step": _phases,
    "Trials": _search,
    "Studies side by side": _searches,
    "Importances of parameters": _importances,
    "Audited groups": _audited_groups,
    "Budget of an attack": _budgets,
    "Accuracy by hour": _sessions,
    "Used by day": _used,
    "Forecast of cost": _forecast,
    "Energy of runs": _run_energy,
    "Cost by part": _cost,
    "Gains of slices": _gains,
    "Arrival of labels": _arrivals,
    "Replay of policies": _replay,
    "Calibration error by period": _ece,
    "Distances": _distances,
    "Changes in multiples": _changes,
    "Regret": _regret,
    "Who steered": _steering,
    "Permutation importance": _permutations,
    "Correlations": _correlations,
    "Lag of devices": _lags,
    "Importance of features": _importance,
    "Latency": _latency,
    "Requests by status": _requests,
    "Errors of estimates": _errors,
    "Error rate of a rule": _rule_trend,
    "Confusion of annotators": _squares,
    "Deletion of features": _deletions,
    "Quantiles of outcomes": _quantiles,
    "Inputs of both sides": _feedback,
    "Slices of a form": _form_slices,
    "Anchoring": _anchoring,
    "Flow of a cleaning": _flow,
    "Devices by day": _devices,
    "Privacy budgets": _privacy_budgets,
    "Hour of the start": _start_hours,
    "Power caps": _power_caps,
    "Results against carbon": _results_against_carbon,
    "Attacks on membership": _attacks,
    "Requests far away": _far_requests,
    "Confusion matrix": _confusion,
    "Versions of devices": _versions_of_devices,
    "Selection rate ratios": _ratios,
}
