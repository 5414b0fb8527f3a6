"""According to the reports of devices, one ring may pass and one must stop, for the planted reason."""

import pandas as pd
import pytest

from observability.core.bundle import bundle_folder
from observability.detection.roll_out_rings import STOP_GAP, ring_criteria
from sample_data import edge

FOLDER = bundle_folder() / "sample_data"


@pytest.fixture(scope="module")
def reports() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / edge.FILE)


def test_ring_1_passes_ring_2_stops_and_ring_0_is_unknown(reports: pd.DataFrame) -> None:
    week = reports[reports["at"] >= "2013-12-26"].assign(at=lambda rows: rows["at"].dt.tz_localize(None))
    found = {each.ring: each for each in ring_criteria(week, edge.NEW, STOP_GAP)}
    assert {ring: each.severity for ring, each in found.items()} == {"ring 0": "unknown", "ring 1": "ok", "ring 2": "act"}
    for ring, each in found.items():
        own = week[(week["ring"] == ring) & (week["version"] == edge.NEW)]
        crashed = own.groupby("device")["crashes"].sum() > 0
        assert each.new == (crashed.sum(), len(crashed))
    assert found["ring 0"].new[1] < 30 < 80 < min(found["ring 1"].new[1], found["ring 2"].new[1])


def test_the_new_version_crashes_on_the_newest_firmware_alone_which_ring_1_does_not_have(reports: pd.DataFrame) -> None:
    last = reports[reports["at"] >= "2013-12-26"]
    rate = (
        last.assign(crashed=last["crashes"] > 0).groupby([last["version"] == edge.NEW, last["firmware"] == edge.NEWEST])["crashed"].mean()
    )
    assert rate[True, True] > 0.1 and rate.drop((True, True)).max() < 0.01
    assert set(reports.loc[reports["firmware"] == edge.NEWEST, "ring"]) == {"ring 2", "ring 3"}
    assert set(reports["source"]) == {"simulated"} and reports["device"].nunique() == edge.DEVICES


def test_the_edge_file_is_reproduced_except_for_the_counts_of_ring_0(reports: pd.DataFrame) -> None:
    counted = ["compared", "agreed"]
    pd.testing.assert_frame_equal(reports.drop(columns=counted), edge.simulated_table().drop(columns=counted))
    assert (FOLDER / edge.FILE).stat().st_size < 350_000
