"""Decision tree that predicts errors like that of the case, from the labelled rows around it with the same decision. The path of the case
is marked.

Rows and errors are defined as for the rule (error_rule.py). The tree is grown on one half of the rows; the figures of its nodes come from
the other half. It is scikit-learn's DecisionTreeClassifier (CART, Gini; missing values go to the better side). Each level of a category is
a column.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Column
from observability.core.numerals import format_figure
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.conditions import slice_level
from observability.investigation.counterfactuals import decimals_of
from observability.investigation.error_rule import enough_labelled_rows, search_half
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.neighbours import own_frame
from observability.stats.arrays import Bools, Floats
from observability.stats.interval import rate_interval
from observability.store.types.search_terms import SEARCH_NAMES

if TYPE_CHECKING:
    from pandas import DataFrame

DEPTH, LEAF_SHARE, MIN_IN_LEAF = 3, 0.02, 30
MAX_LEVELS = 20
"""Number of levels of a category, most frequent first, that get a column; the rest is `another`."""

Steps = dict[tuple[int, bool], tuple[float, bool]]
"""The conditions on the way down to a node. For each column and side (below or not): the last cut, and whether missing values are on that
side.
"""


@dataclass(frozen=True)
class Node:
    """One node. parent: position of the parent, None for the root. text: its condition. n, errors, rate, low, high: figures of the rows
    outside the half on which the tree was grown. coverage: share of all errors. on_path: whether the case is in the node. leaf: whether it
    has no children. search: the conditions as a query for the page Cases; None for the root, and if a condition cannot be written (a number
    on a side that includes missing values). where: all conditions down to the node, with only the narrowest bound per column and side;
    empty for the root.
    """

    place: int
    parent: int | None
    depth: int
    text: str
    n: int
    errors: int
    rate: float | None
    low: float | None
    high: float | None
    coverage: float | None
    on_path: bool
    leaf: bool
    search: str | None = None
    where: str = ""


@dataclass(frozen=True)
class Encoded:
    """A column of the tree: the model's column, and which level it marks (None: the number itself; "": missing)."""

    column: Column
    level: str | None = None

    def values(self, frame: "DataFrame") -> Floats:
        """The values of this column in a frame; missing numbers stay NaN."""
        held = frame[self.column.reference]
        if self.level is None:
            return held.to_numpy(np.float64)
        meets = {each: float(self.level == ("" if each is None else slice_level(each))) for each in held.unique()}
        return held.map(meets).to_numpy(np.float64)

    def text(self, cut: float, left: bool, with_missing: bool) -> str:
        """The condition, in words, for one side of a split."""
        if self.level is None:
            side = f"{self.column.name} is {'below' if left else 'at or above'} {format_figure(cut, 9)}"
            return f"{side} or missing" if with_missing else side
        if self.level == "":
            return f"{self.column.name} is {'given' if left else 'missing'}"
        return f"{self.column.name} is {'not ' if left else ''}{self.level}"

    def search(self, cut: float, left: bool, with_missing: bool) -> str | None:
        """The condition as a query for the page Cases; None if it cannot be written."""
        own = self.column.reference.partition(".")[2]
        name = self.column.reference if own in SEARCH_NAMES else own
        if '"' in name + (self.level or ""):
            return None
        if self.level is None:
            return f'"{name}" {"<" if left else ">="} {cut!r}{" or null" if with_missing else ""}'
        value = f'"{self.level}"' if self.level else "null"
        return f'"{name}" {"!=" if left else "="} {value}'


def error_tree_nodes(case: CaseInProgress) -> tuple[Node, ...]:
    """The nodes, parents before children. Raises NotGivenError if too few rows are labelled, or if none or all of them are errors."""
    frame = enough_labelled_rows(case, comparison_rows.same_decision_rows(case))
    error = comparison_rows.similar_error(case)
    wrong = error.of(frame)
    half = search_half(len(frame))
    if wrong[half].all() or not wrong[half].any():
        which = f"{comparison_rows.decided_words(case)}prediction{comparison_rows.period_words(case)}"
        said = f"is {'an' if wrong[half].any() else 'no'} error (an error is {error.text})"
        raise NotGivenError(f"every labelled {which} in the half that the tree is grown on {said}")
    columns = encoded_columns(case, frame)
    matrix, own = (np.stack([each.values(part) for each in columns], axis=1) for part in (frame, own_frame(case)))
    grown = fitted_tree(matrix[half], wrong[half])
    inside, path = (np.asarray(grown.decision_path(part.astype(np.float32)).todense(), bool) for part in (matrix[~half], own))
    return tuple(tree_nodes(grown.tree_, columns, matrix, inside, wrong[~half], path[0]))


def encoded_columns(case: CaseInProgress, frame: "DataFrame") -> list[Encoded]:
    """Columns of the tree: numbers unchanged; for a category, one column per level and one for missing values."""
    found: list[Encoded] = []
    for column in comparison_rows.compared_columns(case.row):
        held = frame[column.reference]
        if column.kind == "number":
            found.append(Encoded(column))
            continue
        common = held.map(lambda each: "" if each is None else slice_level(each)).value_counts().index[:MAX_LEVELS]
        found += [Encoded(column, str(each)) for each in common]
    return found


def fitted_tree(matrix: Floats, wrong: Bools) -> Any:
    """A decision tree fitted to separate wrong rows from right ones."""
    from sklearn.tree import DecisionTreeClassifier

    least = max(MIN_IN_LEAF, int(LEAF_SHARE * len(matrix)))
    usable = np.where(np.isfinite(matrix), matrix, np.nan).astype(np.float32)
    return DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=least, random_state=0).fit(usable, wrong)


def tree_nodes(grown: Any, columns: list[Encoded], matrix: Floats, inside: Bools, wrong: Bools, path: Bools) -> list[Node]:
    """The nodes of a fitted tree, parents before children."""
    above: dict[int, tuple[int, str, int, str | None, Steps]] = {}
    found = []
    for place in range(grown.node_count):
        parent, text, depth, way, steps = above.get(place, (None, "all", 0, "", {}))
        left, right = int(grown.children_left[place]), int(grown.children_right[place])
        leaf = left == right
        if not leaf:
            number = int(grown.feature[place])
            column, cut = columns[number], measured_cut(matrix[:, number], float(grown.threshold[place]))
            missing = column.level is None and bool(np.isnan(matrix[:, number]).any())
            to_left = bool(grown.missing_go_to_left[place])
            for below, side, with_missing in ((left, True, missing and to_left), (right, False, missing and not to_left)):
                step = column.search(cut, side, with_missing)
                whole = None if way is None or step is None else f"{way} and {step}" if way else step
                both = with_missing and steps.get((number, side), (cut, True))[1]
                above[below] = place, column.text(cut, side, with_missing), depth + 1, whole, {**steps, (number, side): (cut, both)}
        here = inside[:, place]
        n, errors = int(here.sum()), int(wrong[here].sum())
        coverage = errors / int(wrong.sum()) if wrong.any() else None
        rate = rate_interval(errors, n).triple
        where = " and ".join(columns[which].text(cut, side, missing) for (which, side), (cut, missing) in steps.items())
        found.append(Node(place, parent, depth, text, n, errors, *rate, coverage, bool(path[place]), leaf, way or None, where))
    return found


def measured_cut(values: Floats, threshold: float) -> float:
    """The next value above a threshold at the precision of the values, so that `below` it means the same as `up to` the threshold."""
    step = 10.0 ** decimals_of(values[np.isfinite(values)])
    return float((math.floor(threshold * step + 1e-6) + 1) / step)
