"""The logger's methods match the record kinds, and the loader accepts what the SDK writes."""

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import observability as obs
from observability.records.kinds import KINDS
from observability.records.record import validate
from observability.records.validation import RecordField
from observability.records.values import Rejected

Records = Callable[[], list[dict]]
METHODS = [kind for kind in KINDS if hasattr(obs.Logger, kind)]
TIME = datetime(2013, 7, 1, tzinfo=UTC)


def example(field: RecordField) -> Any:
    """A value for the field, as a caller would pass it."""
    if field.values:
        return field.values[-1]
    members = {"any": {"a": np.float64("nan")}, "number": {"a": np.float32(2)}, "time": {"a": TIME}, "attribution": {"a": 0.5}}
    values = {
        "text": 7,
        "number": np.float32("inf"),
        "integer": np.int64(3),
        "time": TIME,
        "object": members[field.members],
        "scalar": np.int8(1),
    }
    value = values.get(
        field.type, {"score": {0: np.float32(0.25)}, "list": ("a",), "label": np.bool_(True), "boolean": np.bool_(False)}.get(field.type)
    )
    return 1.5 if field.finite else value


def test_the_sdk_has_a_method_for_each_kind_of_the_contract() -> None:
    assert len(METHODS) == 18, f"a method was added or removed: change the number here ({METHODS})"


@pytest.mark.parametrize("kind", METHODS)
def test_each_sdk_method_has_a_parameter_for_every_field(kind: str) -> None:
    parameters = inspect.signature(getattr(obs.Logger, kind)).parameters
    named = {name.rstrip("_") for name in parameters} - {"self", "extra"}
    others = set(inspect.signature(obs.Logger.export).parameters) if kind == "event" else set()
    assert set(KINDS[kind].fields) - named - others <= {"received_at"}, "left to the extras only where nothing is imported"
    assert named - set(KINDS[kind].fields) == set()
    made_up = {"prediction": {"id", "at"}}.get(kind, {"at"})  # the logger fills these in
    required = {name.rstrip("_") for name, each in parameters.items() if each.default is each.empty} - {"self", "extra"}
    assert required == {field.name for field in KINDS[kind].required} - made_up


@pytest.mark.parametrize("kind", METHODS)
def test_the_loader_accepts_a_record_with_all_fields(tmp_path: Path, records: Records, kind: str) -> None:
    fields = {name: example(field) for name, field in KINDS[kind].fields.items()}
    if "from" in fields:
        fields["from_"] = fields.pop("from")
    with obs.Logger(tmp_path) as log:
        getattr(log, kind)(**fields)
    (line,) = records()
    record = validate(line)
    assert set(record) == {"kind", "extra", *KINDS[kind].fields} and record["extra"] == {}
    assert log.dropped == 0


def test_the_loader_accepts_a_tracked_run(tmp_path: Path, records: Records) -> None:
    with obs.track_run(model="m", home=tmp_path, params={"a": 1}, seed=3, rank=0) as run:
        run.step(1, loss=np.float32(0.5), phase_ms={"compute": 3})
        run.resource(device="cpu", watts=3)
        run.metrics(loss=0.5)
    assert [validate(line)["kind"] for line in records()] == ["run", "step", "resource", "run"]


def test_a_prediction_without_a_score_is_written_and_rejected_by_the_loader(tmp_path: Path, records: Records) -> None:
    with obs.Logger(tmp_path) as log:
        log.prediction(model="m", version="1", features={})
    with pytest.raises(Rejected, match="score"):
        validate(records()[0])
