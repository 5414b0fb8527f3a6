"""Why did this prediction get its score: against the average, against similar cases, against cases like it that the model got right?

Attributions that were logged are shown as they are, stored ones next; otherwise the worker computes them from the version's model file. Against rows near the
prediction they are always computed, exactly for trees and linear models (worker/forest.py), else sampled with a standard error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.errors import ObservabilityError
from observability.investigation.cached_answers import asked_of, kept
from observability.investigation.evidence_types import Explained
from observability.investigation.explanation_stability import FEWEST_ROWS, stability
from observability.investigation.known_attributions import class_of, explained_score, known, shaped, without_base
from observability.investigation.model_answers import Against, Contrast, Contrasts, Stability
from observability.investigation.nearest_rows import nearest
from observability.investigation.sampled_rows import RealRows, artifact_of, asker, class_names, columns_of, inputs_of, real_rows
from observability.stats.attribution import SCORE_TOLERANCE

if TYPE_CHECKING:
    from observability.investigation.logged_prediction import Row
    from observability.store.db.database import Store
    from observability.worker.process import Worker
    from observability.worker.requests import Against as Held

Progress = Callable[[float, str], None]
AVERAGE_ROWS, SIMILAR_ROWS, TWIN_ROWS = 100, 50, 30
SECONDS = 60.0
"""The longest that one call of the worker may take."""


def explain(
    store: "Store", row: "Row", *, worker: "Worker | None" = None, progress: Progress | None = None
) -> Explained:  # fmt: skip
    """The prediction's attributions against the average: logged, else stored, else computed now. Raises NotGivenError, or what the worker raises."""
    found = known(store, row)
    if found is None and (bare := without_base(row)):
        return bare
    found = found or computed(store, row, worker, progress)
    bars = {each.feature: each.attribution for each in found.bars}
    note = found.note if found.adds_up else f"The attributions do not add up to the score, so they are not drawn. {found.note}".strip()
    method = "logged" if found.source == "logged" else found.method
    return Explained(bars, found.base_value, found.link, found.residual, method, note)


def contrasts(
    store: "Store", row: "Row", *, worker: "Worker | None" = None, progress: Progress | None = None
) -> Contrasts:  # fmt: skip
    """The prediction against the average, similar cases and correct twins, each with its stability. What cannot be given says why; nothing is raised."""
    why: dict[str, str] = {}
    found: dict[Against, Contrast] = {}
    seconds = 0.0

    def attempt(names: tuple[Against, ...], make: Callable[[], Mapping[Against, Contrast]]) -> None:
        try:
            found.update(make())
        except ObservabilityError as error:
            why.update({name: str(error) for name in names if name not in found})

    attempt(("average",), lambda: {"average": known(store, row) or computed(store, row, worker, part(progress, 0.0, 0.5))})
    try:
        rows = real_rows(store, row)
        backgrounds, lacking = backgrounds_of(row, rows)
        why.update(lacking)
        held = held_against(store, row, worker, backgrounds, part(progress, 0.5, 1.0))
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


def part(progress: Progress | None, low: float, high: float) -> Progress | None:
    """Progress of one step among several."""
    return None if progress is None else lambda share, text: progress(low + (high - low) * min(max(share, 0.0), 1.0), text)


def computed(store: "Store", row: "Row", worker: "Worker | None", progress: Progress | None) -> Contrast:
    """The attributions against the average, computed now as they are explained ahead."""
    place = class_of(row)
    asked = [asked_of(inputs_of(row)), place, row.version.registered_at, row.version.reference_rows]
    found = kept(store, row, row.version, "average", asked, lambda: attributed(store, row, worker, progress))
    score, note = found.pop("score"), found.pop("note")
    return shaped(
        row, "average", **found, source="computed", class_name=row.model.classes[place] if place >= 0 else None,
        note=joined(note, reproduced(row, score)),
    )  # fmt: skip


def attributed(store: "Store", row: "Row", worker: "Worker | None", progress: Progress | None) -> dict[str, Any]:
    """What the worker says of the one row, as plain JSON: what `shaped` takes, and the model's score of it."""
    from observability.worker.requests import explain as ask

    asked, artifact, place = asker(worker), artifact_of(store, row.version), class_of(row)
    background = real_rows(store, row, production=False).inputs.head(AVERAGE_ROWS) if row.version.reference_rows else None
    found = ask(
        asked, artifact, inputs_of(row), task=row.model.task or "regression", classes=row.model.classes, background=background,
        progress=progress, seconds=SECONDS,
    )  # fmt: skip
    at = (0, place) if place >= 0 else (0,)
    base = np.asarray(found.base_value)
    return {
        "values": dict(zip(found.features, found.values[at].tolist())), "base": float(base[place] if place >= 0 else base),
        "output": float(found.output[at]), "link": found.link, "method": found.method, "background": found.background,
        "background_rows": found.background_rows, "score": float(found.predictions[at]), "note": found.note,
        "errors": None if found.standard_error is None else dict(zip(found.features, found.standard_error[at].tolist())),
    }  # fmt: skip


