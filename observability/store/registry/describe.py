"""How is what was inferred from a reference said in plain words?"""

from observability.core.catalog import band_names
from observability.store.registry.register_types import Feature, Inference
from observability.store.registry.score_columns import listed, shown
from observability.store.registry.sensitive import CODE_VALUES

KIND_WORDS = {"number": ("number", "numbers"), "category": ("category", "categories"), "boolean": ("true or false", "true or false")}


def describe(inference: Inference) -> list[str]:
    """Sentences for a person: the file, the outcomes, the features, what is sensitive, how good the model was, notes, then warnings.

    Each stands alone; warnings begin with "Warning: ". The command line and the page say the same.
    """
    sentences = [rows_sentence(inference), *outcome_sentences(inference), feature_sentence(inference)]
    if inference.left_out:
        reasons: dict[str, list[str]] = {}
        for name, reason in inference.left_out.items():
            reasons.setdefault(reason, []).append(name)
        said = "; ".join(f"{listed(names)} ({reason})" for reason, names in reasons.items())
        sentences.append(f"Not taken as features: {said}. Name all features with --features to decide yourself.")
    sentences += sensitive_sentences(inference)
    sentences += metric_sentences(inference)
    sentences += inference.notes
    return sentences + [f"Warning: {warning}" for warning in inference.warnings]


def rows_sentence(inference: Inference) -> str:
    """The model, its task and the rows."""
    kind = "fitted on these rows, so its figures flatter" if inference.in_sample else "taken as held out"
    task = {"binary": "binary", "multiclass": f"multiclass ({len(inference.classes)} classes)", "regression": "regression"}[inference.task]
    return f"{inference.model} version {inference.version}: {task}, {inference.usable:,} reference rows ({kind})."


def outcome_sentences(inference: Inference) -> list[str]:
    """Label, score and prediction."""
    label = f"{shown(inference.label)} is the label"
    if inference.classes:
        counts = [f"{shown(name)} ({count:,})" for name, count in zip(inference.classes, inference.class_counts, strict=True)]
        label += ": " + ", ".join(counts[:12]) + (f" and {len(counts) - 12} more" if len(counts) > 12 else "")
    sentences = [label + (f"; {shown(inference.classes[1])} is the positive class." if inference.task == "binary" else ".")]
    if inference.scores and inference.task == "multiclass":
        pairs = {column for _, column in inference.scores}
        sentences.append(
            f"{shown(next(iter(pairs)))} holds the probability of each class."
            if inference.objects
            else "Probabilities: " + ", ".join(f"{shown(column)} of {shown(str(name))}" for name, column in inference.scores[:12]) + "."
        )
    elif inference.scores:
        meaning = "the probability of the positive class" if inference.task == "binary" else "the predicted value"
        sentences.append(f"{shown(inference.scores[0][1])} is the score, {meaning}.")
    if inference.prediction and inference.task != "regression":
        sentences.append(f"Decisions are what {shown(inference.prediction)} says.")
    elif inference.task == "binary":
        sentences.append(f"The decision is {shown(inference.classes[1])} where the score is at least {inference.threshold:g}.")
    if inference.at:
        sentences.append(f"{shown(inference.at)} is the time of each prediction.")
    return sentences


def feature_sentence(inference: Inference) -> str:
    """How many features of each kind, and their names."""
    parts = []
    for kind, (one, many) in KIND_WORDS.items():
        names = [each.name for each in inference.features if each.kind == kind]
        if names:
            parts.append(f"{len(names)} {one if len(names) == 1 else many} ({listed(names)})")
    count = len(inference.features)
    return f"{count:,} feature{'' if count == 1 else 's'}: {'; '.join(parts)}."


def sensitive_sentences(inference: Inference) -> list[str]:
    """What fairness is judged on, in which bands, and what looks sensitive."""
    sentences = []
    sensitive = [each for each in inference.columns if each.sensitive]
    if sensitive:
        sentences.append("Fairness is judged on " + ", ".join(said_role(each) for each in sensitive) + ".")
    outside = [each.name for each in inference.groups if each.sensitive]
    if outside and not inference.records:
        what, them = ("it is no feature", "it") if len(outside) == 1 else ("they are no features", "them")
        sentences.append(
            f"Log {listed(outside)} under `groups`, since {what} of this version; where the model takes {them}, name all features with --features."
        )
    sentences += [f"{shown(each.name)} is grouped into {', '.join(band_names(each.bands))}." for each in sensitive if each.bands]
    if inference.codes:
        sentences.append(
            f"Numbers of at most {CODE_VALUES} different values that are sensitive are taken for codes, each a group of its own: {listed(inference.codes)}."
        )
    if inference.suggested_sensitive:
        names = inference.suggested_sensitive
        sentences.append(
            f"{listed(names)} look{'s' if len(names) == 1 else ''} sensitive by name; fairness is judged only on what you name with --sensitive."
        )
    return sentences


def said_role(each: Feature) -> str:
    """The column, and whether it is a feature as well."""
    return f"{shown(each.name)} ({'a' if each.role == 'feature' else 'no'} feature)"


def metric_sentences(inference: Inference) -> list[str]:
    """How good the model was on the reference, beside a trivial answer."""
    metrics = inference.metrics
    if "mae" in metrics:
        return [
            f"On these rows the mean absolute error is {metrics['mae']:.4g}; always saying the median label would give {metrics['mae_of_median']:.4g}."
        ]
    if "accuracy" not in metrics:
        return []
    area = f", the ROC AUC {metrics['roc_auc']:.3f}" if "roc_auc" in metrics else ""
    return [
        f"On these rows the accuracy is {100 * metrics['accuracy']:.1f} %{area}; always saying the most frequent class would give {100 * metrics['majority_share']:.1f} %."
    ]
