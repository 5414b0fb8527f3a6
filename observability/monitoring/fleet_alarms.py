"""Decide which incidents of a fleet open an alert. An alert opens for each fault that several models share, and for each incident of a
single model that passes the fleet's budget of false alarms.

The functions are pure. Nothing here changes a state or a severity, so a model beyond its limit is still shown as such. In a fleet of a
thousand models, each with a few false alarms per year, there are several false alarms per day. Therefore a finding of a single model is
compared with the budget of the whole fleet before people are alerted. The reasons and the simulation are in docs/decisions/0073.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from observability.core.finding import Finding
from observability.incidents.grouping import Incident
from observability.incidents.shared_faults import SharedFault, shared_faults
from observability.monitoring.check import RUNS_A_WEEK, WEEKLY_FALSE_DISCOVERIES
from observability.stats.fleet_budget import fleet_threshold, peer_adjusted_p_values, shared_p_value
from observability.stats.multiple_testing import ACT_SHARE

MODEL_BUDGET = WEEKLY_FALSE_DISCOVERIES * ACT_SHARE
"""Largest probability per week of a false critical finding in one model: a fifth of its weekly budget of false discoveries."""
FLEET_BUDGET, SHARED_BUDGET = 0.4, 0.1
"""Expected number of false alarms in a fleet per week: from single models, and from faults that models share."""
CHOSEN_BEFOREHAND = ("serving/performance",)
"""Analyzers whose critical findings are about one metric that was chosen in advance. Other metrics therefore do not add to the number of
their tests.
"""


@dataclass(frozen=True)
class FleetAlarms:
    """The decision about the incidents of a fleet. shared: the faults that several models share, worst first. unconfirmed: by incident id,
    why a critical incident of one model opens no alert yet.
    """

    shared: tuple[SharedFault, ...]
    unconfirmed: Mapping[str, str]


def fleet_alarms(
    incidents: Sequence[Incident], findings: Mapping[str, Sequence[Finding]], analyzers: int, models: int | None = None
) -> FleetAlarms:
    """Decide which incidents of a fleet open an alert.

    findings: the findings of each model; models without a problem are included, because they are the peers. analyzers: number of analyzers
    per model. models: number of models in the fleet, if more models are watched than have findings.
    """
    size = max(models or 0, len(findings), 1)
    shared = shared_faults(incidents)
    limit = fleet_threshold(MODEL_BUDGET, FLEET_BUDGET, size)
    if limit >= MODEL_BUDGET:
        return FleetAlarms(tuple(shared), {})
    peers = _p_values_by_claim(findings)
    together = {incident.id for fault in shared if is_confirmed(fault, analyzers, size) for incident in fault.incidents}
    unconfirmed = {}
    for incident in incidents:
        if incident.severity != "act" or incident.model is None or incident.id in together:
            continue
        chances = [fleet_chance(finding, analyzers, peers) for finding in incident.findings if finding.severity == "act"]
        if chances and all(chance is not None and chance > limit for chance in chances):
            expected = min(chance for chance in chances if chance is not None) * size
            unconfirmed[incident.id] = (
                f"No alert yet: among {size:,} models, chance alone gives about {max(expected, 0.01):.2g} such findings a week, "
                f"more than the fleet's budget of {FLEET_BUDGET:g}."
            )
    return FleetAlarms(tuple(shared), unconfirmed)


def is_confirmed(fault: SharedFault, analyzers: int, models: int) -> bool:
    """Whether a shared fault is larger than chance can explain in a fleet of this size, whatever the dependence between the models'
    findings.
    """
    critical = [incident.lead for incident in fault.incidents if incident.lead.severity == "act"]
    chances = [weekly_chance(finding, analyzers) for finding in critical]
    if any(chance is None for chance in chances):
        return True
    return shared_p_value([chance for chance in chances if chance is not None], models) <= SHARED_BUDGET


def weekly_chance(finding: Finding, analyzers: int) -> float | None:
    """The probability that a model without a fault has such a critical finding in a week; None if the finding does not come from a
    statistical test.

    Rules that do not depend on a small p-value (an owner's limit) are critical at larger p-values too. Such p-values do not measure the
    error rate of the rule, so these rules do not count as tests here. The primary metric requires a minimum size and permits a larger
    p-value, which still bounds that probability. A fall that is also visible in the model's past is not a chance event of this week.
    """
    p = _p_value(finding)
    if p is None:
        return None
    chance = p * _tests(finding) * _looks(finding, analyzers)
    if is_primary_fall(finding):
        return min(chance, 1.0)
    return chance if chance <= MODEL_BUDGET else None


def is_primary_fall(finding: Finding) -> bool:
    """Whether a finding is about a fall of the primary metric, compared with the reference or the past, that began in its window."""
    evidence = finding.evidence
    sudden = not evidence.get("standing") and evidence.get("creep") is None
    return bool(evidence.get("primary")) and sudden and finding.analyzer in CHOSEN_BEFOREHAND and finding.against != "level"


def fleet_chance(finding: Finding, analyzers: int, peers: Mapping[str, Mapping[str, float]]) -> float | None:
    """The chance of `weekly_chance`, adjusted for all models with the same claim: a change that all of them share is not a fault of one
    model.
    """
    if (own := weekly_chance(finding, analyzers)) is None or finding.model is None:
        return None
    of_claim = peers.get(finding.claim, {})
    names = list(of_claim)
    if finding.model not in of_claim:
        return own
    beside = float(peer_adjusted_p_values([of_claim[name] for name in names])[names.index(finding.model)])
    return min(beside * _tests(finding) * _looks(finding, analyzers), 1.0)


def _p_values_by_claim(findings: Mapping[str, Sequence[Finding]]) -> dict[str, dict[str, float]]:
    """P-values by claim and model."""
    found: dict[str, dict[str, float]] = {}
    for name, own in findings.items():
        for finding in own:
            if (p := _p_value(finding)) is not None:
                found.setdefault(finding.claim, {})[name] = p
    return found


def _p_value(finding: Finding) -> float | None:
    p = finding.evidence.get("p_value")
    return None if p is None else float(p)


def _tests(finding: Finding) -> float:
    """The factor by which the p-value was multiplied because an analyzer makes many tests; 1 for the primary metric, for which there is
    only one test.
    """
    if is_primary_fall(finding):
        return 1.0
    p, adjusted = _p_value(finding), finding.evidence.get("p_adjusted")
    return max(float(adjusted) / p, 1.0) if p and adjusted is not None else 1.0


def _looks(finding: Finding, analyzers: int) -> int:
    return RUNS_A_WEEK * (1 if finding.analyzer in CHOSEN_BEFOREHAND else max(analyzers, 1))
