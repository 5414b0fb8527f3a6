"""Rows of CodeCarbon's emissions.csv become resource records, each with the difference from the previous row."""

from datetime import UTC
from pathlib import Path

import pytest

from observability.core.errors import UsageError
from tests.support.imported_items import FIXTURES, read_items, records_of, refused_counts

FILE = FIXTURES / "emissions.csv"


def table() -> list[dict[str, str]]:
    import csv

    with FILE.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_energy_of_each_run_is_that_of_its_last_row():
    records = records_of(read_items("codecarbon", FILE, timezone=UTC), "resource")
    for run in {row["run_id"] for row in table()}:
        last = [row for row in table() if row["run_id"] == run][-1]
        joules = sum(record["energy_j"] for record in records if record["run"] == run)
        assert joules == pytest.approx(3.6e6 * (float(last["cpu_energy"]) + float(last["ram_energy"])))
        seconds = sum(record["seconds"] for record in records if record["run"] == run and record["device"] == "cpu")
        assert seconds == pytest.approx(float(last["duration"]))
        kilograms = sum(record.get("emissions_kg", 0) for record in records if record["run"] == run)
        assert kilograms == pytest.approx(float(last["emissions"]))


def test_a_record_has_its_source_and_end_time():
    first = records_of(read_items("codecarbon", FILE, timezone=UTC), "resource")[0]
    assert (first["device"], first["source"], first["project_name"]) == ("cpu", "estimated", "loan")
    assert first["at"] == f"{table()[0]['timestamp']}.000000Z"
    assert first["watts"] * first["seconds"] == pytest.approx(first["energy_j"])


def test_times_need_a_time_zone():
    with pytest.raises(UsageError, match=r"times have no offset \(in emissions.csv\).*--timezone"):
        read_items("codecarbon", FILE)


def test_only_an_unreadable_row_is_refused(tmp_path: Path):
    lines = FILE.read_text().splitlines()
    broken = lines[1].replace(table()[0]["cpu_energy"], "n/a")
    path = tmp_path / "emissions.csv"
    path.write_text("\n".join([lines[0], broken, *lines[2:], lines[-1]]) + "\n")
    items = read_items("codecarbon", tmp_path, timezone=UTC)
    assert refused_counts(items) == {("rows", "bad_value"): 1, ("rows", "nothing_added"): 1}
    assert len(records_of(items, "resource")) == 4


def test_another_table_is_refused_with_one_clear_error(tmp_path: Path):
    path = tmp_path / "emissions.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"not CodeCarbon's emissions\.csv"):
        read_items("codecarbon", path, timezone=UTC)
