"""Findings about a model with many columns are grouped in time proportional to their number, not to its square."""

import sys
from datetime import UTC, datetime, timedelta

import pytest

from observability.core.finding import Finding
from observability.incidents.grouping import group_findings

START = datetime(2026, 3, 8, tzinfo=UTC)
SHAPES = {
    "dated": ({"onset_known": "dated"}, START + timedelta(days=2)),
    "undated": ({"onset_known": "vague"}, START),
    "standing": ({"standing": True, "past": 0.4}, None),
    "of the first days": ({"onset_known": "vague", "past": None}, START),
}


def moved(place, evidence, onset):
    return Finding(
        "serving/drift",
        "wide",
        "1",
        f"column {place}",
        "psi",
        0.5,
        400,
        "act",
        "It drifted.",
        START,
        START + timedelta(days=7),
        "reference",
        onset=onset,
        evidence=evidence,
    )


def calls_of_grouping(findings):
    counts = [0]

    def note(_frame, event, _given):
        counts[0] += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        _, incidents = group_findings(findings)
    finally:
        sys.setprofile(None)
    assert sum(len(incident.findings) for incident in incidents) == len(findings)
    return counts[0]


@pytest.mark.parametrize("shapes", [(name,) for name in SHAPES] + [("dated", "standing"), ("dated", "undated")], ids="+".join)
def test_work_grows_no_faster_than_the_findings(shapes):
    few, some, many = (
        calls_of_grouping([moved(place, *SHAPES[shapes[place % len(shapes)]]) for place in range(count)]) for count in (20, 40, 200)
    )
    assert (many - some) / 160 < 1.1 * (some - few) / 20
