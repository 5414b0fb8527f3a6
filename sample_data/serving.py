"""What does a service do with the trained model, one request at a time, and what does it log?

Two worker processes each load the model's file, as a service would, and score their half of the requests one row at a time. The latency is
the wall time of that one call: from the features as they came to the score. Each prediction goes through the product's `Logger` with the
time at which it would have been asked. Labels go the same way with the time at which the truth was known.
"""

import gc
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from observability import Logger
from sample_data.spec import VERSION, Rows, Spec

WORKERS = ("worker-1", "worker-2")
WARM_UP = 200


class Service:
    """A model behind a call: features in, score out."""

    def __init__(self, spec: Spec, artifact: Path) -> None:
        self.spec = spec
        self.booster = lightgbm.Booster(model_file=str(artifact))
        levels = self.booster.pandas_categorical or []
        self.codes = [
            {level: float(code) for code, level in enumerate(levels[spec.categories.index(name)])} if name in spec.categories else None
            for name in spec.features
        ]

    def score(self, features: dict[str, Any]) -> float:
        """The score of one row. A level that the model never saw counts as missing, and so does null."""
        row = np.empty((1, len(self.codes)))
        for place, (value, codes) in enumerate(zip(features.values(), self.codes)):
            row[0, place] = np.nan if value is None else codes.get(value, np.nan) if codes is not None else value
        return float(self.booster.predict(row, num_threads=1)[0])


def serve(spec: Spec, rows: Rows, artifact: Path, home: Path) -> None:
    """Every row that the model serves, scored and logged by two processes, then the labels that arrive later."""
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(spec, rows.serve.iloc[place :: len(WORKERS)], artifact, home, name))
        for place, name in enumerate(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit(f"{worker.name} ended with {worker.exitcode}")
    if "label_at" in rows.serve:
        log_labels(spec, rows.serve, home)


def work(spec: Spec, table: pd.DataFrame, artifact: Path, home: Path, name: str) -> None:
    """One worker's requests, in the order of time."""
    service = Service(spec, artifact)
    known_at_once = "label_at" not in table
    gc.freeze()
    for features in list(requests(spec, table.head(WARM_UP))):
        service.score(features)
    with Logger(home, fsync="never", segment_bytes=2**26, segment_seconds=3600) as log:
        for identity, at, label, features in zip(table["id"], table["at"], table["label"], requests(spec, table)):
            with log.timed() as timer:
                score = service.score(features)
            log.prediction(
                id=identity,
                at=at,
                received_at=at,
                model=spec.name,
                version=VERSION,
                features=features,
                score=round(score, spec.digits),
                label=label if known_at_once else None,
                latency_ms=round(timer.ms, 3),
                replica=name,
            )
        check(log)


def requests(spec: Spec, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The features of each row as plain values; what was not observed is None."""
    columns = [[None if pd.isna(value) else value for value in table[name].tolist()] for name in spec.features]
    for values in zip(*columns):
        yield dict(zip(spec.features, values))


def log_labels(spec: Spec, table: pd.DataFrame, home: Path) -> None:
    """The labels in the order in which they arrive; a row without one (cancelled, diverted) gets none."""
    known = table[table["label"].notna()].sort_values(["label_at", "id"])
    with Logger(home, fsync="never", segment_bytes=2**26, segment_seconds=3600) as log:
        for identity, at, value in zip(known["id"], known["label_at"], known["label"].astype(int)):
            log.label(id=identity, model=spec.name, value=value, at=at, received_at=at, source="outcome")
        check(log)


def check(log: Logger) -> None:
    """Raises SystemExit where a record was not acknowledged: the fleet is whole or it is not made."""
    if log.dropped:
        raise SystemExit(f"{log.dropped} records were not logged: {log.last_error}")
