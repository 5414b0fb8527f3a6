"""Describe in plain sentences the properties that were inferred from a reference."""

from observability.core.catalog import band_names
from observability.core.formatting import plural
from observability.store.registry.score_columns import name_list, quoted_name
from observability.store.registry.sensitive import CODE_VALUES
from observability.store.types.registration import FeatureColumn, Inference

MAX_NAMED = 12
"""Maximum number of features that are listed in the suggested option."""
KIND_WORDS = {"number": ("number", "numbers"), "category": ("category", "categories"), "boolean": ("true or false", "true or false")}


def describe_inference(inference: Inference) -> list[str]:
    """Sentences about an inference: the file, the outcomes, the features, sensitive attributes, performance, notes, then warnings.

    Each sentence is self-contained; warnings begin with "Warning: ". The command line and the page show the same sentences.
    """
    sentences = [_rows_sentence(inference), *_outcome_sentences(inference), _feature_sentence(inference)]
    if inference.left_out:
        reasons: dict[str, list[str]] = {}
        for name, reason in inference.left_out.items():
            reasons.setdefault(reason, []).append(name)
        excluded = "; ".join(f"{name_list(names)} ({reason})" for reason, names in reasons.items())
        sentences.append(f"Not used as features: {excluded}. To choose yourself, name all features with --features.")
    sentences += _sensitive_sentences(inference)
    sentences += _metric_sentences(inference)
    sentences += inference.notes
    return sentences + [f"Warning: {warning}" for warning in inference.warnings]


def _rows_sentence(inference: Inference) -> str:
    """The model, its task and the rows."""
    kind = "in-sample, so its figures are optimistic" if inference.in_sample else "assumed held out"
    task = {"binary": "binary", "multiclass": f"multiclass ({len(inference.classes)} classes)", "regression": "regression"}[inference.task]
    return f"{inference.model} version {inference.version}: {task}, {plural(inference.usable, 'reference row')} ({kind})."


def _outcome_sentences(inference: Inference) -> list[str]:
    """Sentences that say which columns hold the label, the score and the prediction."""
    label = f"{quoted_name(inference.label)} is the label"
    if inference.classes:
        counts = [f"{quoted_name(name)} ({count:,})" for name, count in zip(inference.classes, inference.class_counts, strict=True)]
        label += ": " + ", ".join(counts[:12]) + (f" and {len(counts) - 12} more" if len(counts) > 12 else "")
    sentences = [label + (f"; {quoted_name(inference.classes[1])} is the positive class." if inference.task == "binary" else ".")]
    if inference.scores and inference.task == "multiclass":
        if inference.objects:
            sentences.append(f"{quoted_name(inference.scores[0][1])} holds the probability of each class.")
        else:
            pairs = [f"{quoted_name(column)} of {quoted_name(str(name))}" for name, column in inference.scores[:12]]
            sentences.append(f"Probabilities: {', '.join(pairs)}.")
    elif inference.scores:
        meaning = "the probability of the positive class" if inference.task == "binary" else "the predicted value"
        sentences.append(f"{quoted_name(inference.scores[0][1])} is the score, {meaning}.")
    if inference.prediction and inference.task != "regression":
        sentences.append(f"Decisions are read from {quoted_name(inference.prediction)}.")
    elif inference.task == "binary":
        sentences.append(f"The decision is {quoted_name(inference.classes[1])} where the score is at least {inference.threshold:g}.")
    if inference.at:
        sentences.append(f"{quoted_name(inference.at)} is the time of each prediction.")
    return sentences


def _feature_sentence(inference: Inference) -> str:
    """How many features of each kind, and their names."""
    parts = []
    for kind, (one, many) in KIND_WORDS.items():
        names = [feature.name for feature in inference.features if feature.kind == kind]
        if names:
            parts.append(f"{len(names)} {one if len(names) == 1 else many} ({name_list(names)})")
    count = len(inference.features)
    return f"{count:,} feature{'' if count == 1 else 's'}: {'; '.join(parts)}."


def _sensitive_sentences(inference: Inference) -> list[str]:
    """Sensitive attributes with their bands, and features that look sensitive."""
    sentences = []
    sensitive = [column for column in inference.columns if column.sensitive]
    if sensitive:
        sentences.append(f"Sensitive attributes: {', '.join(map(_name_and_role, sensitive))}.")
    roles = inference.sensitive_roles
    both = [f"{quoted_name(each.name)} ({roles[each.name]})" for each in inference.features if each.name in roles]
    if both:
        sentences.append(f"Features as well as groups: {', '.join(both)}.")
    outside = [group.name for group in inference.groups if group.sensitive and group.name in roles]
    if outside and not inference.records:
        sentences.append(f"Log {name_list(outside)} under `groups`: {roles[outside[0]]}.")
    asked = [group.name for group in inference.groups if group.sensitive and group.name not in roles]
    if asked and not inference.records:
        sentences.append(_open_role_sentence(asked, [each.name for each in inference.features]))
    banded = [column for column in sensitive if column.bands]
    sentences += [f"{quoted_name(column.name)} is grouped into {', '.join(band_names(column.bands))}." for column in banded]
    if inference.codes:
        codes = name_list(inference.codes)
        sentences.append(f"Sensitive numbers with at most {CODE_VALUES} different values are treated as categories: {codes}.")
    if inference.suggested_sensitive:
        names = inference.suggested_sensitive
        verb = "looks" if len(names) == 1 else "look"
        sentences.append(f"{name_list(names)} {verb} sensitive by name; fairness covers only what you name with --sensitive.")
    return sentences


def _open_role_sentence(asked: list[str], features: list[str]) -> str:
    """The question whether sensitive columns are features too, with the option that answers it."""
    one = len(asked) == 1
    option = ",".join([*features, *asked]) if len(features) <= MAX_NAMED else f"NAME,…,{','.join(asked)}"
    return (
        f"Does the model take {name_list(asked)}? That cannot be known from this file. If so, register again with --features {option}; "
        f"otherwise log {'it' if one else 'them'} under `groups`. Until {'it arrives' if one else 'they arrive'} in one of the two, "
        f"fairness is unknown; {'a column' if one else 'columns'} that {'arrives' if one else 'arrive'} among the features "
        f"{'becomes a feature' if one else 'become features'} as well as {'a group' if one else 'groups'}."
    )


def _name_and_role(column: FeatureColumn) -> str:
    """The name of the column, and whether it is also a feature."""
    return f"{quoted_name(column.name)} ({'a' if column.role == 'feature' else 'not a'} feature)"


def _metric_sentences(inference: Inference) -> list[str]:
    """Performance on the reference, beside a trivial baseline."""
    metrics = inference.metrics
    if "mae" in metrics:
        baseline = f"always predicting the median label would give {metrics['mae_of_median']:.4g}"
        return [f"On these rows the mean absolute error is {metrics['mae']:.4g}; {baseline}."]
    if "accuracy" not in metrics:
        return []
    area = f", the ROC AUC {metrics['roc_auc']:.3f}" if "roc_auc" in metrics else ""
    baseline = f"always predicting the most frequent class would give {100 * metrics['majority_share']:.1f} %"
    return [f"On these rows the accuracy is {100 * metrics['accuracy']:.1f} %{area}; {baseline}."]
