"""Similarity of short texts: by hashed character n-grams, which needs no model, or by the vectors of a sentence encoder."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats

FEATURES = 2**15
"""Number of columns of the hashed space."""
NGRAMS = (3, 5)
"""Smallest and largest length of character n-grams, within words."""
MAX_COMMON = 0.95
"""Largest cosine at which two texts count as different. If all answers are more similar, they cannot be compared well."""


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


def mean_pooled(tokens: ArrayLike, mask: ArrayLike) -> Floats:
    """For each text, the mean of the vectors of those tokens that the mask marks.

    Parameters
    ----------
    tokens : ArrayLike
        Vectors, (texts, tokens, numbers).
    mask : ArrayLike
        (texts, tokens); 1 if a token counts, 0 if it is padding.

    Returns
    -------
    Floats
        (texts, numbers).

    References
    ----------
    * Reimers and Gurevych (2019), Sentence-BERT.
    """
    weights = np.asarray(mask, np.float64)[:, :, None]
    return np.asarray((np.asarray(tokens, np.float64) * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0))


def unrelated_cosine(groups: Sequence[Floats]) -> float:
    """The usual cosine of vectors of different texts: the similarity that the encoder gives to any two texts.

    Parameters
    ----------
    groups : Sequence[Floats]
        Vectors of length 1 of different texts, (texts, numbers); pairs are taken within each group.

    Returns
    -------
    float
        The median over all pairs, from 0 to MAX_COMMON; 0 without a pair.
    """
    pairs = [(each @ each.T)[np.triu_indices(len(each), 1)] for each in groups if len(each) > 1]
    return float(np.clip(np.median(np.concatenate(pairs)), 0.0, MAX_COMMON)) if pairs else 0.0
