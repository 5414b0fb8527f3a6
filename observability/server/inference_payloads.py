"""Read bodies of model servers as features and answers for each instance: V1 (`instances`), V2 (`inputs`) and Seldon (`data`).

All functions are pure. docs/sinks.md has the rules by which features are named and answers are read.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from observability.core.catalog import Model

Row = Any
"""What one tensor holds for one instance: a value, or a list of values."""
SCORES = ("score", "scores", "probability", "probabilities", "predict_proba", "output_probability", "proba")
"""Names of outputs that hold a score."""
DECISIONS = ("prediction", "predictions", "predict", "predicted_class", "class", "label", "output_label", "answer")
"""Names of outputs that hold the answer itself."""
INSTANCES = 10_000
"""Maximum number of instances in one request."""


class PayloadError(Exception):
    """Raised for a body that cannot be made into records; the message states the reason."""


def json_body(data: bytes | str) -> Any:
    """A body as JSON. Raises PayloadError if it is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise PayloadError("the data of the event is not JSON") from None


def feature_rows(body: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """The features of each instance in a request. names: features of the registered model; a list without names gets these names if it has
    the same length.

    Raises PayloadError.
    """
    fields = _object(body)
    if isinstance(fields.get("instances"), list):
        return [_named(instance, names, ()) for instance in _bounded(fields["instances"])]
    if isinstance(fields.get("inputs"), list):
        return _tensor_features(fields["inputs"], names)
    if isinstance(fields.get("data"), Mapping):
        rows, own = _seldon_rows(fields["data"])
        return [_named(row, names, own) for row in rows]
    raise PayloadError("the request has neither 'instances' (V1), 'inputs' (V2) nor 'data' (Seldon)")


def answer_rows(body: Any) -> list[Any]:
    """The answer to each instance of a response: as it was written, or by the name of each output. Raises PayloadError."""
    fields = _object(body)
    if isinstance(fields.get("predictions"), list):
        return list(_bounded(fields["predictions"]))
    if isinstance(fields.get("outputs"), list):
        tensors = _tensors(fields["outputs"])
        return [dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)]
    if isinstance(fields.get("data"), Mapping):
        rows, names = _seldon_rows(fields["data"])
        return [dict(zip(names, row, strict=True)) if _is_list(row) and 1 < len(row) == len(names) else row for row in rows]
    raise PayloadError("the response has neither 'predictions' (V1), 'outputs' (V2) nor 'data' (Seldon)")


def answer_fields(answer: Any, model: Model | None) -> dict[str, Any]:
    """The fields `score` and `prediction` of one answer, and everything else as `outputs`. model: None if the store does not have it.

    Raises PayloadError if neither can be derived.
    """
    if not isinstance(answer, Mapping):
        return _value_fields(answer, model)
    by_name = {str(name).lower(): name for name in answer}
    score = next((by_name[name] for name in SCORES if name in by_name), None)
    decision = next((by_name[name] for name in DECISIONS if name in by_name), None)
    if score is None and decision is None:
        if len(answer) == 1:
            return _value_fields(next(iter(answer.values())), model)
        if all(map(_is_number, answer.values())) and (_is_of_classes(answer, model) or math.isclose(sum(answer.values()), 1, abs_tol=1e-3)):
            return {"score": _class_scores(answer, model)}
        raise PayloadError(f"none of the outputs {_listed(answer)} is called score or prediction")
    fields = {} if score is None else _score_field(answer[score], model)
    if decision is not None:
        fields |= _value_fields(answer[decision], model) if score is None else {"prediction": _single(answer[decision])}
    rest = {name: value for name, value in answer.items() if name not in (score, decision)}
    return fields | ({"outputs": rest} if rest else {})


def _value_fields(value: Any, model: Model | None) -> dict[str, Any]:
    """The field for an output whose name does not tell what it is. Text, true, false and whole numbers are a prediction; other numbers are
    a score.
    """
    value = _single(value)
    task = None if model is None else model.task
    if isinstance(value, bool | str):
        return {"prediction": value}
    if isinstance(value, int):
        return {"score": value} if task == "regression" else {"prediction": value}
    if isinstance(value, float) and task == "multiclass":
        return {"prediction": value}
    return _score_field(value, model)


