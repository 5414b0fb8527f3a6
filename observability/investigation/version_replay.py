"""Scores that other versions give to the stored input: taken from their logged shadow predictions, or else computed with their
model files.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import numpy as np

from observability.core.catalog import Version
from observability.core.errors import ObservabilityError
from observability.core.formatting import join_words
from observability.core.questions import Aggregate, By
from observability.core.window import EPOCH, Window
from observability.investigation import cached_answers as computing
from observability.investigation.churn import first_answer
from observability.investigation.evidence_types import NotGivenError, Replayed
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import Answered
from observability.investigation.sampled_rows import probability_columns, stored_input, version_features
from observability.store.engine import Store
from observability.worker.process import Progress, Worker

MAX_VERSIONS, MAX_BESIDE = 8, 2000
"""Maximum number of versions that are tried (those registered nearest in time first), and of logged rows that are searched for the same
request.
"""
SAME, APART = timedelta(seconds=1), timedelta(hours=1)
SECONDS = 30.0


def version_scores(store: Store, row: Row, *, worker: Worker | None = None, progress: Progress | None = None) -> tuple[Replayed, ...]:
    """Scores of this version and of every other version that has one. Raises NotGivenError, with the reasons, if no other version has a
    score.
    """
    found = replayed_answers(store, row, worker=worker, progress=progress)
    said = [each for each in found if each.role != "baseline" and each.source is not None]
    others = [each for each in found if each.role not in ("this", "baseline")]
    if not others:
        raise NotGivenError(
            f"the model {row.model.name} has no other version", attempt="Register a challenger with --artifact, or log it in the shadow"
        )
    if len(said) < 2:
        reasons = "; ".join(f"version {each.version}: {each.why}" for each in others if each.why)
        raise NotGivenError("no other version can score this input", got=reasons[:1000] or None)
    return tuple(Replayed(each.version, each.score, each.prediction, each.since) for each in said)


def replayed_answers(store: Store, row: Row, *, worker: Worker | None = None, progress: Progress | None = None) -> tuple[Answered, ...]:
    """The logged answer, the answers of other versions (registered nearest in time first), and the simple baseline. For a missing answer,
    the reason is given.
    """
    own = answer_with_verdict(row, Answered(row.version.name, "this", row.probabilities or row.score, row.answer, "logged"))
    found = [own]
    others = sorted(
        (each for each in row.model.versions if each.name != row.version.name), key=lambda each: seconds_apart(row.version, each)
    )
    beside = logged_beside(store, row)
    for place, version in enumerate(others[:MAX_VERSIONS]):
        if progress is not None:
            progress(place / len(others[:MAX_VERSIONS]), f"Scoring with version {version.name}")
        answer = beside[version.name] if version.name in beside else replayed_answer(store, row, version, worker)
        first = first_answer(store, row, version) if answer.source == "computed" else None
        found.append(answer_with_verdict(row, replace(answer, since=first if first is not None and first > row.at else None)))
    base = simple_baseline(store, row)
    return (*found, answer_with_verdict(row, base)) if base is not None else tuple(found)


def seconds_apart(own: Version, other: Version) -> float:
    """Time between two registrations in seconds; infinite for unregistered versions."""
    if own.registered_at is None or other.registered_at is None:
        return float("inf")
    return abs((own.registered_at - other.registered_at).total_seconds())


def role_of(row: Row, version: Version) -> Literal["previous", "next"]:
    """Whether a version was registered before or after this one."""
    its, own = version.registered_at, row.version.registered_at
    return "previous" if its is not None and own is not None and its < own else "next"


def logged_beside(store: Store, row: Row) -> dict[str, Answered]:
    """Other versions' scores of the same request in the shadow (for a shadow row: in production), by version. These are predictions with
    the same id; else rows at the same time with equal features, and the same subject if both have one; else the nearest of such rows less
    than an hour apart.
    """
    if row.environment == "reference":
        return {}
    found = answers_of_same_id(row)
    for span in (SAME, APART):
        if len(found) == len(row.model.versions) - 1:
            break
        found = logged_matches(store, row, span) | found
    return found


def answers_of_same_id(row: Row) -> dict[str, Answered]:
    """Other versions' predictions in the shadow under the same id (for a shadow row: in production), by version."""
    found = {}
    for other in row.other_answers:
        version = row.model.version(other.version)
        if (
            other.environment == replay_environment(row)
            and version is not None
            and version.name != row.version.name
            and other.score is not None
        ):
            role = "challenger" if other.environment == "shadow" else role_of(row, version)
            found[version.name] = Answered(version.name, role, other.probabilities or other.score, other.answer, "shadow")
    return found


def replay_environment(row: Row) -> Literal["production", "shadow"]:
    """The environment in which other versions answer the requests that this version answers."""
    return "production" if row.environment == "shadow" else "shadow"


