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
    """The properties of one model that do not depend on the rows.

    features: names in the order of the model's input; categories: the features that are not numbers. label: the column of the truth in the
    rows. params: of the library. rounds: boosting rounds (trees), or passes over the rows (epochs); each is a step of the run. digits:
    decimals of a logged score. settings: further entries of the settings file (contract section 3). limits: limits of metrics in that file.
    trained_on: the name of the training data. deployed: RFC 3339, the instant at which the model starts to serve. ending: of the model's
    file. classes: of a multiclass model, in order. label_source, label_fields: how labels are found, and the columns that are logged with
    them. version, environment: of the predictions; no environment means production. together: features by which the rows of a month are
    sorted in the file, to make it small.
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
        """Prefix of the names of the model's files: the model, and the version if it is not the first."""
        return self.name if self.version == VERSION else f"{self.name}.{self.version}"

    @property
    def artifact(self) -> str:
        """File name of the trained model."""
        return f"{self.stem}.{self.ending}"

    @property
    def round_name(self) -> str:
        """Name of the parameter of a run that holds the number of rounds."""
        return "trees" if self.library == "lightgbm" else "epochs"

    @property
    def score_columns(self) -> dict[str, str]:
        """Columns of the reference that hold the scores, by class; the key is the empty string if there is one score."""
        return {name: f"score_{name}" for name in self.classes} or {"": "score"}

    @property
    def reference(self) -> str:
        """File name of the reference."""
        return f"{self.stem}.reference.parquet"

    @property
    def settings_file(self) -> str:
        """File name of the settings; all versions of the model share it."""
        return f"{self.name}.toml"


@dataclass(frozen=True)
class Rows:
    """The rows of one model.

    train: the rows to fit on, with the columns of the features, `label`, `id`, `at` and `fold` (from 0). in_reference: which of them
    (boolean, aligned) become the reference. serve: the rows to serve, ordered by time, with the same columns without `fold`; with `batch`
    if rows come from one, and with `label_at` (NaT: the label never comes) if labels arrive later. `label_at` is absent if the answer is
    known at once.
    """

    train: pd.DataFrame
    in_reference: pd.Series
    serve: pd.DataFrame


def hashes(texts: Iterable[str]) -> list[int]:
    """First 8 bytes of the MD5 of each text. They give an order that is unrelated to the content of the rows and the same everywhere."""
    return [int.from_bytes(hashlib.md5(text.encode()).digest()[:8]) for text in texts]


def folds(groups: pd.Series) -> pd.Series:
    """A fold for each row. The groups are sorted by hash and dealt like cards, so folds have equally many groups and a group is never
    split.
    """
    names = sorted(groups.astype(str).unique(), key=lambda name: hashes([name])[0])
    dealt = {name: place % FOLDS for place, name in enumerate(names)}
    return groups.astype(str).map(dealt)


def total_bytes(folder: Path) -> int:
    """Total size of the files that ship in the folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
