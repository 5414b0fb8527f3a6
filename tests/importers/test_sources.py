"""A damaged source gives one clear error or rejected entries, never another exception."""

import gzip
import io
import random
import shutil
from datetime import UTC
from pathlib import Path

import pytest

from observability.core.errors import UsageError
from observability.importers import tables
from observability.importers.source_records import ReadOptions, write_record_lines
from observability.importers.sources import open_source
from tests.support.imported_items import FIXTURES, unpacked_fixture

DAMAGED = {
    "mlflow": "mlflow.db.gz",
    "optuna": "optuna.db.gz",
    "journal": "optuna.log",
    "codecarbon": "emissions.csv",
    "zeus": "night-7.csv",
    "transformers": "transformers/trainer_state.json",
    "tensorboard": "tensorboard_torch/digits/train",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_corrupted_bytes_raise_only_the_documented_error(name: str, tmp_path: Path):
    fixture, dice = FIXTURES / DAMAGED[name], random.Random(name)
    source = next(iter(sorted(fixture.iterdir()))) if fixture.is_dir() else fixture
    raw = unpacked_fixture(DAMAGED[name], tmp_path).read_bytes() if name in ("mlflow", "optuna") else source.read_bytes()
    outcomes = set()
    for changes in (0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64):
        damaged = bytearray(raw)
        for _ in range(changes):
            damaged[dice.randrange(100 if raw.startswith(b"SQLite") else 0, len(raw))] = dice.randrange(256)
        path = tmp_path / source.name.removesuffix(".gz")
        path.write_bytes(damaged)
        try:
            items = open_source("optuna" if name == "journal" else name, path, ReadOptions(timezone=UTC)).items
            counts = write_record_lines(items, io.BytesIO())
        except UsageError as error:
            assert len(str(error).splitlines()) == 1
            outcomes.add("error")
        else:
            assert counts.entries == sum(counts.sorts.values()) == counts.carried.total() + sum(counts.reasons.values())
            outcomes.add("read")
    assert "read" in outcomes


def test_unexpected_content_is_refused_with_one_clear_error(tmp_path: Path):
    emissions = (FIXTURES / "emissions.csv").read_text().splitlines()
    wide, deep, aliased = tmp_path / "emissions.csv", tmp_path / "trainer_state.json", tmp_path / "mlruns"
    wide.write_text("\n".join([*emissions, "x" * 200_000]))
    deep.write_text('{"global_step": 1, "log_history": ' + "[" * 200_000)
    shutil.copytree(FIXTURES / "mlruns", aliased)
    lists = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    (aliased / "0" / "meta.yaml").write_text(f"l0: &l0 [a]\n{lists}name: *l29\n")
    for tool, path in (("codecarbon", wide), ("transformers", deep), ("mlflow", aliased)):
        with pytest.raises(UsageError) as raised:
            write_record_lines(open_source(tool, path, ReadOptions(timezone=UTC)).items, io.BytesIO())
        assert len(str(raised.value).splitlines()) == 1 and len(str(raised.value)) < 400


def test_a_link_in_a_source_is_not_followed(tmp_path: Path):
    source, secret = tmp_path / "mlruns", tmp_path / "secret"
    shutil.copytree(FIXTURES / "mlruns", source)
    secret.write_text("not of this source")
    params = next(source.glob("*/*/params"))
    (params / "stolen").symlink_to(secret)
    written = io.BytesIO()
    write_record_lines(open_source("mlflow", source, ReadOptions(timezone=UTC)).items, written)
    assert b"learning_rate" in written.getvalue() and b"not of this source" not in written.getvalue()


def test_a_compressed_table_is_read_up_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "current.csv.gz"
    path.write_bytes(gzip.compress(b"score\n" + b"1\n" * 2000))
    assert tables.read_table(path).num_rows == 2000
    monkeypatch.setattr(tables, "MAX_DECOMPRESSED", 1000)
    with pytest.raises(UsageError, match="too large when decompressed"):
        tables.read_table(path)
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UsageError, match="cannot be read"):
        tables.read_table(path)
