"""Run an audit of a model version: robustness, membership, explanations, fairness under shift, leakage, forms. The result is a record.

An audit is a list of steps, each one bounded call of the confined worker. What a step gave is kept in a file of the home until the record
is written, so an audit that was interrupted goes on where it stopped.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.detection.audit_history import HEADLINES
from observability.enrichment import audit_curves as curves
from observability.enrichment.audit_rows import (
    AuditRows,
    attackable_features,
    audit_reference_rows,
    audit_served_rows,
    logged_text_of,
    served_inputs,
)
from observability.enrichment.canary_rows import CANDIDATES, CanaryRows, canary_results, drawn_canary_rows, planted_canary_rows
from observability.enrichment.leakage_audit import (
    TRAINING_ROWS,
    OverlapSides,
    leakage_headline,
    leakage_results,
    overlap_shares,
    overlap_sides,
)
from observability.enrichment.precision_audit import (
    PROBES,
    AuditOptions,
    all_parts,
    answered_forms,
    compared_results,
    form_question,
    stated_form_in_use,
)
from observability.enrichment.shift_results import shift_family, shift_results
from observability.metrics.audit_model import LEAST_ROWS as FEWEST
from observability.metrics.shifted_fairness import DecidedRows
from observability.stats.arrays import Floats
from observability.stats.exposure import likelihood_ratios
from observability.worker.requests import LIBRARIES, artifact_kind

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store
    from observability.worker.process import JobAnswer, Worker

Progress = Callable[[float, str], None]
FOLDER = "audits"
FORM = 2
"""Version of the steps: what an older form kept is not used."""
ATTACKED, DISTURBED, REAL, TEXTS = 240, 2000, 1000, 200
"""Rows that are attacked, rows with noise and absent features, real rows of the search, and texts that are changed."""
CHUNK = 60
"""Attacked rows of one step."""
POOL, LEAST_POOL, SHADOWS = 3000, 100, 16
"""Records on each side of a membership audit, the fewest, and shadow models."""
WEIGHED, SERVED_DAYS = 8000, 28
"""Rows of the reference that are reweighted, as many served ones, and the newest days that these are of."""
EXPLAINED, BACKGROUNDS, BACKGROUND_ROWS, SURROGATE_ROWS = 30, 5, 20, 2000
FEATURES, AGAIN = 8, 3
"""Features of one step of a leakage audit, and the strongest ones that are asked again on served rows."""
NOISE = (0.1, 0.25, 0.5, 1.0)
STEP_SECONDS = 240.0
TEXT_NAMES = ("text", "prompt", "question", "query", "message", "body", "review", "comment", "tweet", "title", "content", "document")
THREAT = (
    "An attacker who sees the model's decisions, changes features within the reference's range, and pays for each change: "
    "standard deviations of a number, 1 for another level, times the feature's cost."
)


@dataclass(frozen=True)
class AuditRequest:
    """What is audited. rows: at most so many of each sample (None: the usual numbers). in_sample: the reference holds training rows
    although it was not registered so. shadows: shadow models, an even number.
    """

    model: str
    version: str
    kind: str
    rows: int | None = None
    in_sample: bool = False
    shadows: int = SHADOWS
    seed: int = 0


@dataclass
class AuditSteps:
    """The steps of one audit with what is known from an earlier, interrupted run. total: steps in all, as far as they are known."""

    store: "Store"
    worker: "Worker"
    request: AuditRequest
    model: Model
    version: Version
    artifact: Path
    progress: Progress
    total: int = 1
    done: int = 0
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file that keeps what the steps gave."""
        sizes = [ATTACKED, DISTURBED, REAL, TEXTS, CHUNK, POOL, EXPLAINED, BACKGROUNDS, BACKGROUND_ROWS, SURROGATE_ROWS, WEIGHED, *NOISE]
        sizes += [FEATURES, AGAIN, TRAINING_ROWS]
        about = [FORM, sizes, asdict(self.request), self.version.artifact, str(self.version.registered_at), asdict(self.model.settings)]
        name = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:24]
        return self.store.home / FOLDER / f"{name}.json"

    def resume(self) -> None:
        """Read what an interrupted run kept."""
        try:
            self.known = dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            self.known = {}

    def step(self, name: str, words: str, make: Callable[[], Any]) -> Any:
        """What a step gave, from the file or by running it."""
        self.progress(min(self.done / self.total, 1.0), words)
        if name not in self.known:
            self.known[name] = make()
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            draft = self.path.with_suffix(".partial")
            draft.write_text(json.dumps(self.known), encoding="utf-8")
            draft.replace(self.path)
        self.done += 1
        return self.known[name]

    def call(self, job: str, frames: "Mapping[str, DataFrame]", **arguments: Any) -> "JobAnswer":
        """A call of the worker about the model file. Its progress counts within the current step."""
        kind = artifact_kind(self.artifact)
        shared = {"kind": kind, "task": self.model.task or "regression", "classes": list(self.model.classes), "seed": self.request.seed}

        def note(share: float, text: str) -> None:
            self.progress(min((self.done + min(max(share, 0.0), 1.0)) / self.total, 1.0), text)

        return self.worker.call(
            f"observability.worker.{job}",
            frames,
            {**shared, "threshold": self.model.settings.threshold, "tolerance": 0.0, **arguments},
            files={"model": self.artifact},
            imports=LIBRARIES[kind],
            seconds=STEP_SECONDS,
            progress=note,
        )

    def most(self, usual: int) -> int:
        """The rows of a sample."""
        return usual if self.request.rows is None else min(self.request.rows, usual)


