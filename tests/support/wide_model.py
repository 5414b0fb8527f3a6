"""A registered model with any number of columns, and two weeks of its predictions."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest

END = datetime(2026, 3, 15, tzinfo=UTC)


def wide_model(store: Database, folder: Path, columns: int, rows: int = 400, levels: int = 30) -> str:
    """Register a model with equal columns, half of them numbers and half categories, whose values change in the second of two weeks of
    predictions. Returns its name.
    """
    rng = np.random.default_rng(3)
    number, level, score = rng.normal(size=rows), rng.integers(0, levels, rows), rng.random(rows)
    late = np.arange(rows) >= rows / 2
    for name, moved in (("reference", 0), ("served", late)):
        made = {f"number {place}": number + 2 * moved for place in range(columns // 2)}
        made |= {f"category {place}": (level + 20 * moved).astype(str) for place in range(columns // 2)}
        made |= {"score": score, "label": (rng.random(rows) < score).astype(int), "id": [f"p{place}" for place in range(rows)]}
        made["at"] = [END - timedelta(days=14) * (1 - place / rows) for place in range(rows)]
        pd.DataFrame(made).to_parquet(folder / f"{name}.parquet")
    features, model = tuple(made)[: columns // 2 * 2], f"of {columns}"
    store.register(
        RegistrationRequest(model, "1", folder / "reference.parquet", task="binary", label="label", score=("score",), features=features)
    )
    report = store.load_files([folder / "served.parquet"], LoadDefaults("prediction", model, "1", features))
    assert report.rejected == 0, report.reasons
    return model
