"""Attributions of a prediction against three backgrounds: the average, similar cases, and similar cases that the model got right.

Logged attributions are used if there are any, else stored ones; otherwise the worker computes them with the version's model file.
Attributions against similar rows are always computed: exactly for trees and linear models, else by sampling, with a standard error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.errors import ObservabilityError
from observability.core.numerals import format_figure
from observability.investigation.cached_answers import asked_of, cached_answer
from observability.investigation.evidence_types import Explained
from observability.investigation.explanation_stability import MIN_ROWS, stability
from observability.investigation.known_attributions import (
    class_of,
    contrast_from_numbers,
    explained_score,
    largest_and_others,
    logged_or_stored_contrast,
    without_base,
)
from observability.investigation.model_answers import Against, AttributionContrast, Contrasts, Stability
from observability.investigation.nearest_rows import nearest_places
from observability.investigation.sampled_rows import (
    RealRows,
    artifact_of,
    class_names,
    real_rows,
    required_worker,
    stored_input,
    task_and_classes,
    version_features,
)
from observability.stats.attribution import MOST_EXPLAINED, SCORE_TOLERANCE

if TYPE_CHECKING:
    from observability.investigation.logged_prediction import Row
    from observability.store.engine import Store
    from observability.worker.process import Worker
    from observability.worker.requests import ContrastExplanation as Held

Progress = Callable[[float, str], None]
AVERAGE_ROWS, SIMILAR_ROWS, TWIN_ROWS = 100, 50, 30
SECONDS = 60.0
"""Time limit of one call of the worker."""
SAME_BASE = 0.01
"""Two base values count as equal if they differ by at most this part of the difference between output and base value."""


def explain(store: "Store", row: "Row", *, worker: "Worker | None" = None, progress: Progress | None = None) -> Explained:
    """Attributions against the average: logged, else stored, else computed. Raises NotGivenError, or the worker's errors."""
    found = logged_or_stored_contrast(store, row)
    if found is None and (bare := without_base(row)):
        return bare
    found = found or computed_attributions(store, row, worker, progress)
    bars = {each.feature: each.attribution for each in found.bars}
    note = found.note if found.adds_up else f"The attributions do not add up to the score, so they are not drawn. {found.note}".strip()
    method = "logged" if found.source == "logged" else found.method
    return Explained(bars, found.base_value, found.link, found.residual, method, joined_sentences(found.mismatch, note), found.mismatch)


def attribution_contrasts(store: "Store", row: "Row", *, worker: "Worker | None" = None, progress: Progress | None = None) -> Contrasts:
    """Attributions against the average, similar cases and correct twins, with their stability. For each missing one there is a reason; no
    error is raised.
    """
    why: dict[str, str] = {}
    found: dict[Against, AttributionContrast] = {}
    seconds = 0.0

    def attempt(names: tuple[Against, ...], make: Callable[[], Mapping[Against, AttributionContrast]]) -> None:
        try:
            found.update(make())
        except ObservabilityError as error:
            why.update({name: str(error) for name in names if name not in found})

    attempt(
        ("average",),
        lambda: {
            "average": logged_or_stored_contrast(store, row) or computed_attributions(store, row, worker, part_progress(progress, 0.0, 0.5))
        },
    )
    try:
        rows = real_rows(store, row)
        backgrounds, lacking = backgrounds_of(row, rows)
        why.update(lacking)
        held = held_against(store, row, worker, backgrounds, part_progress(progress, 0.5, 1.0))
        seconds = max((each.seconds for each in held.values()), default=0.0)
        for name, each in held.items():
            if name == "average":
                if "average" in found:
                    found[name] = with_stability(found[name], each)
            else:
                found[name] = contrast_of(row, name, each, backgrounds[name])
    except ObservabilityError as error:
        for name in ("similar", "twins"):
            why.setdefault(name, str(error))
    return Contrasts(found.get("average"), found.get("similar"), found.get("twins"), why, seconds)


def part_progress(progress: Progress | None, low: float, high: float) -> Progress | None:
    """A callback that maps the progress of one step to the range from low to high of the whole."""
    return None if progress is None else lambda share, text: progress(low + (high - low) * min(max(share, 0.0), 1.0), text)


def computed_attributions(store: "Store", row: "Row", worker: "Worker | None", progress: Progress | None) -> AttributionContrast:
    """Attributions against the average, computed as the background enrichment computes them."""
    place = class_of(row)
    asked = None  # without a model file nothing is cached, so no cache key is needed
    if row.version.artifact is not None:
        asked = [asked_of(stored_input(row)), place, row.version.registered_at, row.version.reference_rows]
    found = cached_answer(store, row, row.version, "average", asked, lambda: worker_attributions(store, row, worker, progress))
    score, note = found.pop("score"), found.pop("note")
    return contrast_from_numbers(
        row,
        "average",
        **found,
        source="computed",
        class_name=row.model.classes[place] if place >= 0 else None,
        note=note,
        mismatch=reproduction_sentences(row, score),
    )