def run_audit(store: "Store", worker: "Worker", request: AuditRequest, progress: Progress) -> dict[str, Any]:
    """Run an audit and store its record, which comes back. progress: called with the share done and what is done now; what it raises ends
    the audit, which goes on from there when it is run again.

    Raises NotFoundError for an unknown model, UsageError where the version cannot be audited, and the worker's errors.
    """
    steps = prepared_steps(store, worker, request, progress)
    steps.resume()
    began = datetime.now(UTC)
    results = RUNNERS[request.kind](steps)
    finished = datetime.now(UTC)
    results |= {"seed": request.seed, "seconds": round((finished - began).total_seconds(), 1), "artifact": steps.version.artifact}
    record = {
        "kind": "audit",
        "model": request.model,
        "version": request.version,
        "at": iso(finished),
        "audit": request.kind,
        "results": results,
        "expires": iso(finished + timedelta(days=steps.model.settings.audit_days)),
    }
    store.write_records([record])
    steps.path.unlink(missing_ok=True)
    progress(1.0, "done")
    return record


def prepared_steps(store: "Store", worker: "Worker", request: AuditRequest, progress: Progress) -> AuditSteps:
    """The steps of a request. Raises UsageError for an unknown kind or version, and where there is no model file."""
    if request.kind not in RUNNERS:
        raise UsageError("unknown kind of audit", got=request.kind, expected=" or ".join(RUNNERS))
    if request.rows is not None and request.rows < curves.LEAST_ROWS:
        raise UsageError("an audit needs more rows", got=request.rows, expected=f"at least {curves.LEAST_ROWS}")
    if request.shadows < 0 or request.shadows % 2 or request.shadows == 2:
        raise UsageError("shadow models come in pairs", got=request.shadows, expected="an even number from 4 on, or 0 for none")
    model = store.catalog().model(request.model)
    version = model.version(request.version)
    if version is None:
        known = ", ".join(each.name for each in model.versions)
        raise UsageError("unknown version", where=model.name, got=request.version, expected=known or "a registered version")
    artifact = store.artifact(version) if version.artifact else None
    if artifact is None:
        raise UsageError(
            "an audit runs the model, and no model file is stored for this version",
            where=f"{model.name} {version.name}",
            attempt="Register the version again with --artifact FILE",
        )
    return AuditSteps(store, worker, request, model, version, artifact, progress)


def headline(kind: str, found: Mapping[str, Any] | None, why: str | None = None, **more: Any) -> dict[str, Any]:
    """The headline of an audit. found: value, low, high, n; why: the reason where there is none."""
    return curves.judged_figure(HEADLINES[kind], found, why, **more)


def audited_rows(steps: AuditSteps, rows: int) -> AuditRows:
    """Labelled rows that the version served; of the reference where it served none. Raises UsageError where there are too few."""
    found = audit_served_rows(steps.store, steps.model, steps.version, rows)
    if len(found) < curves.LEAST_ROWS:
        found = audit_reference_rows(steps.store, steps.model, steps.version, rows)
    if len(found) < curves.LEAST_ROWS:
        raise UsageError(
            "too few rows with a label",
            got=len(found),
            expected=f"at least {curves.LEAST_ROWS}",
            attempt="Register a reference, or log labels",
        )
    return found


