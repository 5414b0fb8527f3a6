"""Each fault of exports is named at middle strength, for each recipient of the sample and of a synthetic log; without the fault nothing is
raised.
"""

import json
from pathlib import Path

import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.metrics.exports import EXPORT_COLUMNS
from observability.simulation.export_replay import replay_export_fault
from observability.simulation.faults_exports import FAULTS
from tests.support.export_events import export, export_frame, noised
from tests.support.length import some
from tests.support.named_share import NamedShare

SAMPLE = Path(__file__).parents[2] / "sample_data/exports.jsonl"
RUNS = 25


def sample_rows() -> pd.DataFrame:
    lines = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    rows = [{name: line.get(name) for name in EXPORT_COLUMNS} for line in lines if line["kind"] == "event"]
    return export_frame([{**row, "at": pd.Timestamp(row["at"]).tz_localize(None)} for row in rows])


ROWS = {"sample": sample_rows(), "own": export_frame([noised(1), export(2), export(3, recipient="bolt", dataset=None), export(4, k=None)])}


@pytest.mark.parametrize("rows", ROWS.values(), ids=list(ROWS))
@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_an_export_fault_of_middle_strength_is_in_the_first_three_alarms_and_its_twin_is_silent(
    named_share: NamedShare, name: str, rows: pd.DataFrame
) -> None:
    found = [replay_export_fault(rows, FAULTS[name], seed=seed) for seed in range(RUNS)]
    first = [[(alarm.subject, alarm.metric) for alarm in each.looks[0].alarms[:3]] for each in found]
    named_share(name, sum((of.target, FAULTS[name].metric) in each for each, of in zip(first, found, strict=True)), RUNS)
    assert not [one.because for each in found for one in each.looks[0].twin if needs_action(one.severity)]


def test_weak_export_faults_are_named_and_planting_without_exports_raises_an_error() -> None:
    assert all(replay_export_fault(ROWS["own"], fault, "weak").first_named == 0 for fault in FAULTS.values())
    with pytest.raises(UsageError, match="no export to plant"):
        replay_export_fault(ROWS["own"].head(0), FAULTS["returning_canary"])
