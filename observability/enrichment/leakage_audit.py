"""Runs an audit of leakage. It decides which rows are training rows and which are held out, and computes the results from the counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model, Version
from observability.detection.audit_history import FURTHER, HEADLINES
from observability.enrichment.audit_curves import MIN_ROWS, interval_json, judged_figure
from observability.enrichment.audit_rows import AuditRows, audit_reference_rows, audit_served_rows, version_columns
from observability.enrichment.audit_steps import AGAIN, FEATURES, POOL, TRAINING_ROWS, AuditSteps
from observability.metrics.audit_model import KNOWS, MAX_ALONE
from observability.metrics.audit_model import MIN_ROWS as MINIMUM
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import ordered_interval, rate_interval

if TYPE_CHECKING:
    from observability.store.engine import Store

(OVERLAP,) = FURTHER["leakage"]
KNOWN_NOWHERE = (
    "Cannot tell: no training rows are known. Register a version with --in-sample if its reference holds them, or run the audit with it."
)


@dataclass(frozen=True)
class OverlapSides:
    """Training rows, and held-out rows that should not be among them. of: which held-out rows, `reference` or `served`. Fields that end in
    `_are` describe the rows in words.
    """

    training: AuditRows
    held: AuditRows
    of: str
    training_are: str
    held_are: str


def overlap_sides(store: "Store", model: Model, version: Version, rows: int, served: AuditRows, *, in_sample: bool) -> list[OverlapSides]:
    """The pairs of rows that are compared: first training rows with the held-out reference, then training rows with served rows. Empty if
    no training rows are known.

    The training rows are the version's own reference if it holds training rows. Else they are the reference of another version with the
    same features that holds training rows (the version that was registered last). rows: maximum number of training rows. in_sample: whether
    the version's own reference holds training rows.
    """
    own = audit_reference_rows(store, model, version, rows)
    reference = f"rows of the reference of version {version.name}"
    if in_sample:
        sides = [OverlapSides(own, served, "served", reference, f"labelled rows of {served.environment}")]
    else:
        other = trained_version(model, version)
        if other is None:
            return []
        training, words = audit_reference_rows(store, model, other, rows), f"rows of the reference of version {other.name}"
        sides = [OverlapSides(training, own, "reference", words, reference)]
        sides += [OverlapSides(training, served, "served", words, f"labelled rows of {served.environment}")]
    return [side for side in sides if min(len(side.training), len(side.held)) >= MIN_ROWS]


def trained_version(model: Model, version: Version) -> Version | None:
    """Another version with the same features whose reference holds training rows; of several, the one that was registered last. None if
    there is none.
    """
    features = [column.name for column in version_columns(model, version)]
    known = [
        each
        for each in model.versions
        if each.name != version.name and each.in_sample and [column.name for column in version_columns(model, each)] == features
    ]
    return max(known, key=lambda each: str(each.registered_at), default=None)


def overlap_shares(counts: Mapping[str, Any], of: str, training_are: str, held_are: str) -> dict[str, Any]:
    """Shares of held-out rows that also occur among the training rows, with intervals. counts: `HeldOutOverlap.record`; for the other
    parameters see OverlapSides.
    """
    n, training, exact, near = (int(counts[name]) for name in ("rows", "training_rows", "in_training", "near"))
    parts = {"exact": exact, "near": near, "either": exact + near}
    found: dict[str, Any] = {name: interval_json(rate_interval(float(part), float(n))) for name, part in parts.items()}
    found |= {"same_label": counts["same_label"], "among_training": interval_json(rate_interval(counts["training_repeated"], training))}
    return found | {
        "of": of,
        "training": {"n": training, "are": training_are},
        "held": {"n": n, "are": held_are},
    }


def leakage_results(
    alone: Mapping[str, Sequence[float]],
    own: Sequence[float] | None,
    served: Mapping[str, Sequence[float]],
    overlaps: Sequence[Mapping[str, Any]],
    measure: str | None,
) -> dict[str, Any]:
    """The results of an audit of leakage, without its headline.

    alone: for each feature, how well it predicts the label by itself (value, low, high, rows). own: the same for the model; None if
    unknown. served: the same for the strongest features on served rows; `lost` is the decrease there. overlaps: results of
    `overlap_shares`; the first one is judged. measure: the metric behind the shares.
    """
    features = []
    for name in sorted(alone, key=lambda name: (-alone[name][0], name))[:MAX_ALONE]:
        features.append({"name": name, **interval_json(ordered_interval(*alone[name]))})
        if name in served:
            later = ordered_interval(*served[name])
            features[-1] |= {
                "served": interval_json(later),
                "lost": interval_json(difference_interval(later, ordered_interval(*alone[name]))),
            }
    first = overlaps[0] if overlaps else None
    overlap = judged_figure(OVERLAP, first["either"] if first else None, None if first else KNOWN_NOWHERE, **_sides_of(first))
    summary = {"label_leakage": features[0]["value"] if features else None, OVERLAP: overlap["value"]}
    return {
        "features": features,
        "measure": measure,
        "model": None if own is None else interval_json(ordered_interval(*own)),
        "knowing": [each["name"] for each in features if each["value"] >= KNOWS],
        "overlaps": [dict(each) for each in overlaps],
        "further": {OVERLAP: overlap},
        "summary": {name: value for name, value in summary.items() if value is not None},
    }


def leakage_headline(body: Mapping[str, Any], why: str | None) -> dict[str, Any]:
    """The headline of an audit of leakage: the feature that predicts the label best by itself. body: from `leakage_results`. why: the
    reason if there is no feature.
    """
    found = body["features"][0] if body["features"] else None
    named = {"feature": found["name"], "at": body["measure"]} if found else {}
    return judged_figure(HEADLINES["leakage"], found, None if found else f"Cannot tell: {why}.", **named)


def _sides_of(overlap: Mapping[str, Any] | None) -> dict[str, str]:
    """Which held-out rows an overlap compares, for the field `at` of its figure. Two audits count as repeats only if they compared the same
    rows.
    """
    return {} if overlap is None else {"at": overlap["of"]}


def run_leakage(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of leakage: how well single features predict the label, and the share of held-out rows that also occur among
    the training rows.
    """
    store, model, version = steps.store, steps.model, steps.version
    real, served = (read(store, model, version, steps.most(POOL)) for read in (audit_reference_rows, audit_served_rows))
    rows = real if len(real) >= MINIMUM else served
    sides = overlap_sides(store, model, version, steps.most(TRAINING_ROWS), served, in_sample=steps.request.in_sample or version.in_sample)
    columns = list(map(str, rows.inputs))
    chunks = [columns[start : start + FEATURES] for start in range(0, len(columns), FEATURES)] if len(rows) >= MINIMUM else []
    again = rows is real and len(served) >= MINIMUM
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

    parts = [known("label_known_alone", rows, f"how well {', '.join(each)} alone predict the label", columns=each) for each in chunks]
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
    why = why if chunks else f"{len(rows):,} labelled rows were read; {MINIMUM} are needed"
    body = leakage_results(alone, own.get("share"), late.get("shares", {}), overlaps, parts[0].get("measure") if parts else None)
    inside = rows is real and bool(steps.request.in_sample or version.in_sample)
    facts = {"from": rows.environment, "n": len(rows), "served": len(served) if again else 0, "in_sample": inside}
    return {"headline": leakage_headline(body, why), **body, "rows": facts}
