"""Windows of a ZeusMonitor's log file become resource records; no energy is counted twice."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.importers.source_records import ReadOptions
from observability.importers.sources import open_source
from observability.metrics.energy_readings import RESOURCE_COLUMNS, reading_energy
from tests.support.imported_items import FIXTURES, read_items, records_of, refused_counts

FILE = FIXTURES / "night-7.csv"
WATTS = {"gpu0": 70.0, "gpu1": 210.0}
"""Power of the accelerators that make_fixtures.py simulates."""


def test_windows_inside_another_window_are_not_counted_and_a_name_may_contain_a_comma():
    items = read_items("zeus", FILE)
    records = records_of(items, "resource")
    assert [(record["phase"], record["device"]) for record in records] == [
        (phase, device) for phase in ("training", "evaluation", "export") for device in WATTS
    ]
    assert refused_counts(items) == {("windows", "inside_another"): 2}
    assert any("'epoch 2, after a restart' is part of that of 'training'" in getattr(item, "message", "") for item in items)


def test_a_record_holds_the_joules_of_its_window_until_its_end():
    line = FILE.read_text().splitlines()[3].split(",")
    first = records_of(read_items("zeus", FILE), "resource")[0]
    assert (first["run"], first["source"], first["energy_j"]) == ("night-7", "measured", float(line[3]))
    assert datetime.fromisoformat(first["at"]).timestamp() == pytest.approx(float(line[0]) + float(line[2]), abs=1e-5)
    assert first["watts"] == pytest.approx(WATTS["gpu0"], rel=0.01)


@pytest.mark.parametrize(
    ("place", "given", "run"),
    [
        ("night-7.csv", None, "night-7"),
        ("night-7/zeus.csv", None, "night-7"),
        ("night-7/logs/energy_log.csv", None, "night-7"),
        ("logs/zeus_power_run-12.csv", None, "zeus_power_run-12"),
        ("night-7/zeus.csv", "loan-nightly", "loan-nightly"),
        ("logs/out/zeus.csv", None, "zeus"),
        ("night-7/2026-11-28.csv", None, "2026-11-28"),
        ("night-7/Нощ.csv", None, "Нощ"),
    ],
)
def test_the_run_is_named_by_the_option_or_by_the_first_specific_name_in_the_path(tmp_path: Path, place: str, given: str | None, run: str):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FILE.read_bytes())
    assert open_source("zeus", path, ReadOptions(run=given)).title == f"Zeus measurements of run {run}"
    assert {record["run"] for record in records_of(read_items("zeus", path, run=given), "resource")} == {run}


def test_windows_that_overlap_are_counted_once(tmp_path: Path):
    path = tmp_path / "zeus.csv"
    path.write_text("start_time,window_name,elapsed_time,gpu0_energy\n1000,a,10,700\n1005,b,10,700\n")
    frame = pd.DataFrame(records_of(read_items("zeus", path), "resource")).reindex(columns=RESOURCE_COLUMNS)
    energy = reading_energy(frame.assign(at=pd.to_datetime(frame["at"]).dt.tz_localize(None)))
    assert energy["joules"].sum() == pytest.approx(1050) and energy["seconds"].sum() == pytest.approx(15)


def test_an_unreadable_row_is_refused_and_the_other_rows_are_imported(tmp_path: Path):
    path = tmp_path / "night-7.csv"
    path.write_text(
        FILE.read_text().replace(FILE.read_text().splitlines()[3].split(",")[3], "n/a")
        + "12,short\n1795943800.0,empty,0.0,1.0,1.0\n1795943800.0,back,-1,1,1\n"
    )
    items = read_items("zeus", path)
    assert refused_counts(items) == {("windows", "bad_value"): 4}
    assert {record["phase"] for record in records_of(items, "resource")} == {"epoch 1", "epoch 2, after a restart", "evaluation", "export"}


@pytest.mark.parametrize("head", ["a,b", "start_time,window_name,elapsed_time,", "start_time,window_name,elapsed_time,gpu0"])
def test_a_table_without_energy_columns_raises_one_clear_error(tmp_path: Path, head: str):
    path = tmp_path / "zeus.csv"
    path.write_text(f"{head}\n1,2,3,4\n")
    with pytest.raises(UsageError, match=r"Zeus"):
        read_items("zeus", path)
