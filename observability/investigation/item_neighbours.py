"""Find the nearest items of a labelling project by their content alone (texts, numbers and levels), for items that no model answered."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from observability.investigation.logged_content import images_of_fields, texts_of_fields
from observability.stats.arrays import Floats

WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class ItemNeighbour:
    """Another item. similarity: from 0 to 1."""

    item: str
    similarity: float


def nearest_items(contents: Mapping[str, Mapping[str, Any]], item: str, most: int = 5) -> list[ItemNeighbour]:
    """The items of a project that are most similar to one item, nearest first; empty if no item has content in common with it.

    Similarity is Gower's: the mean over the fields of the item, without images. Texts are compared by the cosine of their words, weighted
    by tf-idf; numbers by their difference as a share of the range of all items; other values by equality. A field that the other item
    lacks counts 0.

    Parameters
    ----------
    contents : Mapping[str, Mapping[str, Any]]
        The content of each item by its name.
    item : str
        One of them.
    most : int
        Neighbours to return.

    Returns
    -------
    list[ItemNeighbour]

    References
    ----------
    * Gower (1971), A general coefficient of similarity and some of its properties.
    """
    names = [name for name in contents if name != item]
    own = contents[item]
    images = {each.name for each in images_of_fields(own)}
    texts = {each.name for each in texts_of_fields(own)}
    parts = [
        _text_similarity(str(value), values) if name in texts else _value_similarity(value, values)
        for name, value in own.items()
        if name not in images and value is not None
        for values in [[contents[other].get(name) for other in names]]
    ]
    if not parts or not names:
        return []
    similarity = np.mean(parts, axis=0)
    order = np.argsort(-similarity, kind="stable")[:most]
    return [ItemNeighbour(names[place], float(similarity[place])) for place in order.tolist() if similarity[place] > 0]


def _text_similarity(text: str, others: list[Any]) -> Floats:
    """The cosine of a text with each of the other values. The fewer texts contain a word, the more weight it has."""
    counted = [Counter(WORD.findall(str(each).casefold())) if each is not None else Counter[str]() for each in (text, *others)]
    held = Counter(word for each in counted for word in each)
    weights = {word: 1 + math.log((1 + len(counted)) / (1 + n)) for word, n in held.items()}
    lengths = [math.sqrt(sum((n * weights[word]) ** 2 for word, n in each.items())) for each in counted]
    own = {word: n * weights[word] ** 2 for word, n in counted[0].items()}
    products = [sum(n * each[word] for word, n in own.items() if word in each) for each in counted[1:]]
    return np.array([product / (lengths[0] * length) if product else 0.0 for product, length in zip(products, lengths[1:], strict=True)])


def _value_similarity(value: Any, others: list[Any]) -> Floats:
    """For numbers, 1 minus the difference divided by the range of all; for other values, whether they are equal; 0 if one is missing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return np.array([each == value for each in others], float)
    numbers = np.array([each if isinstance(each, int | float) and not isinstance(each, bool) else np.nan for each in others], float)
    known = numbers[np.isfinite(numbers)]
    reach = max(float(known.max(initial=value)) - float(known.min(initial=value)), 0.0)
    return np.nan_to_num(1 - np.abs(numbers - value) / reach if reach > 0 else np.where(np.isfinite(numbers), 1.0, np.nan))
