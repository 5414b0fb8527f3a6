"""The size of an incident equals a count by hand from its leading finding."""

from dataclasses import replace

import pytest

from observability.core.finding import Finding
from observability.dashboard.overview.incidents import size_cell
from observability.incidents.grouping import Incident
from observability.incidents.incident_size import IncidentSize, incident_size
from tests.support.dashboard_world import END, START

NULLS = Finding("data/quality", "late", "1", "rain", "null_rate", 0.144, 1_819, "act", "Nulls.", START, END, "reference", "share")


def of(lead: Finding) -> Incident:
    return Incident("i", "late", "input", lead, (), lead.severity, None, None, lead.because)


@pytest.mark.parametrize(
    ("changed", "size"),
    [
        ({}, IncidentSize(0.144 * 1_819, 0.144)),
        ({"evidence": {"baseline": 0.044}}, IncidentSize(pytest.approx(0.1 * 1_819), pytest.approx(0.1), beyond_baseline=True)),
        ({"evidence": {"baseline": 0.5}}, IncidentSize(0.0, 0.0, beyond_baseline=True)),
        ({"metric": "psi", "value": 3.0}, IncidentSize(1_819.0, 1.0)),
        ({"metric": "mae", "slice": "hour=6", "evidence": {"share": 0.25}}, IncidentSize(1_819.0, 0.25)),
        ({"metric": "mae", "slice": "hour=6"}, IncidentSize(1_819.0, None)),
        ({"metric": "selection_rate", "subject": "sex=F"}, IncidentSize(1_819.0, None)),
        ({"subject": "run:r1"}, None),
        ({"model": None}, None),
        ({"n": 0}, None),
    ],
)
def test_the_size_of_an_incident_is_its_affected_part_of_the_rows(changed: dict, size: IncidentSize | None) -> None:
    lead = replace(NULLS, **changed)
    assert incident_size(replace(of(lead), model=lead.model)) == size


def test_a_share_beyond_the_baseline_is_a_rise_in_points() -> None:
    """Regression: a headline said 14.9 % and the size beside it 14.8 %, because the size leaves out the rate of the baseline."""
    cell = size_cell([of(replace(NULLS, value=0.149, n=2_195, evidence={"baseline": 0.001}))])
    assert (cell["t"], cell["sub"], cell["title"]) == ("325", "+14.8 points", "325 rows more than at the baseline rate")

    for value, t, sub in ((0.001, "0", "no rise"), (0.0013, "30", "< 0.1 points"), (0.0016, "60", "+0.1 points")):
        cell = size_cell([of(replace(NULLS, value=value, n=100_000, evidence={"baseline": 0.001}))])
        assert (cell["t"], cell["sub"]) == (t, sub)


def test_a_fault_of_several_models_has_the_rows_of_all() -> None:
    one = size_cell([of(NULLS)])
    assert (one["t"], one["sub"], one["title"]) == ("262", "14.4 %", "262 rows")
    both = size_cell([of(NULLS), of(replace(NULLS, metric="psi", value=3.0))])
    assert (both["t"], both["sub"], both["title"]) == ("2.1k", None, "2,081 rows in 2 models")
    assert size_cell([of(replace(NULLS, subject="run:r1"))]) == {"t": "–"}
