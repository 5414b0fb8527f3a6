"""Tests of the kinds of artifacts, of rejected files that run code, and of stored copies."""

import io
import os
import pickle
import zipfile

import joblib
import lightgbm
import numpy as np
import pytest

from observability.core.errors import UsageError
from observability.store.registry.artifacts import (
    detect_artifact_kind,
    discard_artifact,
    is_intact,
    store_artifact,
    stored_artifact,
    version_folder,
)


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload if isinstance(payload, bytes) else varint(number << 3) + varint(payload)


ONNX = field(1, 8) + field(2, b"skl2onnx") + field(7, b"g" * 300) + field(8, b"\x10\x11")


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), body)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def booster(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "odd name.bin"
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(x, x[:, 0]), 3).save_model(path)
    return path


@pytest.mark.parametrize(
    "content, kind",
    [
        (b'{"learner":{"attributes":{}},"version":[3,0,0]}', "xgboost"),
        (b'{"version":[3,0,0],"learner":{"attributes":{}}}\n', "xgboost"),
        (zipped(schema_json="{}"), "skops"),
        (ONNX, "onnx"),
    ],
)
def test_the_kind_of_an_artifact_is_detected_by_its_content(tmp_path, content, kind):
    path = tmp_path / "model"
    path.write_bytes(content)
    assert detect_artifact_kind(path) == kind


def test_lightgbm_is_known(booster):
    assert detect_artifact_kind(booster) == "lightgbm"


@pytest.mark.parametrize(
    "name, content, part",
    [
        ("m.bin", pickle.dumps([1]), "run code"),
        ("m.bin", pickle.dumps([1], protocol=2), "run code"),
        ("m.joblib", b"anything", "run code"),
        ("m.pt", zipped(archive__data_pkl="x"), "run code"),
        ("m.onnx", ONNX[:-1], "no known kind"),
        ("m.onnx", ONNX + b"\x00", "no known kind"),
        ("m.txt", b"tree of life", "no known kind"),
        ("m.json", b'{"learner":', "no known kind"),
        ("m.json", b'{"a": 1}', "no known kind"),
        ("m.gz", b"\x1f\x8b" + b"0" * 50, "compressed"),
        ("m.skops", b"PK\x03\x04broken", "damaged"),
        ("m.txt", b"", "empty"),
    ],
)
def test_unsafe_damaged_or_unknown_model_files_are_refused(tmp_path, name, content, part):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=part):
        detect_artifact_kind(path)
    with pytest.raises(UsageError, match=part):
        store_artifact(tmp_path / "home", 1, "1", path)
    assert not (tmp_path / "home").exists()


def test_joblib_files_are_refused(tmp_path):
    joblib.dump({"a": np.arange(3)}, tmp_path / "plain")
    with pytest.raises(UsageError, match="run code"):
        detect_artifact_kind(tmp_path / "plain")


def test_a_missing_path_a_folder_or_a_pipe_is_refused(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(UsageError, match="missing or not a file"):
            detect_artifact_kind(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="missing or not a file"):
        detect_artifact_kind(tmp_path / "pipe")


def test_an_artifact_is_stored_checked_and_discarded(tmp_path, booster):
    home = tmp_path / "home"
    kept = store_artifact(home, 3, "../../1 .0", booster)
    assert kept.kind == "lightgbm" and kept.path.startswith("artifacts/3/")
    assert kept.file(home).read_bytes() == booster.read_bytes() and home in kept.file(home).resolve().parents
    assert stored_artifact(kept.path) == kept and is_intact(home, kept)
    assert store_artifact(home, 3, "../../1 .0", booster) == kept
    assert [each.name for each in kept.file(home).parent.iterdir()] == [kept.file(home).name]
    kept.file(home).write_text("tree\nversion=v4\n")
    assert not is_intact(home, kept)
    discard_artifact(home, kept)
    discard_artifact(home, kept)
    assert not is_intact(home, kept)


def test_folder_names_are_safe():
    names = [version_folder(each) for each in (".", "..", "a/b", "a%2Fb", "ü" * 200, "ü" * 199, "1.0", " ")]
    assert len(set(names)) == len(names)
    assert all("/" not in name and name.strip(".") and len(name) <= 200 for name in names)
    assert stored_artifact(None) is None and stored_artifact("artifacts/1/1/other.txt") is None


def test_the_refusal_of_a_pickle_shows_the_lines_that_convert_it(tmp_path):
    from sklearn.linear_model import LinearRegression

    joblib.dump(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), tmp_path / "model.joblib")
    with pytest.raises(UsageError) as refused:
        detect_artifact_kind(tmp_path / "model.joblib")
    lines = [line.strip() for line in str(refused.value).splitlines() if line.startswith("    ")]
    assert len(lines) == 3
    lines = [line.replace('"model.', f'"{tmp_path}/model.') for line in lines]
    exec("\n".join(lines))
    assert detect_artifact_kind(tmp_path / "model.skops") == "skops"
