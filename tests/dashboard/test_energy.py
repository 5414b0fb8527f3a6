"""If energy and carbon have the same sentence, the energy page shows it only once."""

from dataclasses import replace
from datetime import UTC, datetime
from unittest import mock

from observability.core.finding import Finding
from observability.dashboard.operations import energy


def finding(metric: str, because: str, version: str | None = "1") -> Finding:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    fields = {"value": None, "low": None, "high": None, "n": 0, "severity": "unknown", "because": because, "evidence": {}}
    return Finding("operations/energy", "m", version, "model", metric, start=start, end=start, against="past", **fields)


def test_repeated_energy_sentences_of_one_version_are_shown_once() -> None:
    found = [
        finding("energy_per_thousand", "Energy of serving is unknown."),
        finding("sci", "Energy of serving is unknown."),
        finding("sci", "Energy of serving is unknown.", "2"),
    ]
    with mock.patch.object(energy.st, "markdown") as said:
        energy.energy_sentences([*found, finding("idle_share", "Idle.")])
    lines = [call.args[0] for call in said.call_args_list]
    assert ["Energy of serving is unknown" in line for line in lines] == [True, True], "only the findings list the idle share"
    assert "version 1" in lines[0] and "version 2" in lines[1]


def test_an_idle_share_from_assumed_power_is_shown_with_its_basis() -> None:
    known = replace(finding("idle_share", "At least 95 % was idle."), value=0.97, low=0.95, high=1.0, evidence={"source": "assumed"})
    with mock.patch.object(energy.st, "markdown") as said:
        energy.energy_sentences([known], ("idle_share",))
    (line,) = [call.args[0].replace("\u2060", "").replace("\u00a0", " ") for call in said.call_args_list]
    assert ":gray-badge[assumed]" in line and "At least 95 %" in line
