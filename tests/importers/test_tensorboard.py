"""Scalars and hyperparameters of TensorBoard event files become runs with steps."""

import math
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from observability.core.errors import UsageError
from observability.importers.tensorboard_events import masked_checksum, read_event_file, tensor_number
from tests.support.imported_items import FIXTURES, read_items, records_of, refused_counts


def test_each_folder_is_a_run_with_its_scalars():
    items = read_items("tensorboard", FIXTURES / "tensorboard")
    starts = records_of(items, "run", event="start")
    assert [start["run"].split("-")[0] for start in starts] == ["a", "b"]
    steps = records_of(items, "step", run=starts[0]["run"])
    assert [step["step"] for step in steps] == [0, 1, 2, 3, 4]
    assert steps[1]["metrics"] == {"loss/train": 0.5, "accuracy": pytest.approx(0.6, abs=1e-7)}
    assert math.isnan(steps[4]["metrics"]["loss/train"])


def test_summaries_without_a_number_are_refused_and_counted_by_type():
    items = read_items("tensorboard", FIXTURES / "tensorboard")
    assert refused_counts(items) == {("texts", "no_field"): 2, ("histograms", "no_field"): 2, ("images", "no_field"): 2}


def test_train_and_validation_folders_are_one_run():
    items = read_items("tensorboard", FIXTURES / "tensorboard_torch")
    (start,) = records_of(items, "run", event="start")
    assert start["run"].startswith("digits-")
    assert start["params"] == {"lr": pytest.approx(0.1), "optimizer": "adam", "nesterov": True}
    steps = records_of(items, "step")
    assert steps[2]["metrics"]["train/epoch_loss"] == pytest.approx(1 / 3)
    assert steps[2]["metrics"]["validation/epoch_loss"] == pytest.approx(1 / 3 + 0.1)
    assert steps[1]["metrics"]["train/new_style"] == 1.0  # the value is written as a tensor
    (end,) = records_of(items, "run", event="end")
    assert end["status"] == "finished"  # the hparams plugin states it


def test_the_id_of_a_run_does_not_depend_on_where_the_import_starts():
    below = read_items("tensorboard", FIXTURES / "tensorboard" / "plain" / "a")
    above = read_items("tensorboard", FIXTURES / "tensorboard")
    assert records_of(below, "run", event="start")[0] == records_of(above, "run", event="start")[0]


def test_the_end_is_assumed_after_an_hour_of_silence():
    folder = FIXTURES / "tensorboard" / "plain" / "a"
    last = read_event_file(next(folder.iterdir())).last
    soon = read_items("tensorboard", folder, now=datetime.fromtimestamp(last + 60, UTC))
    later = read_items("tensorboard", folder, now=datetime.fromtimestamp(last + 3601, UTC))
    assert records_of(soon, "run", event="end") == []
    (end,) = records_of(later, "run", event="end")
    assert end["status"] is None and end["end_assumed"]


def test_a_cut_or_changed_file_is_read_up_to_the_damage(tmp_path: Path):
    (source,) = (FIXTURES / "tensorboard" / "plain" / "a").iterdir()
    raw = source.read_bytes()
    whole = read_event_file(source)
    assert whole.damage == "" and len(whole.scalars) == 9
    cut = tmp_path / source.name
    cut.write_bytes(raw[:-3])
    assert read_event_file(cut).damage == "the last record is cut"
    changed = bytearray(raw)
    changed[200] ^= 1
    cut.write_bytes(changed)
    found = read_event_file(cut)
    assert "checksum" in found.damage and len(found.scalars) < 9
    assert refused_counts(read_items("tensorboard", cut))["event files", "damaged"] == 1


def test_an_empty_file_beside_the_event_files_is_not_counted_as_damaged(tmp_path: Path):
    (source,) = (FIXTURES / "tensorboard" / "plain" / "a").iterdir()
    (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / f"{source.name}.profile-empty").touch()
    assert ("event files", "damaged") not in refused_counts(read_items("tensorboard", tmp_path))


def test_a_file_without_tensorboard_events_raises_one_clear_error(tmp_path: Path):
    (tmp_path / "events.out.tfevents.1").write_bytes(b"not an event file at all")
    with pytest.raises(UsageError, match="no TensorBoard event file is there"):
        read_items("tensorboard", tmp_path)


def test_the_checksum_is_that_of_record_files():
    assert masked_checksum(b"123456789") == (((0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.parametrize(
    ("message", "number"),
    [
        (b"\x08\x01\x22\x04" + struct.pack("<f", 0.5), 0.5),  # the bytes of one float
        (b"\x08\x02\x31" + struct.pack("<d", 0.25), 0.25),  # one double value
        (b"\x08\x03\x3a\x02\xac\x02", 300.0),  # packed integers
        (b"\x08\x09\x50\x07", 7.0),
        (b"\x08\x01\x22\x08" + struct.pack("<ff", 1, 2), None),
        (b"\x08\x07\x42\x01a", None),
    ],
)
def test_a_tensor_with_one_number_is_read_as_that_number(message: bytes, number: float | None):
    assert tensor_number(message) == number