def reproduced(row: "Row", score: float) -> str:
    """A sentence where the model file gives another score than the one that was logged; logged scores are rounded."""
    logged_score, _ = explained_score(row)
    near = SCORE_TOLERANCE if row.model.classes else 0.01 * max(abs(score), 1e-9)
    if logged_score is None or abs(score - logged_score) <= near:
        return ""
    return f"The model file gives {score:.4g}, logged was {logged_score:.4g}: it may not be the model that answered."


def joined(*sentences: str) -> str:
    """Sentences that say something, in one."""
    return " ".join(each for each in sentences if each)


@dataclass(frozen=True)
class Background:
    """Rows that a prediction is held against, and what they are in words."""

    rows: RealRows
    text: str


def backgrounds_of(row: "Row", rows: RealRows) -> tuple[dict[Against, Background], dict[str, str]]:
    """The rows behind each contrast, and why there are none."""
    found: dict[Against, Background] = {}
    lacking: dict[str, str] = {}
    average = np.flatnonzero(rows.of_reference)[:AVERAGE_ROWS]
    if not len(average):
        average = np.arange(len(rows))[:AVERAGE_ROWS]
    found["average"] = Background(rows.only(average), f"{len(average)} rows of the reference")
    own, right, columns = inputs_of(row), np.flatnonzero(rows.right), columns_of(row.model, row.version)
    places, _ = nearest(own, rows.inputs, SIMILAR_ROWS, columns, rows.scale)
    found["similar"] = Background(rows.only(places), f"the {len(places)} real rows that are most like it, of {len(rows):,} looked at")
    if len(right) < FEWEST_ROWS:
        lacking["twins"] = (
            f"Only {len(right)} rows near this prediction have a label and were answered right; about {FEWEST_ROWS - len(right)} more are needed. "
            "They come with the labels of the reference or of later days."
        )
        return found, lacking
    twins = rows.only(right)
    places, _ = nearest(own, twins.inputs, TWIN_ROWS, columns, rows.scale)
    how = "whose error was no larger than that of half of all rows" if row.model.task == "regression" else "that the model got right"
    found["twins"] = Background(twins.only(places), f"the {len(places)} rows most like it {how}, of {len(right):,} such rows")
    return found, lacking


def held_against(
    store: "Store", row: "Row", worker: "Worker | None", backgrounds: Mapping[Against, Background], progress: Progress | None
) -> "dict[Against, Held]":
    """The row against each background, in one call of the worker."""
    from observability.worker.requests import contrast

    asked = asker(worker)
    found = contrast(
        asked, artifact_of(store, row.version), inputs_of(row), {name: each.rows.inputs for name, each in backgrounds.items()},
        task=row.model.task or "regression", classes=row.model.classes, place=max(class_of(row), 0), progress=progress, seconds=SECONDS,
    )  # fmt: skip
    return {name: found[name] for name in backgrounds}


def contrast_of(row: "Row", against: Against, held: "Held", background: Background) -> Contrast:
    """What the page draws of one background."""
    mean = held.values.mean(axis=0)
    place = class_of(row)
    decided = background.rows.facts["decision"].to_numpy(np.int64)
    found = shaped(
        row, against, dict(zip(held.features, mean.tolist())), float(held.before.mean()), held.after, held.link, held.method, "computed",
        background.text, len(background.rows), errors=None if held.error is None else dict(zip(held.features, held.error.tolist())),
        class_name=row.model.classes[place] if place >= 0 else None, note=joined(held.note, reproduced(row, held.score)),
    )  # fmt: skip
    return replace(found, outcomes=class_names(row.model, decided), stability=stability(mean, held.values))


def with_stability(average: Contrast, held: "Held") -> Contrast:
    """The shown attributions, with what resamples of the reference say: only where both add up in the same space."""
    if average.link != held.link:
        return average
    shown = {bar.feature: bar.attribution for bar in average.bars}
    found: Stability | None = stability(np.array([shown.get(name, 0.0) for name in held.features]), held.values)
    return replace(average, stability=found)