def logged_matches(store: Store, row: Row, span: timedelta) -> dict[str, Answered]:
    """Other versions' scores, found as in `logged_beside` among at most MAX_BESIDE rows within `span`."""
    environment = replay_environment(row)
    columns = row.model.features()
    extra = probability_columns(row.model)
    window = Window(row.model.name, max(row.at - span, EPOCH), row.at + span, as_of=row.as_of, environment=environment)
    names = ["id", "at", "subject", "version", "score", "decision", *extra, *(each.reference for each in columns)]
    found: dict[str, tuple[float, Answered]] = {}
    for each in store.rows(window, names, MAX_BESIDE).to_dict("records"):
        version = row.model.version(each["version"])
        if version is None or version.name == row.version.name or not same_request(row, version, each):
            continue
        far = abs((each["at"].to_pydatetime().replace(tzinfo=row.at.tzinfo) - row.at).total_seconds())
        if version.name not in found or far < found[version.name][0]:
            decision = int(each["decision"])
            score: Any = (
                {name: float(each[f"score.{place}"]) for place, name in enumerate(row.model.classes)} if extra else float(each["score"])
            )
            answer = row.model.classes[decision] if 0 <= decision < len(row.model.classes) else None
            said = answer if row.model.classes else f"{score:.12g}"
            role = "challenger" if environment == "shadow" else role_of(row, version)
            found[version.name] = far, Answered(version.name, role, score, said, "shadow")
    return {name: answered for name, (_, answered) in found.items()}


def same_request(row: Row, version: Version, other: dict[Any, Any]) -> bool:
    """Whether a row of another version is the same request: the same subject, if both have one, and equal values of all shared features."""
    subject = row.stored.get("subject")
    if subject is not None and other["subject"] is not None and other["subject"] != subject:
        return False
    shared = {each.name for each in version_features(row.model, version)} & {each.name for each in version_features(row.model, row.version)}
    return bool(shared) and all(equal_values(other[f"feature.{name}"], row.features.get(name)) for name in shared)


def equal_values(one: Any, other: Any) -> bool:
    """Whether two values are equal. Two missing values are equal."""
    missing = [value is None or value != value for value in (one, other)]
    return all(missing) or (not any(missing) and one == other)


def replayed_answer(store: Store, row: Row, version: Version, worker: Worker | None) -> Answered:
    """The score that a version computes for the stored input, or the reason why there is none."""
    nothing = Answered(version.name, role_of(row, version), None, None, None)
    logged = {column.name for column in version_features(row.model, row.version)}
    missing = tuple(
        column.name
        for column in version_features(row.model, version)
        if column.name not in logged and row.features.get(column.name) is None
    )
    if missing:
        return replace(nothing, missing=missing, why=f"it needs {join_words(missing, 5)}, which the stored input lacks")
    try:
        scores = computing.cached_scores(store, row, version, stored_input(row, version), worker, None, SECONDS)
    except ObservabilityError as error:
        return replace(nothing, why=str(error))
    if scores.ndim == 2:
        chances = dict(zip(row.model.classes, scores[0].tolist()))
        return replace(nothing, score=chances, prediction=row.model.classes[int(scores[0].argmax())], source="computed", basis="simulated")
    score = float(scores[0])
    said = row.model.classes[int(score >= row.threshold)] if row.model.classes else f"{score:.12g}"
    return replace(nothing, score=score, prediction=said, source="computed", basis="simulated")


def answer_with_verdict(row: Row, answered: Answered) -> Answered:
    """The answer together with whether it was right; for a regression, together with its absolute error."""
    if answered.source is None or row.label is None:
        return answered
    if row.model.task == "regression":
        off = None if row.label_number is None or not isinstance(answered.score, float) else abs(answered.score - row.label_number)
        return replace(answered, absolute_error=off)
    code = row.label_code
    known = 0 <= code < len(row.model.classes) and answered.prediction is not None
    return replace(answered, right=answered.prediction == row.model.classes[code] if known else None)


def simple_baseline(store: Store, row: Row) -> Answered | None:
    """Baseline without inputs. For classes: the most frequent class of the reference's labels, with the share of the positive class as
    score (multiclass: of that class). For a regression: the mean label. None without labels.
    """
    if not row.version.reference_rows:
        return None
    window = Window(row.model.name, EPOCH, EPOCH, row.version.name, environment="reference")
    if row.model.task == "regression":
        sums = store.ask(Aggregate("outcomes", sums=("label_value",)), window)
        weight = float(sums["w"].sum())
        if not weight:
            return None
        mean = float(sums["total"].sum()) / weight
        return Answered("mean of the reference", "baseline", mean, f"{mean:.12g}", "baseline")
    counts = store.ask(Aggregate("outcomes", keys=(By("label"),)), window)
    counts = counts[counts["label"] >= 0]
    if counts.empty:
        return None
    by_label = counts.groupby("label")["w"].sum()
    place = int(by_label.index[int(np.argmax(by_label.to_numpy()))])
    # A binary score is the probability of the positive class, also if the decision is the other class.
    share = float(by_label.get(1 if row.model.task == "binary" else place, 0.0) / by_label.sum())
    return Answered("most frequent class of the reference", "baseline", share, row.model.classes[place], "baseline")
