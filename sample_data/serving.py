"""Serve a trained model, one request at a time, and log each prediction.

Two worker processes each load the model's file, as a service would, and score one half of the requests, one row at a time. The latency is
the wall time of that one call: from the request as it came (features; a text) to the score. Each prediction goes through the product's
`Logger`, dated at the time at which it would have been requested. Labels are logged in the same way, dated at the time at which the truth
was known.
"""

import gc
import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd

from observability import Logger
from sample_data.spec import Spec
from sample_data.texts import TextService

SHIPPED = -1
"""Key of the shipped model; the other keys are the numbers of the folds."""
WORKERS = ("worker-1", "worker-2")
WARM_UP = 200


class Service:
    """A model behind a call: features in, score out."""

    def __init__(self, spec: Spec, artifact: Path, booster: lightgbm.Booster | None = None) -> None:
        self.spec = spec
        shipped = lightgbm.Booster(model_file=str(artifact))
        self.booster = booster or shipped
        levels = shipped.pandas_categorical or []
        self.codes = [
            {level: float(code) for code, level in enumerate(levels[spec.categories.index(name)])} if name in spec.categories else None
            for name in spec.features
        ]

    def answer(self, features: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Features and score of one row. A null and a level that the model never saw count as missing."""
        row = np.empty((1, len(self.codes)))
        for place, (value, codes) in enumerate(zip(features.values(), self.codes)):
            row[0, place] = np.nan if value is None else codes.get(value, np.nan) if codes is not None else value
        return features, round(float(self.booster.predict(row, num_threads=1)[0]), self.spec.digits)


def open_service(spec: Spec, artifact: Path) -> Service | TextService:
    """The service that answers with the model in the given file."""
    return TextService(artifact, spec.digits) if spec.ending == "skops" else Service(spec, artifact)


def serve(spec: Spec, table: pd.DataFrame, artifacts: Mapping[int, Path], home: Path) -> None:
    """Two processes score and log every row of `table`; then the labels that arrive later are logged.

    artifacts: the file of the shipped model under SHIPPED, and under each fold's number the file of the model fitted without that fold. The
    shipped model was trained on the rows with a `fold` of 0 or more. So these rows are answered by the model fitted without their fold, and
    logged in the environment `validation`.
    """
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work, args=(spec, table.iloc[place :: len(WORKERS)], artifacts, home, name))
        for place, name in enumerate(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise SystemExit(f"{worker.name} ended with {worker.exitcode}")
    if "label_at" in table:
        log_labels(spec, table, home)


def work(spec: Spec, table: pd.DataFrame, artifacts: Mapping[int, Path], home: Path, name: str) -> None:
    """Score and log one worker's requests, in the order of time."""
    services = {fold: open_service(spec, artifact) for fold, artifact in artifacts.items()}
    known_at_once = "label_at" not in table
    folds = table["fold"].tolist() if "fold" in table else [SHIPPED] * len(table)
    batches = [each if isinstance(each, str) else None for each in table["batch"]] if "batch" in table else [None] * len(table)
    gc.freeze()
    for request in list(requests(spec, table.head(WARM_UP))):
        for service in services.values():
            service.answer(request)
    with Logger(home, fsync="never", segment_bytes=2**26, segment_seconds=3600) as log:
        rows = zip(table["id"], table["at"], table["label"], folds, batches, requests(spec, table))
        for identity, at, label, fold, batch, request in rows:
            service = services[fold]
            with log.timed() as timer:
                features, score = service.answer(request)
            log.prediction(
                id=identity,
                at=at,
                received_at=at,
                model=spec.name,
                version=spec.version,
                features=features,
                score=score,
                label=label if known_at_once else None,
                latency_ms=float(f"{round(timer.ms, 3):.3g}"),
                replica=name,
                batch=batch,
                **beside(spec, fold, request),
            )
        check(log)


def beside(spec: Spec, fold: int, request: object) -> dict[str, Any]:
    """Further fields of a record: the environment if it is not production; for a text, the text itself and its environment. Texts that the
    shipped model has learned from get the environment `validation`.
    """
    if spec.ending != "skops":
        return {"environment": spec.environment} if spec.environment else {}
    return {"text": request, "environment": "production" if fold == SHIPPED else "validation"}


def requests(spec: Spec, table: pd.DataFrame) -> Iterator[Any]:
    """The request of each row: its text, or its features as plain values; unobserved values are None."""
    if "text" in table:
        yield from table["text"].tolist()
        return
    columns = [[None if pd.isna(value) else value for value in table[name].tolist()] for name in spec.features]
    for values in zip(*columns):
        yield dict(zip(spec.features, values))


def log_labels(spec: Spec, table: pd.DataFrame, home: Path) -> None:
    """Log the labels in the order in which they arrive. A row without a label (cancelled, diverted) gets none."""
    known = table[table["label"].notna()].sort_values(["label_at", "id"])
    values = known["label"] if spec.classes else known["label"].astype(int)
    columns = {name: known[name].tolist() for name in spec.label_fields}
    with Logger(home, fsync="never", segment_bytes=2**26, segment_seconds=3600) as log:
        for place, (identity, at, value) in enumerate(zip(known["id"], known["label_at"], values)):
            more = {name: column[place] for name, column in columns.items()}
            log.label(id=identity, model=spec.name, value=value, at=at, received_at=at, source=spec.label_source, **more)
        check(log)


def check(log: Logger) -> None:
    """Raises SystemExit if a record was not logged, so that no incomplete sample is made."""
    if log.dropped:
        raise SystemExit(f"{log.dropped} records were not logged: {log.last_error}")
