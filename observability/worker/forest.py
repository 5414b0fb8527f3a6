"""What part of a tree model's output has each feature, against each single row of a background? Exact, for any kind of split.

For a row x and a row b, a leaf counts for a set of switched features where every condition on its path holds for x (switched) or for b (not
switched). With p features whose conditions only x meets and q that only b meets, the leaf's value adds value·(p-1)!·q!/(p+q)! to each of the
first and takes value·p!·(q-1)!/(p+q)! from each of the second; a condition that neither meets makes it count for nothing. The values add up to
output(x) - output(b). Source: Lundberg and others, Nature Machine Intelligence 2 (2020), interventional TreeSHAP; shap's TreeExplainer gives the
mean over the background of what stands here by row, which is needed to see how far the background matters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.worker.model import CannotExplain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_WORK = 3e9
"""Conditions looked at (rows × leaves × depth²) beyond which sampling is quicker."""


@dataclass(frozen=True)
class Tree:
    """One tree. feature, left, right: of each split; a child ≥ 0 is a split, else the leaf ~child; split 0 is the root. goes_left: from a matrix
    (rows, features) to (rows, splits). value: (leaves,). output: which of the model's outputs it adds to.
    """

    feature: "NDArray[np.int64]"
    left: "NDArray[np.int64]"
    right: "NDArray[np.int64]"
    goes_left: "Callable[[NDArray[np.float64]], NDArray[np.bool_]]"
    value: "Floats"
    output: int = 0


def by_row(trees: Sequence[Tree], row: "Floats", background: "Floats", output: int = 0) -> "Floats":
    """Attributions (background rows, features) of one output of the sum of `trees`, of `row` (features,) against each row of the background.

    Raises CannotExplain where the trees are too many and too deep for it.
    """
    both = np.concatenate([row[None, :], background])
    found = np.zeros(background.shape)
    chosen = [each for each in trees if each.output == output and len(each.feature)]
    paths = [paths_of(each) for each in chosen]
    if sum(len(both) * node.shape[0] * node.shape[1] ** 2 for node, _, _ in paths) > MOST_WORK:
        raise CannotExplain("The trees are too many and too deep for exact values against a background")
    for tree, (node, to_left, held) in zip(chosen, paths):
        found += of_tree(tree, node, to_left, held, both)
    return found


def of_tree(tree: Tree, node: Any, to_left: Any, held: Any, both: "Floats") -> "Floats":
    """The attributions of one tree; `both` is the row, then the background."""
    leaves, depth = node.shape
    left = tree.goes_left(both)
    features = np.where(held, tree.feature[node], -1)
    # Several conditions on one feature are one condition: the slot of a step is the first step with its feature.
    slot = (features[:, :, None] == features[:, None, :]).argmax(axis=2)
    met = np.ones((len(both), leaves, depth), np.bool_)
    at = np.arange(leaves)
    for step in range(depth):
        met[:, at, slot[:, step]] &= (left[:, node[:, step]] == to_left[:, step]) | ~held[:, step]
    own, others = met[0][None], met[1:]
    only_row, only_other = own & ~others, ~own & others
    counts = ~(~own & ~others).any(axis=2)
    p, q = only_row.sum(axis=2), only_other.sum(axis=2)
    plus, minus = weights(depth)
    scale = counts * tree.value[None, :]
    parts = only_row * (plus[p, q] * scale)[:, :, None] - only_other * (minus[p, q] * scale)[:, :, None]
    places = np.where(held, features, 0).ravel()
    chosen = np.zeros((leaves * depth, both.shape[1]))
    chosen[np.arange(leaves * depth), places] = 1.0
    return np.asarray(parts.reshape(len(others), -1) @ chosen)


def weights(depth: int) -> "tuple[Floats, Floats]":
    """(p-1)!·q!/(p+q)! and p!·(q-1)!/(p+q)! for p, q up to the depth; 0 where the factorial is of -1."""
    plus, minus = np.zeros((depth + 1, depth + 1)), np.zeros((depth + 1, depth + 1))
    for p in range(depth + 1):
        for q in range(depth + 1 - p):
            if p:
                plus[p, q] = factorial(p - 1) * factorial(q) / factorial(p + q)
            if q:
                minus[p, q] = factorial(p) * factorial(q - 1) / factorial(p + q)
    return plus, minus


def paths_of(tree: Tree) -> tuple[Any, Any, Any]:
    """The path to each leaf, (leaves, depth) each: the split of every step, whether it goes left there, and whether there is such a step."""
    paths: dict[int, list[tuple[int, bool]]] = {}
    waiting: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
    visits = 0
    while waiting:
        place, path = waiting.pop()
        visits += 1
        if visits > 4 * len(tree.feature) + 4:
            raise CannotExplain("A tree points at itself")
        for child, left in ((int(tree.left[place]), True), (int(tree.right[place]), False)):
            longer = [*path, (place, left)]
            if child >= 0:
                waiting.append((child, longer))
            else:
                paths[~child] = longer
    depth = max(map(len, paths.values()))
    node = np.zeros((len(tree.value), depth), np.int64)
    to_left, held = np.zeros(node.shape, np.bool_), np.zeros(node.shape, np.bool_)
    for leaf, path in paths.items():
        for step, (place, left) in enumerate(path):
            node[leaf, step], to_left[leaf, step], held[leaf, step] = place, left, True
    return node, to_left, held
