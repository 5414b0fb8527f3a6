"""An MLflow model folder gives the usable model file, the names in its signature and its name in the registry."""

import shutil
from pathlib import Path

import pytest

from observability.core.errors import UsageError
from observability.importers.mlflow_model import is_mlflow_model, read_mlflow_model, signature_features
from tests.support.imported_items import FIXTURES

MODELS = FIXTURES / "mlflow_models"


@pytest.mark.parametrize(
    ("folder", "flavour", "file"),
    [
        ("lightgbm", "lightgbm", "model.lgb"),
        ("xgboost_json", "xgboost", "model.json"),
        ("sklearn_skops", "sklearn", "model.skops"),
        ("onnx", "onnx", "model.onnx"),
    ],
)
def test_each_flavour_has_its_file_and_signature(folder: str, flavour: str, file: str):
    assert is_mlflow_model(MODELS / folder) and is_mlflow_model(MODELS / folder / "MLmodel")
    found = read_mlflow_model(MODELS / folder)
    assert (found.flavour, found.artifact, found.features) == (flavour, (MODELS / folder / file).resolve(), ("age", "income"))
    assert (found.model, found.version) == (None, None)


@pytest.mark.parametrize("folder", ["sklearn_pickle", "xgboost_ubj"])
def test_a_converted_file_replaces_a_refused_one(folder: str, tmp_path: Path):
    with pytest.raises(UsageError, match=r"refused|not read"):
        read_mlflow_model(MODELS / folder)
    assert read_mlflow_model(MODELS / folder, artifact=tmp_path / "model.json").artifact == tmp_path / "model.json"


def test_a_pickle_by_another_name_is_refused(tmp_path: Path):
    folder = shutil.copytree(MODELS / "sklearn_skops", tmp_path / "model")
    shutil.copy(MODELS / "sklearn_pickle" / "model.pkl", folder / "model.skops")
    with pytest.raises(UsageError, match="a pickle runs code"):
        read_mlflow_model(folder)


def test_a_pickle_in_the_place_of_an_onnx_file_is_refused(tmp_path: Path):
    """Regression: it was a KeyError, because there is no conversion for this flavour."""
    folder = shutil.copytree(MODELS / "onnx", tmp_path / "model")
    shutil.copy(MODELS / "sklearn_pickle" / "model.pkl", folder / "model.onnx")
    with pytest.raises(UsageError, match=r"a pickle runs code.*Give the exported model with --artifact FILE\.onnx"):
        read_mlflow_model(folder)


def test_a_file_outside_the_folder_is_refused(tmp_path: Path):
    folder = shutil.copytree(MODELS / "lightgbm", tmp_path / "model")
    shutil.copy(folder / "model.lgb", tmp_path / "model.lgb")
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text().replace("data: model.lgb", "data: ../model.lgb"))
    with pytest.raises(UsageError, match="the model file is not in the folder"):
        read_mlflow_model(folder)


def test_an_unsupported_flavour_is_named_in_the_error(tmp_path: Path):
    (tmp_path / "MLmodel").write_text("flavors: {prophet: {data: a}, python_function: {data: a}}\n")
    with pytest.raises(UsageError, match="got prophet; expected lightgbm, xgboost, onnx, sklearn"):
        read_mlflow_model(tmp_path)
    (tmp_path / "MLmodel").write_text("flavors: [")
    with pytest.raises(UsageError, match="the file cannot be read"):
        read_mlflow_model(tmp_path)


@pytest.mark.parametrize(
    "inputs", [None, "", "not json", "[]", '[{"type": "tensor", "tensor-spec": {}}]', '[{"type": "double"}, {"name": "a"}]', "{}"]
)
def test_a_signature_without_names_gives_no_features(inputs: str | None):
    assert signature_features({"inputs": inputs}) is None
