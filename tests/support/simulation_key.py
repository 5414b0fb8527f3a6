"""The answer key of the scenario lab: the right subject and area for each fault. The product does not read it. A finding is right if its
subject and area are among the right ones. For a fault in a part of the rows it must also name that part: as the subject (`replica=r2`) or
as the slice (`region=south`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from observability.core.finding import Finding
from observability.incidents.grouping import Incident
from observability.simulation.clean_log import NEXT
from observability.simulation.fault import ServingFault
from observability.simulation.replay import FaultScenario, ReplayDay

VALUES = ("data/quality", "serving/drift", "serving/multivariate_drift", "serving/slices", "data/requests")
OUTCOMES = ("serving/performance", "serving/calibration", "serving/slices", "serving/estimated_performance")
ARRIVAL = ("data/quality", "data/labels", "data/requests", "serving/latency")
SERVICE = ("serving/latency", "serving/slices")
Target = dict[str, str]


@dataclass(frozen=True)
class Right:
    """The right answers for one scenario. subjects: possible subjects of the finding; areas: possible analyzers; place: a slice, group,
    replica or device that the finding must name, alone or with a subject; metrics: if given, the finding must be about one of them.
    version: if given, the finding must be about it.
    """

    subjects: frozenset[str]
    areas: tuple[str, ...]
    place: str | None = None
    metrics: tuple[str, ...] = ()
    version: str | None = None

    def holds(self, said: Finding) -> bool:
        """Whether a finding names the fault correctly."""
        if said.severity not in ("act", "watch") or said.analyzer not in self.areas or (self.metrics and said.metric not in self.metrics):
            return False
        if self.version is not None and said.version != self.version:
            return False
        if self.place is None:
            return said.subject in self.subjects
        if said.subject == self.place:
            return True
        return self.place in (said.slice or "").split("&") and said.subject in self.subjects


def feature(
    *roles: str, place: str | None = None, areas: tuple[str, ...] = VALUES, metrics: tuple[str, ...] = ()
) -> Callable[[Target], Right]:
    """The right answer is one of the features with these roles, within a place if one is named."""
    return lambda of: Right(frozenset(of[each] for each in roles), areas, of[place] if place else None, metrics)


def model(areas: tuple[str, ...], *metrics: str, place: str | None = None, others: tuple[str, ...] = ()) -> Callable[[Target], Right]:
    """The right answer is the model itself or its score, within a place if one is named."""
    return lambda of: Right(frozenset({"model", "score", *others}), areas, of[place] if place else None, metrics)


def part(role: str, areas: tuple[str, ...], *metrics: str) -> Callable[[Target], Right]:
    """The right answer is a replica, device, subject or group."""
    return lambda of: Right(frozenset({of[role], "model", "score"}), areas, of[role], metrics)


KEY: dict[str, Callable[[Target], Right]] = {
    **dict.fromkeys(
        (
            "unit_change",
            "unit_change_on_weekday",
            "null_surge",
            "stuck_value",
            "covariate_shift",
            "outliers",
            "renamed_feature",
            "wrong_type",
            "sign_flip",
            "slow_ramp",
            "stale_feature",
        ),
        feature("number"),
    ),
    "unit_change_in_slice": feature("number", place="slice"),
    "null_surge_in_group": feature("number", place="group"),
    "personal_data": feature("category", areas=("data/personal_data", *VALUES)),
    **dict.fromkeys(("unseen_category", "swapped_categories"), feature("category")),
    "swapped_features": feature("number", "partner"),
    "time_zone_shift": feature("hour"),
    "coarse_device": lambda of: Right(frozenset({of["number"]}), VALUES, of["device"]),
    "correlation_broken": lambda of: Right(frozenset({"model", "inputs", of["number"]}), ("serving/multivariate_drift",)),
    "resends": model(ARRIVAL, "duplicate_rate"),
    "late_arrivals": model(ARRIVAL, "volume", "silence_hours", "freshness_hours", "arrival_delay", "late_rate", "request_rate"),
    **dict.fromkeys(("volume_drop", "volume_surge"), model(ARRIVAL, "volume", "request_rate")),
    "outage": model(ARRIVAL, "silence_hours", "volume", "freshness_hours"),
    "clock_skew": part("device", (*ARRIVAL, "serving/slices")),
    "query_burst": part("subject", ("data/requests", "serving/slices")),
    **dict.fromkeys(("concept_drift", "concept_drift_on_weekday"), model(OUTCOMES)),
    "concept_drift_in_slice": model(OUTCOMES, place="slice"),
    "worse_version": lambda of: Right(frozenset({"model", "score"}), (*OUTCOMES, "serving/drift"), version=NEXT),
    "worse_scores": model((*OUTCOMES, "serving/drift")),
    "miscalibration": model((*OUTCOMES, "serving/drift")),
    "selection_gap": part("group", ("trust/fairness", "serving/slices")),
    "tpr_gap": part("group", ("trust/fairness", "serving/slices")),
    "default_scores": model((*OUTCOMES, "serving/drift", "data/quality", "data/requests")),
    "threshold_changed": model((*OUTCOMES, "serving/drift")),
    **dict.fromkeys(("label_noise", "label_flip_in_class"), model(OUTCOMES)),
    "labels_stop": model((*OUTCOMES, *ARRIVAL), "label_maturity"),
    "slow_everywhere": model(SERVICE, "latency_p50", "latency_p95", "latency_p99"),
    "slow_replica": part("replica", SERVICE),
    "errors_everywhere": model(SERVICE, "error_rate", "burn_rate", "error_budget_left"),
    "failing_replica": part("replica", SERVICE),
    "energy_change": model(("operations/energy",)),
    "cost_change": model(("operations/cost",)),
    "model_extraction": part("subject", ("trust/live_guard",), "input_coverage"),
    "boundary_search": part("subject", ("trust/live_guard", "data/requests")),
    "strange_requests": part("subject", ("trust/live_guard",), "far_request_share"),
    "prompt_texts": model(("trust/live_guard",), "prompt_text_share"),
    "oversized_texts": model(("trust/live_guard",), "oversized_text_share"),
}
"""For each fault, the right answer as a function of its target."""
RUN_KEY: dict[str, tuple[str, ...]] = {
    "loss_spike": ("metric_spike",),
    "loss_not_finite": ("non_finite_steps",),
    "loss_divergence": ("divergence",),
    "loss_plateau": ("plateau_share",),
    "overfitting": ("overfitting_gap",),
    "exploding_gradient": ("exploding_gradient",),
    "vanishing_gradient": ("vanishing_gradient",),
    "dead_units": ("dead_units",),
    "update_ratio": ("update_ratio",),
    "learning_rate_jump": ("learning_rate_jump",),
    "leaked_label": ("too_good_early",),
    "bad_batch": ("metric_spike",),
    "slow_rank": ("straggler_score",),
    "late_slow_rank": ("straggler_score",),
    "slow_rank_communication": ("straggler_score",),
    "throttled_accelerator": ("device_power_drop",),
    "hot_among_peers": ("device_temperature_gap",),
    "idle_among_peers": ("device_utilisation_gap",),
    "memory_beyond_past": ("device_memory_gap",),
}
"""For each fault of a training run, the metrics of training/runs whose findings are right."""


LABEL_KEY: dict[str, tuple[str, ...]] = {
    "annotator_at_random": ("annotator_agreement",),
    "slow_annotator": ("queue_days",),
    "queue_grows": ("queue_days",),
    "guidelines_changed": ("label_agreement",),
    "duplicates_disagree": ("label_conflicts",),
    "dearer_label": ("label_price",),
    "suggestions_accepted": ("wrong_suggestions_taken", "suggestion_anchoring"),
    "tired_annotators": ("fatigue_slope",),
    "follower": ("suggestion_acceptance", "annotator_agreement"),
}
"""For each fault of labelling, the metrics of data/labels and data/labelling whose findings are right."""


def right_of_labelling(fault: str, subject: str, project: str = "loan") -> Right:
    """The right answer for a fault of labelling. The subject is the model, or for a fault of one annotator the annotator, alone or within
    the project.
    """
    own = subject.replace("annotator=", f"project:{project}/annotator:")
    return Right(frozenset({subject, own}), ("data/labels", "data/labelling"), metrics=LABEL_KEY[fault])


def right_of_run(fault: str, subject: str) -> Right:
    """The right answer for a fault of a training run. The subject is the run, or for a slow rank the rank."""
    return Right(frozenset({subject}), ("training/runs",), metrics=RUN_KEY[fault])


BY_LABELS = frozenset(
    {
        "concept_drift",
        "concept_drift_in_slice",
        "concept_drift_on_weekday",
        "worse_version",
        "worse_scores",
        "tpr_gap",
        "label_noise",
        "label_flip_in_class",
        "labels_stop",
    }
)
"""Faults that only labels show, so their evidence comes as late as the labels."""
MATTERS = 0.3
"""A ramp matters once it has reached this many standard deviations."""


def right(scenario: FaultScenario) -> Right:
    """The right answer for a scenario."""
    assert scenario.fault is not None
    return KEY[scenario.fault.name](scenario.target)


def apart(one: Right, other: Right) -> bool:
    """Whether no finding can be right for both keys, because they have different areas, or different subjects in different places. Only
    then is a match with the other key a matter of chance.
    """
    return not set(one.areas) & set(other.areas) or (
        one.subjects.isdisjoint(other.subjects) and (one.place is None or one.place != other.place)
    )


def first_evidence(fault: ServingFault, amount: float, label_delay: int) -> int:
    """The number of days from the onset to the first possible evidence: 0, the delay of the labels, or the time until a ramp matters."""
    if fault.name in BY_LABELS:
        return label_delay
    return max(-int(-MATTERS // amount) - 1, 0) if fault.name == "slow_ramp" else 0


Place = Literal["first", "top three", "named", "missed"]


def judged(day: ReplayDay, of: Right) -> Place:
    """How prominently a day's findings name the fault: in the lead of the first incident, in the lead of one of the first three, anywhere,
    or not at all.
    """
    for place, each in enumerate(day.incidents):
        if leads(each, of):
            return "first" if place == 0 else "top three" if place < 3 else "named"
    return "named" if any(of.holds(each) for each in day.findings) else "missed"


def leads(incident: Incident, of: Right) -> bool:
    """Whether the lead of an incident is right."""
    return of.holds(incident.lead)
