"""Reads an MLflow model folder as a request to register it. The request has the name, the version, the features of the signature, and the
model file of the folder's flavour.

A pickle is refused because it runs code when it is opened. The error has the lines of code that write the model in another format.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.importers.mlflow_source import read_yaml

DESCRIPTION, REGISTERED = "MLmodel", "registered_model_meta"
FLAVOURS = ("lightgbm", "xgboost", "onnx", "sklearn")
"""Flavours whose files can be used, in order of preference."""
FILE_KEYS = ("data", "pickled_model", "model_path")
CONVERSIONS = {
    "sklearn": ("import mlflow, skops.io", 'model = mlflow.sklearn.load_model("{folder}")', 'skops.io.dump(model, "model.skops")'),
    "lightgbm": (
        "import mlflow",
        'model = mlflow.lightgbm.load_model("{folder}")',
        'getattr(model, "booster_", model).save_model("model.txt")',
    ),
    "xgboost": ("import mlflow", 'model = mlflow.xgboost.load_model("{folder}")', 'model.save_model("model.json")'),
}
"""The three lines of code, by flavour, that write a usable file."""
NEW_NAMES = {"sklearn": "model.skops", "lightgbm": "model.txt", "xgboost": "model.json"}
UNSAFE = (".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle")


@dataclass(frozen=True)
class MlflowModel:
    """The content of a model folder. model, version: name and version in the registry, or None. features: names in the signature, or None.
    artifact: the model file.

    flavour: the flavour of the artifact. made: when the model was logged, or "".
    """

    model: str | None
    version: str | None
    features: tuple[str, ...] | None
    artifact: Path
    flavour: str
    made: str


def is_mlflow_model(path: Path) -> bool:
    """Whether a path is an MLflow model folder, or the file in such a folder that describes the model."""
    return (path / DESCRIPTION).is_file() or (path.name == DESCRIPTION and path.is_file())


def read_mlflow_model(path: Path, *, artifact: Path | None = None) -> MlflowModel:
    """The model in a folder. artifact: a converted model file to use instead of the file in the folder.

    Raises UsageError if the folder has no usable file. The error states what to do about it.
    """
    folder = path if path.is_dir() else path.parent
    description = read_yaml(folder / DESCRIPTION)
    flavours = description.get("flavors") or {}
    flavour = next((name for name in FLAVOURS if name in flavours), None)
    if flavour is None:
        got = ", ".join(name for name in flavours if name != "python_function") or "only python_function"
        raise UsageError("no flavour of the model can be used", where=folder.name, got=got, expected=", ".join(FLAVOURS))
    known = read_yaml(folder / REGISTERED) if (folder / REGISTERED).is_file() else {}
    version = known.get("model_version")
    return MlflowModel(
        known.get("model_name"),
        None if version is None else str(version),
        signature_features(description.get("signature")),
        artifact or _usable_file(folder, flavour, flavours[flavour]),
        flavour,
        str(description.get("utc_time_created") or ""),
    )


def signature_features(signature: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The names of the inputs in a signature. None if there is no signature or an input has no name."""
    try:
        inputs = json.loads((signature or {}).get("inputs") or "[]")
    except (ValueError, TypeError):
        return None
    names = tuple(str(each["name"]) for each in inputs if isinstance(each, dict) and each.get("name"))
    return names if names and len(names) == len(inputs) else None


def _usable_file(folder: Path, flavour: str, about: Mapping[str, Any]) -> Path:
    """The model file of a flavour. Raises UsageError if it is missing, a pickle, or XGBoost's binary format."""
    named = next((about[key] for key in FILE_KEYS if about.get(key)), None)
    file = (folder / str(named)).resolve() if named else None
    if file is None or not file.is_file() or folder.resolve() not in file.parents:
        raise UsageError(
            "the model file is not in the folder", where=folder.name, got=named or "no file named", attempt="Give --artifact FILE"
        )
    with file.open("rb") as content:
        start = content.read(2)
    pickled = file.suffix in UNSAFE or (start[:1] == b"\x80" and start[1:] <= b"\x05")
    if pickled or (flavour == "xgboost" and file.suffix != ".json"):
        why = "a pickle runs code when it is opened, so it is refused" if pickled else "XGBoost's binary format is not read"
        raise UsageError(
            why,
            where=file.name,
            expected="a LightGBM text file, XGBoost JSON, skops or ONNX",
            attempt=_conversion(flavour, folder),
        )
    return file


def _conversion(flavour: str, folder: Path) -> str:
    """How to get a usable file of a flavour."""
    if flavour not in CONVERSIONS:
        return "Give the exported model with --artifact FILE.onnx"
    lines = "\n".join(f"    {line.format(folder=folder)}" for line in CONVERSIONS[flavour])
    return f"Where the model was trained, run\n{lines}\nand give --artifact {NEW_NAMES[flavour]}"
