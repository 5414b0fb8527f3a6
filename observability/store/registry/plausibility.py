"""Check the plausibility of a reference. Reports what cannot be analyzed with it, and implausibly good or bad figures."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from observability.store.registry.column_profile import ColumnProfile
from observability.store.registry.score_columns import name_list, quoted_name
from observability.store.registry.sensitive import CODE_VALUES
from observability.store.registry.targets import ReferenceOutcomes
from observability.store.types.registration import FeatureColumn

FEW_ROWS = 100
MAX_LEVELS = 200
MAX_GROUPS = 50
NEARLY_ALL = 0.95
"""Share of rows with a unique value from which a category looks like an id."""


def column_notes(features: tuple[FeatureColumn, ...], profiles: Mapping[str, ColumnProfile]) -> list[str]:
    """Notes about numbers that may be codes, and about constant columns."""
    numbers = [profiles[feature.name] for feature in features if feature.kind == "number"]
    codes = [profile.name for profile in numbers if profile.whole and 2 <= profile.distinct <= CODE_VALUES]
    notes = []
    if codes:
        rule = "To treat one as a category, correct its kind when you add the model, or log it as text, here and in the predictions."
        values = f"Whole numbers with at most {CODE_VALUES} different values"
        notes.append(f"{values}, treated as numbers with one bin per value: {name_list(codes)}. {rule}")
    for written, what in (("number", "Numbers"), ("boolean", "True and false")):
        as_text = [name for name in (each.name for each in features if each.kind == "category") if profiles[name].written == written]
        if as_text:
            rule = "If the model takes them as they are meant, write them without quotes, here and in the predictions."
            notes.append(f"{what} written as text, treated as categories: {name_list(as_text)}. {rule}")
    constant = [feature.name for feature in features if profiles[feature.name].constant]
    if constant:
        notes.append(f"Same value in every row: {name_list(constant)}.")
    return notes


def column_warnings(
    features: tuple[FeatureColumn, ...], groups: tuple[FeatureColumn, ...], profiles: Mapping[str, ColumnProfile]
) -> list[str]:
    """Warnings about columns that cannot be analyzed well."""
    warnings = []
    empty = [feature.name for feature in features if profiles[feature.name].empty]
    if empty:
        warnings.append(f"No value in the reference, so drift cannot be computed: {name_list(empty)}.")
    categories = [profiles[feature.name] for feature in features if feature.kind == "category"]
    wide = [f"{quoted_name(profile.name)} ({profile.distinct:,})" for profile in categories if profile.distinct > MAX_LEVELS]
    if wide:
        rule = f"the {MAX_LEVELS} most frequent are kept, the others count as unseen"
        warnings.append(f"More than {MAX_LEVELS} different categories: {', '.join(wide[:8])}; {rule}.")
    for each in categories:
        if each.rows >= FEW_ROWS and each.distinct >= NEARLY_ALL * each.rows:
            values = f"{each.distinct:,} different values in {each.rows:,} rows"
            warnings.append(f"{quoted_name(each.name)} looks like an id ({values}): leave it out unless the model reads it.")
    for column in (*features, *groups):
        if column.sensitive and column.kind != "number" and column.name in profiles and profiles[column.name].distinct > MAX_GROUPS:
            count = profiles[column.name].distinct
            warnings.append(f"{quoted_name(column.name)} has {count:,} groups: most will be too small for fairness figures.")
    return warnings


def row_warnings(target: ReferenceOutcomes, usable: NDArray[np.bool_], rows: int) -> list[str]:
    """Warnings about few rows, missing labels and missing scores, with their consequences."""
    warnings = []
    labelled = int((usable & target.labelled).sum())
    if (unused := rows - int(usable.sum())) > 0:
        warnings.append(f"{unused:,} of {rows:,} rows have neither score nor prediction and are left out.")
    if (unlabelled := int(usable.sum()) - labelled) > 0:
        warnings.append(f"{unlabelled:,} rows have no label: they count for inputs and scores, but not for performance.")
    if labelled < FEW_ROWS:
        warnings.append(
            f"Only {labelled:,} labelled rows: too few for drift of single features and fairness, and every figure of the reference is "
            f"uncertain. Drift needs about {FEW_ROWS} rows, better 1,000."
        )
    if target.classes:
        counts = np.bincount(target.codes[usable & target.labelled], minlength=len(target.classes))
        none = [name for name, count in zip(target.classes, counts, strict=True) if count == 0]
        if none:
            warnings.append(f"No row has the label {name_list(none)}; figures that need it are missing.")
    if target.predicted_rows is not None and target.classes:
        known = target.predicted()
        unknown = np.unique(target.predicted_rows[(known < 0) & (target.predicted_rows >= 0)])
        if unknown.size:
            values = name_list(sorted(target.predicted_texts[row] for row in unknown))
            warnings.append(f"The prediction column {quoted_name(target.prediction or '')} holds values that are not classes: {values}.")
    if target.task == "multiclass" and target.matrix.shape[1] > 1:
        sums = np.nansum(target.matrix[target.scored], axis=1)
        if sums.size and (wrong := float((np.abs(sums - 1) > 0.01).mean())) > 0.01:
            warnings.append(f"The probabilities do not add up to 1 in {100 * wrong:.0f} % of the rows.")
    return warnings


def metric_warnings(target: ReferenceOutcomes, metrics: Mapping[str, float], rows: int, in_sample: bool) -> list[str]:
    """Warnings about implausibly good or bad figures."""
    warnings = []
    area = metrics.get("roc_auc")
    if area is not None and rows >= FEW_ROWS and area < 0.4:
        other = f"{quoted_name(target.classes[0])} (ROC AUC {area:.2f})"
        warnings.append(f"Higher scores go with {other}: is it the score of the other class? See --positive and --score.")
    perfect = metrics.get("mae") == 0 or metrics.get("accuracy") == 1 or area == 1
    if perfect and rows >= FEW_ROWS and not in_sample:
        warnings.append(
            "The model makes no error here: was it fitted on these rows (then add --in-sample), or is the score made from the label?"
        )
    if target.task == "regression" and np.unique(target.values[target.labelled]).size <= 2:
        warnings.append("The label has at most two different values: is this a binary model?")
    if metrics.get("mae", 0) > 2 * metrics.get("mae_of_median", np.inf):
        warnings.append("Predicting the median label would halve the error: are score and label in the same unit?")
    return warnings