def run_robustness(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of robustness."""
    rows, real = audited_rows(steps, steps.most(DISTURBED)), audit_reference_rows(steps.store, steps.model, steps.version, REAL)
    real = real if len(real) else rows
    free, locked = attackable_features(steps.model, steps.version, real.inputs)
    tolerance = float(np.std(real.scores[np.isfinite(real.scores)]) / 2) if steps.model.task == "regression" else 0.0
    attacked = min(steps.most(ATTACKED), len(rows))
    texts = logged_text_of(steps.store, first_audit_rows(rows, steps.most(TEXTS)), steps.version, TEXT_NAMES)
    chunks = range(0, attacked, CHUNK)
    steps.total = len(chunks) + 1 + bool(texts[2])
    shared = {"free": free, "tolerance": tolerance}
    found = []
    for start in chunks:
        end = min(start + CHUNK, attacked)
        words = f"attacking rows {start + 1} to {end} of {attacked}"
        found.append(steps.step(f"attack {start}", words, partial(_attack, steps, rows, real, start, end, shared)))
    disturbed = steps.step("disturb", f"noise and absent features on {len(rows):,} rows", lambda: _disturb(steps, rows, shared))
    changed = steps.step("texts", "changing texts", lambda: _change_texts(steps, rows, texts)) if texts[2] else None
    right = np.array(disturbed["right"]["clean"][:attacked]) > 0.5 if steps.model.task != "regression" else np.ones(attacked, np.bool_)
    single, several = (np.array([np.inf if cost is None else cost for part in found for cost in part[name]]) for name in ("single", "any"))
    changes = [each["any"] for part in found for each in part["changes"]]
    curve = curves.attack_curves(right, single, several)
    at = next(point for point in curve if point["epsilon"] == curves.HEADLINE_EPSILON)
    results: dict[str, Any] = {
        "headline": headline("robustness", at, at=curves.HEADLINE_EPSILON),
        "threat": THREAT,
        "exact_single": found[0]["exact"],
        "rows": {"from": rows.environment, "attacked": attacked, "disturbed": len(rows)},
        "tolerance": tolerance or None,
        "locked": locked,
        "costs": dict(steps.model.settings.attack_costs),
        "directions": dict(steps.model.settings.attack_directions),
        "epsilon": curve,
        "groups": curves.curves_by_group({name: values[:attacked] for name, values in rows.groups.items()}, right, single, several),
        "flips": curves.cheapest_flips(rows.ids[:attacked], several, changes, right),
        **_disturbed_results(disturbed, steps.model.task or "regression"),
    }
    if changed is not None:
        results["texts"] = _text_results(changed, rows.ids)
    summary = {"robust_accuracy": at["value"], "accuracy": curve[0]["value"]}
    return results | {"summary": {name: value for name, value in summary.items() if value is not None}}


def first_audit_rows(rows: AuditRows, number: int) -> AuditRows:
    """The first rows of a sample."""
    groups = {name: values[:number] for name, values in rows.groups.items()}
    inputs = rows.inputs.head(number)
    return AuditRows(rows.model, rows.ids[:number], inputs, rows.labels[:number], rows.scores[:number], groups, rows.environment)


def _attack(steps: AuditSteps, rows: AuditRows, real: AuditRows, start: int, end: int, shared: Mapping[str, Any]) -> dict[str, Any]:
    """One step of the attack."""
    frames = {"rows": rows.inputs.iloc[start:end].reset_index(drop=True), "real": real.inputs}
    answer = steps.call("audit_robustness_job:attack_rows", frames, **shared)
    costs = {name: [float(cost) if np.isfinite(cost) else None for cost in answer.frames["found"][name]] for name in ("single", "any")}
    return {"exact": bool(answer.values["exact"]), "changes": list(answer.values["changes"]), **costs}


def _disturb(steps: AuditSteps, rows: AuditRows, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The step with noise and absent features."""
    given = {**shared, "levels": list(NOISE), "labels": rows.labels.tolist()}
    answer = steps.call("audit_robustness_job:disturb_rows", {"rows": rows.inputs}, **given)
    right = {name: np.round(answer.frames["right"][name].to_numpy(np.float64), 6).tolist() for name in answer.frames["right"]}
    return {"right": right, "order": list(answer.values["order"]), "filled": list(answer.values["filled"])}


def _disturbed_results(found: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The curves of noise and of absent features."""
    points = {name: curves.interval_json(curves.measured_mean(np.array(values), task)) for name, values in found["right"].items()}
    noise = [{"noise": 0.0, **points["clean"]}, *({"noise": level, **points[f"noise/{level:g}"]} for level in NOISE)]
    without = [{"features": 0, **points["clean"]}]
    without += [{"features": place, "name": name, **points[f"without/{place}"]} for place, name in enumerate(found["order"], start=1)]
    return {"noise": noise, "without": without, "filled": found["filled"], "measure": "mae" if task == "regression" else "accuracy"}


def _change_texts(steps: AuditSteps, rows: AuditRows, texts: tuple[str | None, str | None, list[str]]) -> dict[str, Any]:
    """The step with changed texts; `why` where the texts do not reach the model in a known way."""
    feature, _, own = texts
    some = first_audit_rows(rows, len(own))
    try:
        answer = steps.call(
            "audit_robustness_job:change_texts", {"rows": some.inputs}, texts=own, feature=feature, labels=some.labels.tolist()
        )
    except UsageError as error:
        return {"why": str(error)}
    tables = {name: {column: answer.frames[name][column].tolist() for column in answer.frames[name]} for name in ("right", "flipped")}
    return {**tables, "cases": dict(answer.values["cases"]), "through": list(answer.values["through"])}


def _text_results(found: Mapping[str, Any], ids: tuple[str, ...]) -> dict[str, Any]:
    """Accuracy and flips by the change of the text; cases name the prediction, not its text."""
    if "why" in found:
        return {"why": found["why"]}
    made = []
    for name, flipped in found["flipped"].items():
        right = curves.interval_json(curves.held_share(np.array(found["right"][name]) > 0.5))
        share = curves.interval_json(curves.held_share(np.array(flipped) > 0.5))
        made.append({"change": name, "accuracy": right, "flipped": share, "ids": [ids[row] for row, _ in found["cases"].get(name, [])]})
    clean = curves.interval_json(curves.held_share(np.array(found["right"]["clean"]) > 0.5))
    return {"clean": clean, "changes": made, "through": found["through"]}


def run_membership(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of membership, with the exposure of canaries where some are logged."""
    reference = audit_reference_rows(steps.store, steps.model, steps.version, steps.most(POOL))
    planted = planted_canary_rows(steps.store, steps.model, steps.version, reference.inputs) if len(reference) else None
    steps.total = int(planted is not None)
    results = _attacked_members(steps, reference)
    if planted is not None:
        results["canaries"] = _canary_exposures(steps, planted, drawn_canary_rows(reference, CANDIDATES, seed=0))
    return results


def _canary_exposures(steps: AuditSteps, planted: CanaryRows, drawn: CanaryRows) -> dict[str, Any]:
    """The step that asks the model about canaries and about candidates that are drawn alike."""
    import pandas as pd

    def ask() -> list[float]:
        rows = pd.concat([planted.inputs, drawn.inputs], ignore_index=True)
        labels = np.concatenate([planted.labels, drawn.labels]).tolist()
        answer = steps.call("audit_membership_job:truth_confidences", {"rows": rows}, labels=labels)
        return [float(value) for value in answer.frames["found"]["confidence"]]

    number = len(planted.names)
    confidence = np.array(steps.step(f"canaries {number}", f"ranking {number} canaries among {len(drawn.names):,} candidates", ask))
    return canary_results(planted.names, confidence[:number], confidence[number:])


def _attacked_members(steps: AuditSteps, inside: AuditRows) -> dict[str, Any]:
    """The attack on rows of the reference; a headline without a value where no training rows are known."""
    if not (steps.request.in_sample or steps.version.in_sample):
        why = "Cannot tell: the reference is not said to hold training rows. Run with --in-sample where it does."
        return {"headline": headline("membership", None, why), "summary": {}}
    outside = audit_served_rows(steps.store, steps.model, steps.version, steps.most(POOL))
    if min(len(inside), len(outside)) < LEAST_POOL:
        why = (
            f"Cannot tell: {len(inside):,} training records and {len(outside):,} held-out ones with labels are known; "
            f"{LEAST_POOL} of each are needed."
        )
        return {"headline": headline("membership", None, why), "summary": {}}
    import pandas as pd

    table = pd.concat([inside.inputs, outside.inputs], ignore_index=True)
    labels, members = np.concatenate([inside.labels, outside.labels]), np.repeat([True, False], [len(inside), len(outside)])
    ids = (*inside.ids, *outside.ids)
    why = steps.call("audit_membership_job:shadow_hindrance", {}).values["why"] if steps.request.shadows else "none were asked for"
    shadows = 0 if why else steps.request.shadows
    steps.total += 2 + shadows
    given = {"labels": labels.tolist()}

    def confidence(job: str, column: str, **more: Any) -> list[float]:
        answer = steps.call(f"audit_membership_job:{job}", {"rows": table}, **given, **more)
        return [float(value) for value in answer.frames["found"][column]]

    own = np.array(
        steps.step("target", f"asking the model about {len(ids):,} records", lambda: confidence("truth_confidences", "confidence"))
    )
    blind = np.array(
        steps.step(
            "blind",
            "recognising members without the model",
            lambda: confidence("membership_without_model", "member_score", members=members.astype(int).tolist()),
        )
    )
    statistic, attack = own, "loss threshold"
    note: str | None = f"No shadow models: {why}."
    if shadows:
        statistic, attack, note = _calibrated(steps, table, given, own, shadows), f"LiRA, {shadows} shadow models", None
    groups = {name: np.concatenate([inside.groups[name], outside.groups[name]]) for name in inside.groups}
    if steps.model.task != "regression":
        groups["class"] = np.array([steps.model.classes[int(label)] for label in labels], dtype=object)
    attacked, threshold, plain = (curves.exposure_results(values, members) for values in (statistic, own, blind))
    rate = attacked["true_positive_rates"][0]
    caution = None
    if plain["auc"]["value"] > curves.BLIND:
        caution = (
            f"The records differ without the model too (AUC {plain['auc']['value']:.2f} from features and label alone), "
            "so part of the exposure may be that difference."
        )
    return {
        "headline": headline("membership", rate, caution, at=rate["false_positive_rate"]),
        "attack": attack,
        "note": note,
        "members": {"n": len(inside), "are": "rows of the reference"},
        "others": {"n": len(outside), "are": f"labelled rows of {outside.environment}"},
        "best": attacked,
        "loss_threshold": threshold,
        "without_model": {"auc": plain["auc"]},
        "gap": curves.generalisation_gap(own, members, steps.model.task or "regression"),
        "groups": curves.exposure_by_group(statistic, members, groups),
        "exposed": curves.most_exposed(ids, statistic, members),
        "summary": {"membership_exposure": rate["value"], "attack_auc": attacked["auc"]["value"]},
    }


def _calibrated(steps: AuditSteps, table: "DataFrame", given: Mapping[str, Any], own: Floats, shadows: int) -> Floats:
    """LiRA's statistic from shadow models, one a step."""

    def shadow(seed: int) -> dict[str, list[float]]:
        answer = steps.call("audit_membership_job:shadow_confidences", {"rows": table}, **given, seed=steps.request.seed * 1000 + seed)
        return {name: np.round(answer.frames["found"][name].to_numpy(np.float64), 5).tolist() for name in ("confidence", "inside")}

    every = [steps.step(f"shadow {k}", f"shadow model {k + 1} of {shadows}", partial(shadow, k)) for k in range(shadows)]
    confidence, inside = (np.array([each[name] for each in every]) for name in ("confidence", "inside"))
    return likelihood_ratios(own, np.where(inside == 1, confidence, np.nan), np.where(inside == 1, np.nan, confidence))


def run_explanations(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of explanations."""
    real = audit_reference_rows(steps.store, steps.model, steps.version, steps.most(SURROGATE_ROWS))
    real = real if len(real) >= curves.LEAST_ROWS else audited_rows(steps, steps.most(SURROGATE_ROWS))
    rows = first_audit_rows(audited_rows(steps, steps.most(EXPLAINED)), steps.most(EXPLAINED))
    steps.total = BACKGROUNDS + 1

    def draw(seed: int) -> dict[str, Any]:
        given = {"seed": steps.request.seed * 1000 + seed, "background": BACKGROUND_ROWS}
        answer = steps.call("audit_explanation_job:attribute_with_seed", {"rows": rows.inputs, "real": real.inputs}, **given)
        values = answer.frames["values"]
        return {"columns": list(values), "values": np.round(values.to_numpy(np.float64), 9).tolist(), "method": answer.values["method"]}

    draws = [
        steps.step(f"draw {k}", f"explaining {len(rows)} rows against background {k + 1} of {BACKGROUNDS}", partial(draw, k))
        for k in range(BACKGROUNDS)
    ]
    values = [np.array(each["values"]) for each in draws]
    judged = steps.step("judge", "deleting features, fitting surrogates", lambda: _judge(steps, rows, real, draws[0]["columns"], values))
    stability, by_row = curves.rank_stability(values)
    areas = {name: np.array(judged["areas"][name]) for name in judged["areas"]}
    ahead = curves.interval_json(curves.held_share(areas["by_attribution"] > areas["at_random"]))
    found = curves.interval_json(stability)
    least = np.argsort(by_row, kind="stable")[: curves.MOST_FLIPS]
    mean, other = np.mean(values, axis=0), np.array(judged["occlusion"])
    agreed = {
        "rank_correlation": curves.interval_json(curves.rank_stability([mean, other])[0]),
        "same_first": curves.interval_json(curves.held_share(np.abs(mean).argmax(axis=1) == np.abs(other).argmax(axis=1))),
    }
    return {
        "headline": headline("explanations", found),
        "method": draws[0]["method"],
        "rows": len(rows),
        "backgrounds": {"draws": BACKGROUNDS, "rows": BACKGROUND_ROWS, "from": real.environment},
        "faithfulness": ahead,
        "deletion": judged["deletion"],
        "surrogates": judged["surrogates"],
        "agreement": {"with": "one feature deleted at a time", **agreed},
        "least_stable": [{"id": rows.ids[place], "stability": round(float(by_row[place]), 4)} for place in least],
        "summary": {"explanation_stability": found["value"], "faithfulness": ahead["value"]},
    }


def _judge(steps: AuditSteps, rows: AuditRows, real: AuditRows, columns: list[str], values: list[Floats]) -> dict[str, Any]:
    """The step that judges the mean attributions."""
    import pandas as pd

    frames = {"rows": rows.inputs, "real": real.inputs, "values": pd.DataFrame(np.mean(values, axis=0), columns=columns)}
    answer = steps.call("audit_explanation_job:judge_attributions", frames, background=BACKGROUND_ROWS)
    rounded = {name: answer.frames[name].round(6) for name in ("deletion", "areas", "surrogates")}
    found: dict[str, Any] = {name: table.to_dict("list" if name == "areas" else "records") for name, table in rounded.items()}
    return found | {"occlusion": np.round(answer.frames["occlusion"][columns].to_numpy(np.float64), 9).tolist()}


def run_fairness(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of fairness under shift; a headline without a value where groups cannot be compared."""
    rows = audit_reference_rows(steps.store, steps.model, steps.version, steps.most(WEIGHED))
    groups = {name: values for name, values in rows.groups.items() if "=" not in name}
    if (why := _no_fairness(steps.model, rows, groups)) is not None:
        return {"headline": headline("fairness", None, why), "summary": {}}
    steps.total = 2
    scores = steps.step("scores", f"asking the model about {len(rows):,} rows", lambda: _own_scores(steps, rows))
    served = served_inputs(steps.store, steps.model, steps.version, steps.most(WEIGHED), SERVED_DAYS)
    decided = DecidedRows(np.array(scores) >= steps.model.settings.threshold, rows.labels == 1, groups)
    steps.progress(0.5, "reweighting rows")
    criterion = steps.model.settings.fairness_criterion or "equalized_odds"
    results = shift_results(decided, shift_family(decided, rows.inputs, served), criterion, steps.request.seed)
    worst = results["worst"]
    facts = {"reference": len(rows), "served": 0 if served is None else len(served), "served_days": SERVED_DAYS}
    if worst is None:
        why = "Cannot tell: no attribute has two groups with enough rows."
        return {"headline": headline("fairness", None, why), **results, "rows": facts, "summary": {}}
    caution = "The reference holds training rows, so gaps may be smaller than on new ones." if steps.version.in_sample else None
    found = headline("fairness", worst["gap"], caution, at=results["divergence"])
    return {"headline": found, **results, "rows": facts, "summary": {"shifted_fairness_gap": worst["gap"]["value"]}}


def _no_fairness(model: Model, rows: AuditRows, groups: Mapping[str, Any]) -> str | None:
    """Why gaps between groups cannot be measured; None where they can."""
    if model.task != "binary":
        return "Cannot tell: rates of positive decisions need a binary model."
    if not groups:
        return "Cannot tell: no attribute of the model is declared sensitive."
    if len(rows) < LEAST_POOL:
        return f"Cannot tell: the reference has {len(rows):,} labelled rows; {LEAST_POOL} are needed."
    return None


def _own_scores(steps: AuditSteps, rows: AuditRows) -> list[float]:
    """The scores of the model file."""
    answer = steps.call("explain_job:score_rows", {"rows": rows.inputs})
    return [round(float(score), 6) for score in answer.frames["scores"]["score"]]


def run_leakage(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of leakage: how far features alone know the label, and held-out rows that stand in the training rows."""
    store, model, version = steps.store, steps.model, steps.version
    real, served = (read(store, model, version, steps.most(POOL)) for read in (audit_reference_rows, audit_served_rows))
    rows = real if len(real) >= FEWEST else served
    sides = overlap_sides(store, model, version, steps.most(TRAINING_ROWS), served, in_sample=steps.request.in_sample or version.in_sample)
    columns = list(map(str, rows.inputs))
    chunks = [columns[start : start + FEATURES] for start in range(0, len(columns), FEATURES)] if len(rows) >= FEWEST else []
    again = rows is real and len(served) >= FEWEST
    steps.total = len(chunks) + bool(chunks) + again + len(sides)

    def known(job: str, asked: AuditRows, words: str, **more: Any) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            given = {"labels": asked.labels.tolist(), **more}
            return dict(steps.call(f"audit_leakage_job:{job}", {"rows": asked.inputs}, **given).values)

        found: dict[str, Any] = steps.step(f"{job} {asked.environment} {more.get('columns')}", words, ask)
        return found

    def overlap(side: OverlapSides) -> dict[str, Any]:
        frames = {"training": side.training.inputs, "held": side.held.inputs}
        given = {"labels": side.training.labels.tolist(), "held_labels": side.held.labels.tolist()}
        return dict(steps.call("audit_leakage_job:training_rows_held_out", frames, **given).values)

    parts = [known("label_known_alone", rows, f"what {', '.join(each)} alone know of the label", columns=each) for each in chunks]
    alone = {name: share for part in parts for name, share in part.get("shares", {}).items()}
    strongest = sorted(alone, key=lambda name: (-alone[name][0], name))[:AGAIN]
    own = known("label_known_by_model", rows, f"asking the model about {len(rows):,} rows") if alone else {}
    late = known("label_known_alone", served, "asking again on served rows", columns=strongest) if again and alone else {}
    overlaps = []
    for side in sides:
        words = f"looking for training rows among {side.held_are}"
        counts = steps.step(f"overlap {side.of}", words, partial(overlap, side))
        overlaps.append(overlap_shares(counts, side.of, side.training_are, side.held_are))
    why = next((part["why"] for part in parts if "why" in part), None)
    why = why if chunks else f"{len(rows):,} labelled rows were read; {FEWEST} are needed"
    body = leakage_results(alone, own.get("share"), late.get("shares", {}), overlaps, parts[0].get("measure") if parts else None)
    inside = rows is real and bool(steps.request.in_sample or version.in_sample)
    facts = {"from": rows.environment, "n": len(rows), "served": len(served) if again else 0, "in_sample": inside}
    return {"headline": leakage_headline(body, why), **body, "rows": facts}


def run_precision(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of forms, as the command `trade-offs` gives them. One step a form, and one of the network's forms."""
    until = datetime.fromisoformat(steps.step("until", "sampling rows", lambda: iso(datetime.now(UTC))))
    in_use = stated_form_in_use(steps.store, steps.model.name, steps.version.name, until)
    options = AuditOptions(probes=steps.most(PROBES), seed=steps.request.seed, in_use=in_use)
    question = form_question(steps.store, steps.model, steps.version, options, until)

    def answer(place: int) -> dict[str, Any]:
        steps.total = steps.done + 2  # how many forms a model has is known once they are built

        def note(_share: float, text: str) -> None:
            steps.progress(steps.done / steps.total, text)

        make = partial(answered_forms, steps.worker, question, note, place)
        part: dict[str, Any] = steps.step(f"{question.digest} {place}", f"running form {place + 1}", make)
        return part

    return compared_results(steps.store, question, all_parts(answer))


RUNNERS: dict[str, Callable[[AuditSteps], dict[str, Any]]] = {
    "robustness": run_robustness,
    "membership": run_membership,
    "explanations": run_explanations,
    "fairness": run_fairness,
    "leakage": run_leakage,
    "precision": run_precision,
}
