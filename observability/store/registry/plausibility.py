"""Does a reference make sense: what cannot be judged with it, and which figures are too good or too bad to be believed?"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from observability.store.registry.column_profile import Profile
from observability.store.registry.register_types import Feature
from observability.store.registry.score_columns import listed, shown
from observability.store.registry.sensitive import CODE_VALUES
from observability.store.registry.targets import Target

FEW_ROWS = 100
MOST_LEVELS = 200
MOST_GROUPS = 50


def column_notes(features: tuple[Feature, ...], profiles: Mapping[str, Profile]) -> list[str]:
    """How numbers that may be codes are treated, and which columns do not vary or are empty."""
    codes = [
        each.name for each in features
        if each.kind == "number" and profiles[each.name].whole and 2 <= profiles[each.name].distinct <= CODE_VALUES
    ]  # fmt: skip
    notes = []
    if codes:
        notes.append(
            f"Whole numbers with at most {CODE_VALUES} different values, treated as numbers, each value a bin of its own: {listed(codes)}. To have "
            "one treated as a category, correct its kind where you add a model, or log it as text, here and in the predictions."
        )
    constant = [each.name for each in features if profiles[each.name].constant]
    if constant:
        notes.append(f"The same value in every row: {listed(constant)}.")
    return notes


def column_warnings(features: tuple[Feature, ...], groups: tuple[Feature, ...], profiles: Mapping[str, Profile]) -> list[str]:
    """What cannot be judged well about single columns."""
    warnings = []
    empty = [each.name for each in features if profiles[each.name].empty]
    if empty:
        warnings.append(f"No value at all in the reference, so nothing can be compared with it: {listed(empty)}.")
    wide = [
        f"{shown(each.name)} ({profiles[each.name].distinct:,})"
        for each in features
        if each.kind == "category" and profiles[each.name].distinct > MOST_LEVELS
    ]
    if wide:
        warnings.append(
            f"More than {MOST_LEVELS} different categories: {', '.join(wide[:8])}. The {MOST_LEVELS} most frequent are told apart; the rest counts as unseen."
        )
    sensitive = [profiles[each.name] for each in (*features, *groups) if each.sensitive and each.kind != "number" and each.name in profiles]
    warnings += [
        f"{shown(each.name)} has {each.distinct:,} groups: most will be too small to be judged."
        for each in sensitive
        if each.distinct > MOST_GROUPS
    ]
    return warnings


def row_warnings(target: Target, usable: NDArray[np.bool_], rows: int) -> list[str]:
    """What the number of rows, missing labels and missing scores mean."""
    warnings = []
    labelled = int((usable & target.labelled).sum())
    if (unused := rows - int(usable.sum())) > 0:
        warnings.append(f"{unused:,} of {rows:,} rows have neither score nor prediction and are left out.")
    if (unlabelled := int(usable.sum()) - labelled) > 0:
        warnings.append(f"{unlabelled:,} rows have no label: they count for inputs and scores, and not for performance.")
    if labelled < FEW_ROWS:
        warnings.append(
            f"Only {labelled:,} labelled rows: drift of single features and fairness cannot be judged, and every figure of the reference is "
            f"uncertain. From about {FEW_ROWS} rows on drift can be judged, from about 1,000 on well."
        )
    if target.classes:
        counts = np.bincount(target.codes[usable & target.labelled], minlength=len(target.classes))
        none = [name for name, count in zip(target.classes, counts, strict=True) if count == 0]
        if none:
            warnings.append(f"No row has the label {listed(none)}, so nothing that needs it can be judged.")
    if target.predicted_rows is not None and target.classes:
        known = target.predicted()
        strange = sorted(
            {target.predicted_texts[row] for row in np.unique(target.predicted_rows[(known < 0) & (target.predicted_rows >= 0)])}
        )
        if strange:
            warnings.append(f"The prediction column {shown(target.prediction or '')} holds values that are no class: {listed(strange)}.")
    if target.task == "multiclass" and target.matrix.shape[1] > 1:
        sums = np.nansum(target.matrix[target.scored], axis=1)
        if sums.size and (wrong := float((np.abs(sums - 1) > 0.01).mean())) > 0.01:
            warnings.append(f"The probabilities do not add up to 1 in {100 * wrong:.0f} % of the rows.")
    return warnings


def metric_warnings(target: Target, metrics: Mapping[str, float], rows: int, in_sample: bool) -> list[str]:
    """Figures that are too good or too bad to be believed."""
    warnings = []
    area = metrics.get("roc_auc")
    if area is not None and rows >= FEW_ROWS and area < 0.4:
        warnings.append(
            f"Higher scores go with {shown(target.classes[0])} (ROC AUC {area:.2f}): is the score that of the other class? See --positive and --score."
        )
    perfect = metrics.get("mae") == 0 or metrics.get("accuracy") == 1 or area == 1
    if perfect and rows >= FEW_ROWS and not in_sample:
        warnings.append(
            "The model is never wrong here: are these rows it was fitted on (then say --in-sample), or is the score made from the label?"
        )
    if target.task == "regression" and np.unique(target.values[target.labelled]).size <= 2:
        warnings.append("The label has at most two different values: is this a binary model?")
    if metrics.get("mae", 0) > 2 * metrics.get("mae_of_median", np.inf):
        warnings.append("Always saying the label's median would be off by less than half as much: are score and label in the same unit?")
    return warnings
