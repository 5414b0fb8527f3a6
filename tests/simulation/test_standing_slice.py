"""A slice that has changed permanently is one critical incident in all later weeks, with its first day and a proposal."""

from observability.core.finding import news_of
from observability.incidents.since_words import incident_since
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.replay import FaultScenario, ReplayLab
from tests.support.length import repeats
from tests.support.simulation_world import credit

SEED, WEEKS = 3, repeats(3, 4)


def test_a_slice_that_stays_changed_is_one_incident_with_a_proposal_and_not_a_new_one_each_week() -> None:
    lab = ReplayLab.of(CleanStream(credit(SEED, 4000), seed=SEED, past=21, days=7 * WEEKS, rows_a_day=700))
    scenario = FaultScenario(lab.stream, fault_targets(lab.stream.base, SEED), FAULTS["unit_change_in_slice"])
    place = scenario.target["slice"]
    told = []
    for day in lab.judge(scenario, first=14, every=7):
        critical = [each for each in day.incidents if each.severity == "act"]
        (incident,) = [each for each in critical if any(finding.metric == "rank_shift" for finding in each.findings)]
        assert critical == [incident] and incident.standing and incident.news == "ongoing"
        assert incident.sentence.endswith("consider a newer or a rolling reference, or retraining.")
        (moved,) = [each for each in incident.findings if (each.metric, each.slice, each.severity) == ("rank_shift", place, "act")]
        assert news_of(moved) == "ongoing"
        told.append((incident.id, incident_since(incident)))
    assert len(told) == WEEKS - 1 and len(set(told)) == 1 and told[0][1] == "since 23 Mar 2026", told
