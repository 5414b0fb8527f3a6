"""Find the plane that shows most of the variance of a table of numbers: the first two principal components."""

from dataclasses import dataclass

import numpy as np

from observability.stats.arrays import Floats


@dataclass(frozen=True)
class PrincipalPlane:
    """The first two principal components of n rows and k columns.

    Attributes
    ----------
    points : Floats
        (n, 2) coordinates of the rows.
    shares : Floats
        (2,) share of the variance along each axis, 0 to 1; 0 along both where all rows are equal.
    directions : Floats
        (2, k) unit vectors of the axes; zeros for an axis that the table does not have. The largest entry of each is positive.
    centre : Floats
        (k,) means of the columns.
    """

    points: Floats
    shares: Floats
    directions: Floats
    centre: Floats

    def project(self, rows: Floats) -> Floats:
        """Coordinates (m, 2) of m other rows with the same columns."""
        return np.asarray((rows - self.centre) @ self.directions.T, np.float64)


def principal_plane(rows: Floats) -> PrincipalPlane:
    """The plane of most variance through the mean of the rows, by an exact singular value decomposition.

    Parameters
    ----------
    rows : Floats
        (n, k) finite numbers, at least one row and one column.

    Returns
    -------
    PrincipalPlane
        The same for the same rows in any order, except for rounding.

    References
    ----------
    * Jolliffe (2002), Principal component analysis; scikit-learn's PCA.
    """
    from sklearn.decomposition import PCA

    centre = rows.mean(axis=0)
    directions, shares = np.zeros((2, rows.shape[1])), np.zeros(2)
    if float(rows.var(axis=0).sum()) > 0:
        axes = min(2, *rows.shape)
        found = PCA(axes, svd_solver="full").fit(rows)
        signs = np.sign([axis[np.abs(axis).argmax()] for axis in found.components_])
        directions[:axes], shares[:axes] = found.components_ * signs[:, None], found.explained_variance_ratio_
    return PrincipalPlane((rows - centre) @ directions.T, shares, directions, centre)
