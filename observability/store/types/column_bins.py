"""Bins of a column reference, and what a reference to a class or a band stands for."""

from observability.core.catalog import Column, Edges, Model, Version
from observability.stats.quantile import LOG_EDGES
from observability.stats.scores import SCORE_EDGES

SCORE_BINS, LATENCY_BINS = Edges(edges=tuple(SCORE_EDGES.tolist())), Edges(edges=tuple(LOG_EDGES.tolist()))
BAND = "band."


def banded_column(model: Model, reference: str) -> Column | None:
    """The sensitive number behind `band.NAME`, a feature or else a group; None where it is no such reference."""
    if not reference.startswith(BAND):
        return None
    name = reference.removeprefix(BAND)
    found = [each for each in model.columns if each.name == name and each.sensitive and each.kind == "number"]
    return min(found, key=lambda each: each.role != "feature", default=None)


def class_index(model: Model, reference: str) -> int | None:
    """From 1, which class the probability `score.K` is of; None where it is no such reference."""
    index = reference.removeprefix("score.")
    if model.task != "multiclass" or index == reference or not (index.isascii() and index.isdigit()):
        return None
    return int(index) + 1 if int(index) < len(model.classes) and str(int(index)) == index else None


def column_bins(model: Model, version: Version, reference: str) -> Edges:
    """How a version bins a reference; empty edges where it says nothing: every number is then in bin 0, every level unseen."""
    if reference == "latency_ms":
        return LATENCY_BINS
    if model.classes and (reference == "score" or class_index(model, reference)):
        return SCORE_BINS
    return version.edges.get(reference, Edges())
