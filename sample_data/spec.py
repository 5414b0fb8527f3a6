"""The definition of one model of the fleet: its features, its label, its training and its settings."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

VERSION = "1"
FOLDS = 5


@dataclass(frozen=True)
class Spec:
    """One model, as far as it does not depend on the rows.

    features: names in the order of the model's input; categories: those that are no numbers. label: the column of the truth in the rows.
    params: the library's. rounds: boosting rounds (trees), or passes over the rows (epochs); each is a step of the run. digits: decimals of a
    logged score. settings: more of the settings file (contract section 3). limits: its levels of metrics. trained_on: the name of the training
    data. deployed: RFC 3339, the instant it starts to serve. ending: of the model's file. classes: of a multiclass model, in their order. label_source, label_fields: how labels
    are found, and the columns of the rows that ride with them. version, environment: what predictions say of
    themselves; without an environment they are production. together: features by which the rows of a month lie together in the file, so that
    it is small.
    """

    name: str
    task: Literal["binary", "regression", "multiclass"]
    label: str
    features: tuple[str, ...]
    categories: tuple[str, ...]
    sensitive: tuple[str, ...]
    params: dict[str, Any]
    rounds: int
    digits: int
    trained_on: str
    deployed: str
    settings: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    ending: str = "lightgbm.txt"
    library: str = "lightgbm"
    classes: tuple[str, ...] = ()
    label_source: str = "outcome"
    label_fields: tuple[str, ...] = ()
    version: str = VERSION
    environment: str | None = None
    together: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """How the names of its files begin: the model, and the version where it is not the first."""
        return self.name if self.version == VERSION else f"{self.name}.{self.version}"

    @property
    def artifact(self) -> str:
        """File name of the trained model."""
        return f"{self.stem}.{self.ending}"

    @property
    def round_name(self) -> str:
        """What a round is called among the parameters of a run."""
        return "trees" if self.library == "lightgbm" else "epochs"

    @property
    def score_columns(self) -> dict[str, str]:
        """Columns of the reference that hold the scores, by class; "" where there is one score."""
        return {name: f"score_{name}" for name in self.classes} or {"": "score"}

    @property
    def reference(self) -> str:
        """File name of the reference."""
        return f"{self.stem}.reference.parquet"

    @property
    def settings_file(self) -> str:
        """File name of the settings, which belong to the model, whatever its version."""
        return f"{self.name}.toml"


@dataclass(frozen=True)
class Rows:
    """The rows of one model.

    train: what it is fitted on, with the columns of the features, `label`, `id`, `at` and `fold` (from 0).
    in_reference: which of them (boolean, aligned) become the reference. serve: what it serves, the same columns without `fold`, ordered by time,
    `batch` where rows come from one, and `label_at` (NaT: the label never comes) where labels arrive later. label_at is absent where the answer is known at once.
    """

    train: pd.DataFrame
    in_reference: pd.Series
    serve: pd.DataFrame


def hashes(texts: Iterable[str]) -> list[int]:
    """First 8 bytes of the MD5 of each text: an order that has nothing to do with what a row says, and that repeats everywhere."""
    return [int.from_bytes(hashlib.md5(text.encode()).digest()[:8]) for text in texts]


def folds(groups: pd.Series) -> pd.Series:
    """A fold for each row: the groups in the order of their hash are dealt like cards, so folds are of equal size and a group is never split."""
    names = sorted(groups.astype(str).unique(), key=lambda name: hashes([name])[0])
    dealt = {name: place % FOLDS for place, name in enumerate(names)}
    return groups.astype(str).map(dealt)


def total_bytes(folder: Path) -> int:
    """Size of all that ships in the folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
