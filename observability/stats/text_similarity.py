"""Similarity of short texts by hashed character n-grams: no model and no download is needed."""

from collections.abc import Sequence

import numpy as np

from observability.stats.arrays import Floats

FEATURES = 2**15
"""Columns of the hashed space."""
NGRAMS = (3, 5)
"""Lengths of character n-grams, within words."""


def text_similarities(texts: Sequence[str]) -> Floats:
    """Cosine similarity of every pair of texts, by the counts of their hashed character n-grams.

    Parameters
    ----------
    texts : Sequence[str]
        Texts; case is ignored.

    Returns
    -------
    Floats
        Square matrix from 0 (no n-gram in common) to 1 (the same n-grams). Two texts without an n-gram have 1.

    References
    ----------
    * Weinberger et al. (2009), Feature hashing for large scale multitask learning; scikit-learn's HashingVectorizer.
    """
    if not texts:
        return np.zeros((0, 0))
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=NGRAMS, n_features=FEATURES, alternate_sign=False, norm="l2")
    vectors = hashed.transform(texts)
    found = np.asarray((vectors @ vectors.T).todense(), np.float64)
    empty = np.asarray(vectors.getnnz(axis=1) == 0)
    found[np.ix_(empty, empty)] = 1.0
    return np.clip(found, 0.0, 1.0)
