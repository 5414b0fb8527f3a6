"""A map of a model's predictions by their inputs: a sample of limited size from a window, drawn on the first two principal components of
the features.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Sample
from observability.core.window import Window
from observability.investigation.comparison_rows import row_limit, sample_columns
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.feature_space import FeatureBlock, feature_blocks
from observability.investigation.latent_inputs import latent_features
from observability.investigation.sampled_rows import version_features
from observability.stats.arrays import Floats
from observability.stats.principal_plane import PrincipalPlane, principal_plane

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

MAX_POINTS, MAX_KNOWN, MAX_CELLS = 2_000, 4_000, 1_000_000
"""Maximum numbers: drawn predictions, reference rows in which numbers are ranked, and feature values of each of these two."""
MIN_POINTS = 10
NAMED_FEATURES = 2


@dataclass(frozen=True, eq=False)
class PredictionMap:
    """Predictions of a window on a plane. frame: the drawn rows (columns of comparison_rows.sample_columns, and `x`, `y`), in the order of
    their hash. total: number of predictions in the window. axes: for each axis, its share of the variance and the features that contribute
    most to it with their parts, largest first. known: number of rows of the reference in which numbers are ranked; 0 if the drawn rows are
    used. embedding: whether the features are the components of a representation.
    """

    model: Model
    frame: "DataFrame"
    total: int
    plane: PrincipalPlane
    blocks: tuple[FeatureBlock, ...]
    known: int
    embedding: bool = False

    @property
    def shown(self) -> float:
        """Share of the variance that the two axes show together."""
        return float(self.plane.shares.sum())

    def axis_features(self, axis: int) -> list[tuple[str, float]]:
        """The features that contribute most to an axis, at most NAMED_FEATURES, and their parts; the parts of all features sum to 1."""
        ends = np.cumsum([block.width for block in self.blocks])[:-1]
        parts = [float(part.sum()) for part in np.split(self.plane.directions[axis] ** 2, ends)]
        named = sorted(zip((block.column.name for block in self.blocks), parts), key=lambda each: (-each[1], each[0]))
        return [each for each in named[:NAMED_FEATURES] if each[1] > 0]

    def project(self, frame: "DataFrame") -> Floats:
        """Coordinates (n, 2) of other predictions of the model."""
        return self.plane.project(encoded_rows(self.blocks, frame))


def prediction_map(store: "Store", model: Model, window: Window, *, embedding: bool = False) -> PredictionMap:
    """The map of a window's predictions: those with the smallest hashes of their ids, at most MAX_POINTS.

    Raises NotGivenError if there are fewer than MIN_POINTS predictions, or no feature varies.
    """
    version = model.version(window.version) or model.versions[-1]
    features = version_features(model, version)
    latent = set(latent_features(column.name for column in features if column.kind == "number"))
    columns = [column for column in features if column.name in latent] if embedding else list(features)
    if not columns:
        raise NotGivenError("this model has no latent inputs" if embedding else "this model has no features to place predictions by")
    frame = store.ask(Sample("outcomes", sample_columns(model), row_limit(model, MAX_POINTS, MAX_CELLS)), window)
    if len(frame) < MIN_POINTS:
        raise NotGivenError(f"{len(frame)} predictions are too few for a map", attempt="Choose a longer time range")
    known = frame.iloc[:0]
    if version.reference_rows and not embedding:
        asked = Sample("outcomes", tuple(column.reference for column in columns), row_limit(model, MAX_KNOWN, MAX_CELLS))
        known = store.ask(asked, replace(window, version=version.name, slice=None).reference())
    blocks = tuple(feature_blocks(columns, frame, known if len(known) else frame, embedding=embedding))
    plane = principal_plane(encoded_rows(blocks, frame))
    if not plane.shares.any():
        raise NotGivenError(f"the inputs of all {len(frame):,} predictions are equal", attempt="Choose a longer time range")
    placed = frame.assign(x=plane.points[:, 0], y=plane.points[:, 1])
    total = int(store.ask(Aggregate("predictions"), window)["n"].sum())
    return PredictionMap(model, placed, max(total, len(frame)), plane, blocks, len(known), embedding)


def encoded_rows(blocks: tuple[FeatureBlock, ...], frame: "DataFrame") -> Floats:
    """The columns of all blocks side by side, (n, k)."""
    return np.concatenate([block.columns_of(frame) for block in blocks], axis=1)