def _score_field(value: Any, model: Model | None) -> dict[str, Any]:
    """The field of an output that is a score: a number, or a number for each class."""
    value = _single(value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        return {"score": plain_json(value)}
    if isinstance(value, Mapping) and value and all(map(_is_number, value.values())):
        return {"score": _class_scores(value, model)}
    if not _is_list(value) or not value or not all(map(_is_number, value)):
        raise PayloadError("an answer is a number, a text, true, false, or a number for each class")
    task, classes = (None, ()) if model is None else (model.task, model.classes)
    if task == "regression":
        raise PayloadError(f"{len(value)} numbers answer one instance, and the model is a regression")
    if len(value) == 2 and (task == "binary" or (task is None and math.isclose(sum(value), 1, abs_tol=1e-3))):
        return {"score": plain_json(value[1])}
    names = classes if len(classes) == len(value) else tuple(map(str, range(len(value))))
    return {"score": {name: plain_json(number) for name, number in zip(names, value, strict=True)}}


def _class_scores(value: Mapping[Any, Any], model: Model | None) -> Any:
    """Numbers by class; for a binary model, only the number of the positive class."""
    if model is not None and model.task == "binary" and _is_of_classes(value, model):
        return plain_json({str(name): number for name, number in value.items()}[model.classes[1]])
    return {str(name): plain_json(number) for name, number in value.items()}


def _is_of_classes(value: Mapping[Any, Any], model: Model | None) -> bool:
    return model is not None and bool(model.classes) and {*map(str, value)} == {*model.classes}


def _tensor_features(inputs: list[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """The features of each instance in tensors, by the tensor's name. If a tensor has several columns, they are named `NAME_0`, `NAME_1`
    and so on. If there is only one tensor, its columns get the names of the model's features.
    """
    tensors = _tensors(inputs)
    only = len(tensors) == 1
    found: list[dict[str, Any]] = []
    for rows in zip(*tensors.values(), strict=True):
        features: dict[str, Any] = {}
        for name, row in zip(tensors, rows, strict=True):
            if only and (_is_list(row) or len(names) == 1):
                features = _named(row, names, ())
            elif _is_list(row):
                features |= {f"{name}_{place}": value for place, value in enumerate(row)}
            else:
                features[name] = row
        found.append(features)
    return found


def _tensors(tensors: list[Any]) -> dict[str, list[Row]]:
    """The rows of each tensor, by its name. All tensors must have the same number of rows."""
    found: dict[str, list[Row]] = {}
    for tensor in tensors:
        if not isinstance(tensor, Mapping) or not isinstance(tensor.get("name"), str):
            raise PayloadError("a tensor has no name")
        if tensor["name"] in found:
            raise PayloadError(f"the tensor {tensor['name'][:60]!r} is there twice")
        found[tensor["name"]] = _tensor_rows(tensor, tensor["name"][:60])
    if not found:
        raise PayloadError("there is no tensor")
    if len({len(rows) for rows in found.values()}) > 1:
        raise PayloadError(
            "the tensors have different numbers of rows: " + ", ".join(f"{name} {len(rows)}" for name, rows in found.items())
        )
    return found


def _tensor_rows(tensor: Mapping[str, Any], name: str) -> list[Row]:
    """The rows of one tensor along its first dimension. A row with one value is just that value."""
    shape, data = tensor.get("shape"), tensor.get("data")
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise PayloadError(f"the tensor {name!r} has no shape")
    if data is None:
        raise PayloadError(f"the tensor {name!r} has no data in JSON; binary tensors cannot be read")
    if sum(size != 1 for size in shape[1:]) > 1:
        raise PayloadError(f"the tensor {name!r} has {len(shape)} dimensions; features have one or two")
    values = [_typed(value, str(tensor.get("datatype", ""))) for value in _flat(data if isinstance(data, list) else [data])]
    width = math.prod(shape[1:])
    if len(values) != shape[0] * width or shape[0] > INSTANCES:
        raise PayloadError(f"the tensor {name!r} has {len(values):,} values and the shape {shape}; at most {INSTANCES:,} rows are taken")
    if not values:
        raise PayloadError(f"the tensor {name!r} has no values")
    return values if width == 1 else [values[start : start + width] for start in range(0, len(values), width)]


def _typed(value: Any, datatype: str) -> Any:
    """A value of a tensor, converted according to its datatype. Whole numbers stay whole; floating-point types become floats."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if datatype.startswith(("FP", "BF")):
            return plain_json(float(value))
        if datatype == "BOOL":
            return bool(value)
        if datatype.startswith(("INT", "UINT")) and isinstance(value, float) and value.is_integer():
            return int(value)
    return plain_json(value)


def _seldon_rows(data: Mapping[str, Any]) -> tuple[list[Row], tuple[str, ...]]:
    """The rows and column names of Seldon's `data`: `ndarray`, or `tensor` with `shape` and `values`."""
    names = tuple(map(str, data["names"])) if isinstance(data.get("names"), list) else ()
    if isinstance(data.get("ndarray"), list):
        return list(_bounded(data["ndarray"])), names
    tensor = data.get("tensor")
    if isinstance(tensor, Mapping):
        return _tensor_rows({"shape": tensor.get("shape"), "data": tensor.get("values"), "datatype": "FP64"}, "tensor"), names
    raise PayloadError("'data' has neither 'ndarray' nor 'tensor'")


def _named(instance: Any, names: Sequence[str], own: Sequence[str]) -> dict[str, Any]:
    """The features of one instance. own: names that the request gives."""
    if isinstance(instance, Mapping):
        return {str(name): plain_json(_single(value)) for name, value in instance.items()}
    values = instance if _is_list(instance) else [instance]
    if any(isinstance(value, list | Mapping) for value in values):
        raise PayloadError("an instance is an object or a list of values; it has lists inside")
    named = next((each for each in (own, names) if len(each) == len(values)), [f"f{place}" for place in range(len(values))])
    return {name: plain_json(value) for name, value in zip(named, values, strict=True)}


def plain_json(value: Any) -> Any:
    """A value in the form that records use: numbers that are not finite become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _bounded(instances: list[Any]) -> list[Any]:
    if not instances:
        raise PayloadError("there is no instance")
    if len(instances) > INSTANCES:
        raise PayloadError(f"there are {len(instances):,} instances; at most {INSTANCES:,} are taken")
    return instances


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise PayloadError("the data of the event is not a JSON object")
    return body


def _single(value: Any) -> Any:
    """If a value is a list with one value, that inner value; any other value unchanged."""
    while _is_list(value) and len(value) == 1:
        value = value[0]
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(str(name)[:60] for name in islice(names, 6))