def worker_attributions(store: "Store", row: "Row", worker: "Worker | None", progress: Progress | None) -> dict[str, Any]:
    """The worker's result for the row, as plain JSON."""
    from observability.worker.requests import explain_scores as ask

    asked, artifact, place = required_worker(worker), artifact_of(store, row.version), class_of(row)
    background = real_rows(store, row, production=False).inputs.head(AVERAGE_ROWS) if row.version.reference_rows else None
    found = ask(
        asked, artifact, stored_input(row), **task_and_classes(row.model), background=background, progress=progress, seconds=SECONDS
    )
    at = (0, place) if place >= 0 else (0,)
    base = np.asarray(found.base_value)
    every = None if found.standard_error is None else dict(zip(found.features, found.standard_error[at].tolist()))
    values, errors = largest_and_others(dict(zip(found.features, found.values[at].tolist())), every)
    return {
        "values": values,
        "base": float(base[place] if place >= 0 else base),
        "output": float(found.output[at]),
        "link": found.link,
        "method": found.method,
        "background": found.background,
        "background_rows": found.background_rows,
        "score": float(found.predictions[at]),
        "note": found.note,
        "errors": errors,
    }


def reproduction_sentences(row: "Row", score: float) -> str:
    """Sentences if the model file gives another score than the logged (rounded) one, for this row or when it was registered; else empty."""
    logged_score, _ = explained_score(row)
    near = SCORE_TOLERANCE if row.model.classes else 0.01 * max(abs(score), 1e-9)
    earlier = row.version.artifact_difference or ""
    if logged_score is None or abs(score - logged_score) <= near:
        return earlier
    here = f"The model file gives {score:.4g}, logged was {logged_score:.4g}: it may not be the model that served."
    return joined_sentences(here, earlier)


def joined_sentences(*sentences: str) -> str:
    """The non-empty sentences, joined by spaces."""
    return " ".join(each for each in sentences if each)


@dataclass(frozen=True)
class Background:
    """Background rows and their description."""

    rows: RealRows
    text: str


def backgrounds_of(row: "Row", rows: RealRows) -> tuple[dict[Against, Background], dict[str, str]]:
    """The background of each contrast, and for each missing one the reason."""
    found: dict[Against, Background] = {}
    lacking: dict[str, str] = {}
    average = np.flatnonzero(rows.of_reference)[:AVERAGE_ROWS]
    if not len(average):
        average = np.arange(len(rows))[:AVERAGE_ROWS]
    found["average"] = Background(rows.only(average), f"{len(average)} rows of the reference")
    own, right, columns = stored_input(row), np.flatnonzero(rows.right), version_features(row.model, row.version)
    places, _ = nearest_places(own, rows.inputs, SIMILAR_ROWS, columns, rows.scale)
    found["similar"] = Background(rows.only(places), f"the {len(places)} most similar rows of a sample of {len(rows):,}")
    if len(right) < MIN_ROWS:
        lacking["twins"] = (
            f"Only {len(right)} rows near this prediction are labelled and correct; about {MIN_ROWS - len(right)} more are needed "
            "(labels of the reference or of later days)."
        )
        return found, lacking
    twins = rows.only(right)
    places, _ = nearest_places(own, twins.inputs, TWIN_ROWS, columns, rows.scale)
    how = "with an error up to the median" if row.model.task == "regression" else "that the model got right"
    found["twins"] = Background(
        twins.only(places), f"the {len(places)} most similar rows {how}, of {len(right):,} such rows in a sample of {len(rows):,}"
    )
    return found, lacking


def held_against(
    store: "Store", row: "Row", worker: "Worker | None", backgrounds: Mapping[Against, Background], progress: Progress | None
) -> "dict[Against, Held]":
    """The row compared with each background, in one call of the worker."""
    from observability.worker.requests import explain_contrast

    found = explain_contrast(
        required_worker(worker),
        artifact_of(store, row.version),
        stored_input(row),
        {name: each.rows.inputs for name, each in backgrounds.items()},
        **task_and_classes(row.model),
        place=max(class_of(row), 0),
        progress=progress,
        seconds=SECONDS,
    )
    return {name: found[name] for name in backgrounds}


def contrast_of(row: "Row", against: Against, held: "Held", background: Background) -> AttributionContrast:
    """The contrast of one background."""
    mean = held.values.mean(axis=0)
    place = class_of(row)
    decided = background.rows.facts["decision"].to_numpy(np.int64)
    found = contrast_from_numbers(
        row,
        against,
        dict(zip(held.features, mean.tolist())),
        float(held.before.mean()),
        held.after,
        held.link,
        held.method,
        "computed",
        background.text,
        len(background.rows),
        errors=None if held.error is None else dict(zip(held.features, held.error.tolist())),
        class_name=row.model.classes[place] if place >= 0 else None,
        note=held.note,
        mismatch=reproduction_sentences(row, held.score),
    )
    return replace(found, outcomes=class_names(row.model, decided), stability=stability(mean, held.values))


def with_stability(average: AttributionContrast, held: "Held") -> AttributionContrast:
    """The attributions with their stability, which is measured with a base value of its own. If that base value differs, the sentence names
    it. Unchanged if the two use different link spaces.
    """
    if average.link != held.link:
        return average
    base, mean = float(held.before.mean()), held.values.mean(axis=0)
    if abs(base - average.base_value) <= SAME_BASE * max(abs(held.after - base), 1e-12):
        shown = {bar.feature: bar.attribution for bar in average.bars}
        kept = [place for place, name in enumerate(held.features) if name in shown or len(held.features) <= MOST_EXPLAINED]
        own = np.array([shown.get(held.features[place], 0.0) for place in kept])
        return replace(average, stability=stability(own, held.values[:, kept], part=len(kept) < len(held.features)))
    found: Stability | None = stability(mean, held.values)
    if found is None:
        return average
    other = f"Of the attributions against these {found.rows} rows, whose base value is {format_figure(base)}"
    because = f"{other} (the waterfall's is {format_figure(average.base_value)}): {found.because[0].lower()}{found.because[1:]}"
    return replace(average, stability=replace(found, because=because))
