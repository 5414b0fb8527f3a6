"""Bins of a column reference, and references to classes and bands."""

from observability.core.catalog import Column, Edges, Model, Version
from observability.stats.quantile import LOG_EDGES
from observability.stats.scores import SCORE_EDGES

SCORE_BINS, LATENCY_BINS = Edges(edges=tuple(SCORE_EDGES.tolist())), Edges(edges=tuple(LOG_EDGES.tolist()))
BAND = "band."


def banded_column(model: Model, reference: str) -> Column | None:
    """The sensitive number behind `band.NAME`, a feature or else a group; None for any other reference."""
    if not reference.startswith(BAND):
        return None
    name = reference.removeprefix(BAND)
    found = [each for each in model.columns if each.name == name and each.sensitive and each.kind == "number"]
    return min(found, key=lambda each: each.role != "feature", default=None)


def class_index(model: Model, reference: str) -> int | None:
    """Index from 1 of the class of the probability `score.K`; None for any other reference."""
    index = reference.removeprefix("score.")
    if model.task != "multiclass" or index == reference or not (index.isascii() and index.isdigit()):
        return None
    return int(index) + 1 if int(index) < len(model.classes) and str(int(index)) == index else None


def column_bins(model: Model, version: Version, reference: str) -> Edges:
    """The bins of a reference in a version. Empty edges if there are none: every number is then in bin 0, every level unseen."""
    if reference == "latency_ms":
        return LATENCY_BINS
    if model.classes and (reference == "score" or class_index(model, reference)):
        return SCORE_BINS
    return version.edges.get(reference, Edges())
