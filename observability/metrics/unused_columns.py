"""Columns of datasets that no model uses although models were trained on the dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observability.metrics.cost import dataset_spellings

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class UnusedColumns:
    """The columns of the newest version of a dataset. models: the models that were trained on it; unused: the columns that none of these
    models uses.
    """

    dataset: str
    version: str
    columns: int
    unused: tuple[str, ...]
    models: tuple[str, ...]


def unused_columns(datasets: "DataFrame", runs: "DataFrame", read: Mapping[str, Sequence[str]]) -> dict[str, UnusedColumns]:
    """Return the unused columns of each dataset on which a known model was trained, by the dataset's name.

    Parameters
    ----------
    datasets : DataFrame
        Records of datasets, oldest first: dataset, version, columns (by name; None if they were not logged).
    runs : DataFrame
        Records of training runs: run, model, dataset.
    read : mapping of str to sequence of str
        The features and groups of each model.

    Returns
    -------
    dict of str to UnusedColumns
        Without datasets whose columns are not logged, and those that no run with a model in `read` names in any version.
    """
    trained: dict[str, set[str]] = {}
    described = runs.groupby("run")[["model", "dataset"]].first().dropna()
    for model, text in zip(described["model"], described["dataset"], strict=True):
        trained.setdefault(str(text), set()).add(str(model))
    found = {}
    for name, part in datasets.groupby("dataset"):
        columns, version = part["columns"].iloc[-1], str(part["version"].iloc[-1])
        spelled = {text for each in part["version"] for text in dataset_spellings(str(name), str(each))}
        models = sorted({model for text in spelled for model in trained.get(text, ()) if model in read})
        if models and isinstance(columns, Mapping) and columns:
            known = {column for model in models for column in read[model]}
            unused = tuple(sorted(str(column) for column in columns if column not in known))
            found[str(name)] = UnusedColumns(str(name), version, len(columns), unused, tuple(models))
    return found
