"""A small seeded store whose versions have real model files, for tests in which a case asks the model.

* credit: binary. Versions 1 and 2 are LightGBM of the same features, 3 needs a feature that no stored input has, 4 has no file.
  Version 1 answered `c-0` to `c-399`, version 2 answered the first 150 of them in the shadow (`s-…`). `age` and `town` are locked.
  Income and town have nulls.
* rent: regression, a linear model in a skops file. mood: three classes, LightGBM.
* logged: binary, no file: attributions came with the predictions; `l-bad` does not add up, `l-bare` has no base value.
"""

import json
import pickle
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.built_once import copied_once

START = datetime(2026, 3, 2, tzinfo=UTC)
FEATURES = ("age", "income", "rooms", "town", "member")
CLASSES = ("bad", "fair", "good")
FITTED = "fitted.pickle"
SETTINGS = '[settings]\nthreshold = 0.4\nimmutable = ["age", "town"]\n'


@dataclass(frozen=True)
class ModelWorld:
    """The store, the fitted models, and the rows that the models answered."""

    store: Database
    home: Path
    models: dict[str, Any]
    frames: dict[str, pd.DataFrame]


def people(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n), "income": rng.lognormal(3, 0.6, n).round(2), "rooms": rng.integers(1, 7, n),
            "town": rng.choice(["Bern", "Oslo", "Rome"], n), "member": rng.random(n) < 0.5,
        }
    )  # fmt: skip
    frame.loc[rng.random(n) < 0.06, "income"] = np.nan
    frame["town"] = frame["town"].where(rng.random(n) > 0.04, None)
    value = frame["income"].fillna(15) / 10 + frame["rooms"] / 2 + (frame["town"] == "Oslo") * 1.5 + frame["member"] * frame["age"] / 40
    return frame, value.to_numpy() + rng.normal(0, 0.5, n)


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in the input format of LightGBM."""
    found = frame.assign(town=pd.Categorical(frame["town"], categories=["Bern", "Oslo", "Rome"]))
    return found.assign(**{name: found[name].astype(float) for name in found if name != "town"})


def fitted(frame: pd.DataFrame, target: np.ndarray, objective: str, rounds: int = 25, **more: object) -> lightgbm.Booster:
    given = {"objective": objective, "verbosity": -1, "num_threads": 1, "num_leaves": 8, "min_data_per_group": 5, "seed": 1, **more}
    return lightgbm.train(given, lightgbm.Dataset(inputs(frame), target), rounds)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """The features as a record has them, with null instead of NaN."""
    return {name: None if value is None or value != value else value for name, value in row.items()}


def records_of(
    name: str, version: str, prefix: str, frame: pd.DataFrame, scores: Any, environment: str = "production", **more: Any
) -> list:
    found = []
    for place, row in enumerate(frame.to_dict("records")):
        at = (START + timedelta(minutes=30 * place)).isoformat()
        score = scores[place] if not isinstance(scores, np.ndarray) or scores.ndim == 1 else dict(zip(CLASSES, scores[place].tolist()))
        body = {
            "kind": "prediction", "id": f"{prefix}-{place}", "model": name, "version": version, "at": at, "received_at": at,
            "features": plain(row), "score": float(score) if not isinstance(score, dict) else score, "environment": environment,
        }  # fmt: skip
        found.append(body | {key: value[place] for key, value in more.items()})
    return found


def labels_of(name: str, prefix: str, values: Any) -> list[dict]:
    at = (START + timedelta(days=20)).isoformat()
    return [
        {"kind": "label", "id": f"{prefix}-{place}", "model": name, "at": at, "received_at": at, "value": value}
        for place, value in enumerate(values)
        if place % 10 != 9
    ]


def reference(folder: Path, name: str, frame: pd.DataFrame, **columns: Any) -> Path:
    frame.assign(**columns).to_csv(folder / f"{name}.csv", index=False)
    return folder / f"{name}.csv"


def credit(store: Database, folder: Path, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, pd.DataFrame], list[dict]]:
    held, value = people(rng, 700)
    frame, truth = people(rng, 400)
    (folder / "credit.toml").write_text(SETTINGS)
    models = {}
    for version, cut in (("1", slice(0, 350)), ("2", slice(350, 700))):
        models[f"credit {version}"] = booster = fitted(held[cut], value[cut] > 5.5, "binary")
        booster.save_model(folder / f"credit-{version}.txt")
    wider = held.assign(tenure=rng.integers(0, 9, len(held)))
    wide = fitted(wider, value > 5.5, "binary")
    wide.save_model(folder / "credit-3.txt")
    scores = {
        "1": models["credit 1"].predict(inputs(held)), "2": models["credit 2"].predict(inputs(held)),
        "3": wide.predict(inputs(wider)), "4": models["credit 2"].predict(inputs(held)),
    }  # fmt: skip
    for version, given in scores.items():
        table = wider if version == "3" else held
        store.register(
            RegistrationRequest(
                model="credit", version=version, task="binary", reference=reference(folder, "held", table, score=given, label=(value > 5.5).astype(int)),
                label="label", score=("score",), features=tuple(table), settings=folder / "credit.toml",
                artifact=folder / f"credit-{version}.txt" if version != "4" else None,
            ),
            now=START - timedelta(days=50 - int(version)),
        )  # fmt: skip
    answered = {version: models[f"credit {version}"].predict(inputs(frame)) for version in "12"}
    records = [
        *records_of("credit", "1", "c", frame, answered["1"]),
        *records_of("credit", "2", "s", frame.head(150), answered["2"], environment="shadow"),
        *labels_of("credit", "c", (truth > 5.5).astype(int).tolist()),
    ]
    return models, {"credit": frame, "credit held": held, "credit truth": pd.DataFrame({"y": truth > 5.5})}, records


def rent(store: Database, folder: Path, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, pd.DataFrame], list[dict]]:
    import skops.io
    from sklearn.linear_model import LinearRegression

    def flats(n: int) -> tuple[pd.DataFrame, np.ndarray]:
        found = pd.DataFrame(
            {"size": rng.normal(80, 20, n).round(1), "floor": rng.integers(0, 9, n).astype(float), "noise": rng.normal(0, 1, n).round(3)}
        )
        return found, 10 * found["size"].to_numpy() + 5 * found["floor"].to_numpy() + rng.normal(0, 30, n)

    held, value = flats(300)
    frame, truth = flats(60)
    model = LinearRegression().fit(held, value)
    skops.io.dump(model, folder / "rent.skops")
    store.register(
        RegistrationRequest(
            model="rent", version="1", task="regression", reference=reference(folder, "rent", held, score=model.predict(held), label=value),
            label="label", score=("score",), features=tuple(held), artifact=folder / "rent.skops",
        ),
    )  # fmt: skip
    truth[0] = model.predict(frame.head(1))[0] + 400  # makes the label of r-0 far from its prediction
    records = [*records_of("rent", "1", "r", frame, model.predict(frame)), *labels_of("rent", "r", truth.tolist())]
    return {"rent": model}, {"rent": frame, "rent held": held}, records


def mood(store: Database, folder: Path, rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, pd.DataFrame], list[dict]]:
    held, value = people(rng, 400)
    frame, truth = people(rng, 60)
    target = np.digitize(value, [4.5, 6.5])
    model = fitted(held, target, "multiclass", 8, num_class=3)
    model.save_model(folder / "mood.txt")
    chances = model.predict(inputs(held))
    columns = {name: chances[:, place] for place, name in enumerate(CLASSES)}
    store.register(
        RegistrationRequest(
            model="mood", version="1", task="multiclass", reference=reference(folder, "mood", held, **columns, label=np.array(CLASSES)[target]),
            label="label", score=tuple(f"{name}={name}" for name in CLASSES), features=FEATURES, artifact=folder / "mood.txt",
        ),
    )  # fmt: skip
    words = np.array(CLASSES)[np.digitize(truth, [4.5, 6.5])].tolist()
    records = [*records_of("mood", "1", "m", frame, model.predict(inputs(frame))), *labels_of("mood", "m", words)]
    return {"mood": model}, {"mood": frame, "mood held": held}, records


def logged(store: Database, folder: Path, rng: np.random.Generator) -> list[dict]:
    frame = pd.DataFrame({"x": rng.normal(0, 1, 80).round(3), "y": rng.normal(0, 1, 80).round(3)})
    score = 1 / (1 + np.exp(-(0.2 + frame["x"] - 0.5 * frame["y"])))
    store.register(
        RegistrationRequest(
            model="logged", version="1", task="binary", reference=reference(folder, "logged", frame, score=score, label=(score > 0.5).astype(int)),
            label="label", score=("score",), features=("x", "y"),
        ),
    )  # fmt: skip
    parts = [{"x": row["x"], "y": -0.5 * row["y"]} for row in frame.to_dict("records")]
    extra = {"attributions": parts, "base_value": [0.2] * 80, "attributions_link": ["logit"] * 80}
    records = records_of("logged", "1", "l", frame, score.to_numpy(), **extra)
    bare = {name: value for name, value in records[1].items() if name != "base_value"}
    return [*records, {**records[0], "id": "l-bad", "score": 0.99}, {**bare, "id": "l-bare"}]


def build(folder: Path) -> ModelWorld:
    """Build the world in a folder."""
    copied_once("case-model-world", fill, folder)
    models, frames = pickle.loads((folder / FITTED).read_bytes())
    return ModelWorld(open_store(folder / "home", threads=2), folder / "home", models, frames)


def fill(folder: Path) -> None:
    """Fill the world's home in a folder, and close it. The models and rows are saved next to it."""
    rng = np.random.default_rng(7)
    store = open_store(folder / "home", threads=2)
    models: dict[str, Any] = {}
    frames: dict[str, pd.DataFrame] = {}
    records = logged(store, folder, rng)
    for make in (credit, rent, mood):
        more, tables, lines = make(store, folder, rng)
        models, frames, records = models | more, frames | tables, records + lines
    path = folder / "records.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in records) + "\n")
    report = store.load_files([path], LoadDefaults())
    assert report.rejected == 0, report.reasons
    store.close()
    (folder / FITTED).write_bytes(pickle.dumps((models, frames)))


def copied_store(world: ModelWorld, folder: Path) -> Database:
    """The world's store, copied to another home without model files and without cached answers."""
    folder.mkdir(parents=True)
    world.store.cursor().execute("CHECKPOINT")
    shutil.copyfile(world.home / "store.duckdb", folder / "store.duckdb")
    store = open_store(folder, threads=2)
    with store.write() as writer:
        for model in store.catalog().models:
            writer.execute(f"DELETE FROM computed_{model.key}")
    return store
