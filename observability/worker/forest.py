"""Exact attributions of a tree model's output against each single row of a background (interventional TreeSHAP), for any kind of split.

For a row x and a row b, a leaf is reached by a set of switched features where every condition on its path holds for x (switched) or for b
(not switched). With p features whose conditions only x meets and q that only b meets, the leaf adds value·(p-1)!·q!/(p+q)! to each of the
first and subtracts value·p!·(q-1)!/(p+q)! from each of the second. A leaf with a condition that neither meets adds nothing. The values add
up to output(x) - output(b). Source: Lundberg and others, Nature Machine Intelligence 2 (2020). shap's TreeExplainer gives the mean over the
background; the values by background row show how far the result depends on the background.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np

from observability.stats.arrays import Bools, Floats, Integers
from observability.worker.model import CannotExplain

MAX_WORK = 3e9
"""Number of conditions evaluated (rows × leaves × depth²) above which sampling is faster."""


@dataclass(frozen=True)
class Tree:
    """One tree.

    feature, left, right: of each split; a child ≥ 0 is a split, else the leaf ~child; split 0 is the root. goes_left: from a matrix
    (rows, features) to (rows, splits). value: (leaves,). output: the model output that it adds to. limit: the number of each split,
    in double precision, below which one side is taken and above which the other; NaN if it lists categories.
    """

    feature: Integers
    left: Integers
    right: Integers
    goes_left: Callable[[Floats], Bools]
    value: Floats
    limit: Floats
    output: int = 0


def feature_thresholds(trees: Sequence[Tree]) -> dict[int, Floats]:
    """The thresholds at which the output of a forest may change, by the place of their feature. A feature without a split has none.

    They include NaN if a split of the feature lists categories.
    """
    features = np.concatenate([tree.feature for tree in trees] or [np.empty(0, np.int64)])
    limits = np.concatenate([tree.limit for tree in trees] or [np.empty(0)])
    return {int(place): np.unique(limits[features == place]) for place in np.unique(features)}


def forest_attributions(trees: Sequence[Tree], row: Floats, background: Floats, output: int = 0) -> Floats:
    """Attributions (background rows, features) of one output of the sum of `trees`: `row` (features,) against each background row.

    Raises CannotExplain if the trees are too many and too deep.
    """
    both = np.concatenate([row[None, :], background])
    found = np.zeros(background.shape)
    chosen = [tree for tree in trees if tree.output == output and len(tree.feature)]
    paths = [leaf_paths(tree) for tree in chosen]
    if sum(len(both) * node.shape[0] * node.shape[1] ** 2 for node, _, _ in paths) > MAX_WORK:
        raise CannotExplain("The trees are too many and too deep for exact values against a background")
    for tree, (node, to_left, used) in zip(chosen, paths):
        found += single_tree_attributions(tree, node, to_left, used, both)
    return found


def single_tree_attributions(tree: Tree, node: Any, to_left: Any, used: Any, both: Floats) -> Floats:
    """The attributions of one tree; `both` is the row, then the background."""
    leaves, depth = node.shape
    left = tree.goes_left(both)
    features = np.where(used, tree.feature[node], -1)
    # Several conditions on one feature count as one: the slot of a step is the first step with its feature.
    slot = (features[:, :, None] == features[:, None, :]).argmax(axis=2)
    met = np.ones((len(both), leaves, depth), np.bool_)
    at = np.arange(leaves)
    for step in range(depth):
        met[:, at, slot[:, step]] &= (left[:, node[:, step]] == to_left[:, step]) | ~used[:, step]
    own, others = met[0][None], met[1:]
    only_row, only_other = own & ~others, ~own & others
    counts = ~(~own & ~others).any(axis=2)
    p, q = only_row.sum(axis=2), only_other.sum(axis=2)
    plus, minus = shapley_weights(depth)
    scale = counts * tree.value[None, :]
    parts = only_row * (plus[p, q] * scale)[:, :, None] - only_other * (minus[p, q] * scale)[:, :, None]
    places = np.where(used, features, 0).ravel()
    chosen = np.zeros((leaves * depth, both.shape[1]))
    chosen[np.arange(leaves * depth), places] = 1.0
    return np.asarray(parts.reshape(len(others), -1) @ chosen)


def shapley_weights(depth: int) -> tuple[Floats, Floats]:
    """(p-1)!·q!/(p+q)! and p!·(q-1)!/(p+q)! for p, q up to the depth; 0 where a factorial of -1 would occur."""
    plus, minus = np.zeros((depth + 1, depth + 1)), np.zeros((depth + 1, depth + 1))
    for p in range(depth + 1):
        for q in range(depth + 1 - p):
            if p:
                plus[p, q] = factorial(p - 1) * factorial(q) / factorial(p + q)
            if q:
                minus[p, q] = factorial(p) * factorial(q - 1) / factorial(p + q)
    return plus, minus


def leaf_paths(tree: Tree) -> tuple[Any, Any, Any]:
    """The path to each leaf as three arrays (leaves, depth): the split of each step, whether it goes left, and whether the step exists."""
    paths: dict[int, list[tuple[int, bool]]] = {}
    waiting: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
    visits = 0
    while waiting:
        place, path = waiting.pop()
        visits += 1
        if visits > 4 * len(tree.feature) + 4:
            raise CannotExplain("A tree contains a cycle")
        for child, left in ((int(tree.left[place]), True), (int(tree.right[place]), False)):
            longer = [*path, (place, left)]
            if child >= 0:
                waiting.append((child, longer))
            else:
                paths[~child] = longer
    depth = max(map(len, paths.values()))
    node = np.zeros((len(tree.value), depth), np.int64)
    to_left, used = np.zeros(node.shape, np.bool_), np.zeros(node.shape, np.bool_)
    for leaf, path in paths.items():
        for step, (place, left) in enumerate(path):
            node[leaf, step], to_left[leaf, step], used[leaf, step] = place, left, True
    return node, to_left, used
