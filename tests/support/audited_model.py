"""A tiny registered model with a model file, so that audits of it can be scheduled."""

from pathlib import Path

import pandas as pd

from observability.store.engine import Store
from observability.store.types.registration import RegistrationRequest


def register_with_file(store: Store, folder: Path, name: str, settings: str | None = None) -> None:
    """Registers version 1 of a model, with its file. settings: a TOML text."""
    import lightgbm

    rows = pd.DataFrame({"a": [float(k % 7) for k in range(60)], "label": [k % 2 for k in range(60)]})
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2}
    lightgbm.train(params, lightgbm.Dataset(rows[["a"]], rows["label"]), num_boost_round=2).save_model(folder / "model.txt")
    rows = rows.assign(score=lightgbm.Booster(model_file=folder / "model.txt").predict(rows[["a"]]))
    rows.to_csv(folder / "reference.csv", index=False)
    if settings is not None:
        (folder / "settings.toml").write_text(settings, encoding="utf-8")
    store.register(
        RegistrationRequest(
            model=name,
            version="1",
            reference=folder / "reference.csv",
            task="binary",
            label="label",
            score=("score",),
            features=("a",),
            artifact=folder / "model.txt",
            settings=None if settings is None else folder / "settings.toml",
        )
    )
