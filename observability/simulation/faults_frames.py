"""Faults of audits, batches of predictions, datasets, stored forms, attributions and actions. They are planted on the frames that one
analyzer reads.

A fault chooses its target and returns the frames without the fault (the twin) and with it. It raises UsageError if something that it needs
is missing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Context
from observability.core.errors import UsageError
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc, naive_utc
from observability.detection.audit_history import FURTHER, HEADLINES, AuditKind
from observability.detection.form_slices import FLIP_LIMIT
from observability.detection.stored_form_claims import FLIPS, GAP, LOST, SAVED, UNDECIDED
from observability.metrics.media_forms import MIN_FILES
from observability.metrics.reliance import ACTION, acted_pairs, reliance_of
from observability.metrics.stored_forms import EXACT, StorageAudit, StoredForm, latest_storage_audits
from observability.simulation.fault import NamedFault
from observability.simulation.faults_forms import FormFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

AUDITS, GATE, DATASETS, EXPLANATIONS = "trust/audits", "serving/batch_gate", "data/datasets", "trust/explanations"
STORAGE, GUARD = "data/storage", "trust/live_guard"
(OVERLAP,) = FURTHER["leakage"]
MIN_ROWS = 50
"""A fault is planted only in batches with at least this many rows."""
DUE = timedelta(hours=1)
"""A clean batch is due this long after its last row."""
SCORES_AT_ONE = 0.5
"""The default score that rows get in a batch of defaults."""


@dataclass(frozen=True)
class FramesPlant:
    """Where and how strongly a fault is planted."""

    frames: Mapping[str, "DataFrame"]
    context: Context
    amount: float
    rng: np.random.Generator


@dataclass(frozen=True)
class PlantedFrames:
    """The frames with a fault, the frames of the twin without it, the context in which both are evaluated, and the subject that the finding
    should name.
    """

    faulty: Mapping[str, "DataFrame"]
    clean: Mapping[str, "DataFrame"]
    context: Context
    subject: str
    about: str


@dataclass(frozen=True)
class FrameFault(NamedFault):
    """A fault that is planted in the frames that one analyzer reads."""

    plant: Callable[[FramesPlant], PlantedFrames]
    analyzer: str = AUDITS

    @property
    def section(self) -> str:  # type: ignore[override]  # stated by other faults; here it follows from the analyzer
        """The part of the product to which it belongs."""
        return self.analyzer.partition("/")[0]


def _audit_of(plant: FramesPlant, kind: AuditKind, further: str | None = None) -> dict[Any, Any]:
    """The newest audit of a kind whose headline (or, if `further` is given, that further figure) has a value with an interval."""

    def measured(row: Mapping[Any, Any]) -> bool:
        found = _figure_of(row["results"], further) if isinstance(row["results"], Mapping) else None
        return isinstance(found, Mapping) and None not in (found.get("value"), found.get("low"), found.get("high"))

    rows = [row for row in plant.frames["audits"].sort_values("at").to_dict("records") if row["audit"] == kind and measured(row)]
    if not rows:
        raise UsageError(f"no {kind} audit to plant a fault on", attempt="Run the command audit")
    return rows[-1]


def _figure_of(results: Mapping[str, Any], further: str | None) -> Any:
    """The headline of an audit's results, or a further figure."""
    return results.get("headline") if further is None else (results.get("further") or {}).get(further)


def _worse_audit(plant: FramesPlant, kind: AuditKind, sign: int, further: str | None = None) -> PlantedFrames:
    """The frames of an audit that is repeated a day later with a worse value. sign: the sign of the change. further: the figure that
    changes instead of the headline.

    In the twin, the repeated audit differs by chance alone.
    """
    import pandas as pd

    row = _audit_of(plant, kind, further)
    head = _figure_of(row["results"], further)
    low, value, high = (float(head[name]) for name in ("low", "value", "high"))
    chance = float(plant.rng.normal()) * (high - low) / 3.92

    def repeated(change: float) -> dict[str, "DataFrame"]:
        moved = float(np.clip(value + chance + change, -1.0 if kind == "explanations" else 0.0, 1.0))
        made = {**head, "value": moved, "low": moved - (value - low), "high": moved + (high - value)}
        own = {"headline": made} if further is None else {"further": {**row["results"]["further"], further: made}}
        results = {**row["results"], **own}
        later = {**row, "at": row["at"] + timedelta(days=1), "results": results, "expires": None}
        return {"audits": pd.DataFrame([{**row, "expires": None}, later])}

    context = _audited(plant.context, row, aware_utc(row["at"]) + timedelta(days=2))
    about = f"The {kind} audit of {row['model']} version {row['version']}, repeated a day later."
    return PlantedFrames(repeated(sign * plant.amount), repeated(0.0), context, kind, about)


def _audited(context: Context, row: Mapping[Any, Any], now: datetime) -> Context:
    """The context of an audited version, without the owner's limits, so that only the previous audit counts."""
    version = context.model.version(str(row["version"])) or context.version
    model = replace(context.model, settings=ModelSettings())
    return replace(context, model=model, version=replace(version, name=str(row["version"])), now=now)


def less_robust_version(plant: FramesPlant) -> PlantedFrames:
    """A repeated audit finds that cheap changes flip more predictions than before."""
    return _worse_audit(plant, "robustness", -1)


def more_exposed_records(plant: FramesPlant) -> PlantedFrames:
    """A repeated audit finds that more training records can be distinguished from others than before."""
    return _worse_audit(plant, "membership", 1)


def less_stable_explanations(plant: FramesPlant) -> PlantedFrames:
    """A repeated audit finds that attributions depend more on their background than before."""
    return _worse_audit(plant, "explanations", -1)


def larger_gap_under_shift(plant: FramesPlant) -> PlantedFrames:
    """A repeated audit finds a larger gap between groups under shift than before."""
    return _worse_audit(plant, "fairness", 1)


def feature_that_knows_the_label(plant: FramesPlant) -> PlantedFrames:
    """A repeated audit finds a feature that alone predicts the label better than any did before."""
    return _worse_audit(plant, "leakage", 1)


def training_rows_in_held_out_ones(plant: FramesPlant) -> PlantedFrames:
    """A repeated audit finds more held-out rows among the training rows than before."""
    return _worse_audit(plant, "leakage", 1, OVERLAP)


def expired_audit(plant: FramesPlant) -> PlantedFrames:
    """Nobody repeated an audit, and it has expired."""
    import pandas as pd

    row = _audit_of(plant, "robustness")
    now = aware_utc(row["at"]) + timedelta(days=plant.amount + 1)

    def until(days: float) -> dict[str, "DataFrame"]:
        return {"audits": pd.DataFrame([{**row, "expires": pd.Timestamp(now.replace(tzinfo=None)) + timedelta(days=days)}])}

    about = f"The robustness audit of {row['model']} version {row['version']}."
    return PlantedFrames(until(-plant.amount), until(1.0), _audited(plant.context, row, now), "robustness", about)


def _changed_batch(plant: FramesPlant, change: "Callable[[DataFrame], DataFrame]") -> PlantedFrames:
    """The frames with a change in the newest whole batch of the window. The batch was expected with the keys that it has, an hour after its
    last row.
    """
    import pandas as pd

    rows, frames = plant.frames["rows"], plant.frames
    sizes, counted = rows["batch"].value_counts(), frames["counts"].groupby("batch")["n"].sum()
    whole = [name for name, size in sizes.items() if size >= MIN_ROWS and counted.get(name) == size and _begins(frames, name)]
    if not whole:
        wanted = f"a batch of {MIN_ROWS} rows or more of a model with `batch_key`"
        raise UsageError("no batch to plant a fault in", got=f"{len(sizes)} batches", expected=wanted)
    last = rows[rows["batch"].isin(whole)].groupby("batch")["at"].min().idxmax()
    own, others = rows[rows["batch"] == last], rows[rows["batch"] != last]
    key = plant.context.model.settings.batch_key or "id"
    due = own["arrived"].max() + DUE
    reference = key if key in ("id", "subject") else f"feature.{key}"
    keys = sorted(set(own[reference].astype(str)))
    stated = {"batch": last, "at": own["at"].min(), "version": plant.context.version.name, "rows": None, "keys": keys, "due": due}
    expected = frames["expected"][frames["expected"]["batch"] != last]
    until = aware_utc(due + timedelta(days=2))
    context = replace(plant.context, model=replace(plant.context.model, settings=_gate_settings(plant)), now=until, until=until)

    def with_rows(part: "DataFrame") -> dict[str, "DataFrame"]:
        counts = frames["counts"].assign(n=frames["counts"]["n"].where(frames["counts"]["batch"] != last, len(part)))
        listed = pd.concat([expected, pd.DataFrame([stated])], ignore_index=True) if len(expected) else pd.DataFrame([stated])
        return {
            **frames,
            "rows": pd.concat([others, part], ignore_index=True),
            "counts": counts,
            "expected": listed.astype({"at": "datetime64[us]", "due": "datetime64[us]"}),
            "decisions": frames["decisions"].iloc[:0],
        }

    about = f"Batch {last} of {plant.context.model.name}."
    return PlantedFrames(with_rows(change(own)), with_rows(own), context, f"batch={last}", about)


def _begins(frames: Mapping[str, "DataFrame"], batch: Any) -> bool:
    """Whether a batch has no rows from before the window."""
    return batch not in set(frames["past rows"]["batch"]) and batch not in set(frames["past counts"]["batch"])


def _gate_settings(plant: FramesPlant) -> ModelSettings:
    """The settings of the batch gate, without the owner's limits."""
    own = plant.context.model.settings
    return ModelSettings(batch_key=own.batch_key, slices=own.slices)


def missing_batch_rows(plant: FramesPlant) -> PlantedFrames:
    """A share of a batch's keys is not delivered."""
    return _changed_batch(plant, lambda own: own[plant.rng.random(len(own)) >= plant.amount])


def late_batch(plant: FramesPlant) -> PlantedFrames:
    """A batch comes hours after it was due."""
    return _changed_batch(plant, lambda own: own.assign(arrived=own["arrived"] + DUE + timedelta(hours=plant.amount)))


def batch_of_defaults(plant: FramesPlant) -> PlantedFrames:
    """A share of a batch's rows gets one default score."""
    return _changed_batch(plant, lambda own: own.assign(score=own["score"].mask(plant.rng.random(len(own)) < plant.amount, SCORES_AT_ONE)))


def repeated_batch_keys(plant: FramesPlant) -> PlantedFrames:
    """A share of a batch's rows is delivered a second time."""
    import pandas as pd

    def twice(own: "DataFrame") -> "DataFrame":
        again = own[plant.rng.random(len(own)) < plant.amount]
        return pd.concat([own, again.assign(id=again["id"].astype(str) + " again")], ignore_index=True)

    return _changed_batch(plant, twice)


def drifted_batch(plant: FramesPlant) -> PlantedFrames:
    """The scores of a batch move away from those of the batches before."""
    return _changed_batch(plant, lambda own: own.assign(score=own["score"] + plant.amount * own["score"].std()))


def second_content(plant: FramesPlant) -> PlantedFrames:
    """A version of a dataset is logged again with other contents."""
    import pandas as pd

    rows = plant.frames["datasets"]
    if rows.empty:
        raise UsageError("no dataset version to plant a fault on", expected="records of the kind dataset")
    newest = rows.sort_values("at").iloc[[-1]]
    clean = newest.reset_index(drop=True)
    others = [clean.assign(checksum=f"planted {place}", rows=clean["rows"] + place) for place in range(1, int(plant.amount) + 1)]
    at = aware_utc(clean["at"].iloc[0].to_pydatetime())
    window = replace(plant.context.window, start=at - timedelta(days=1), end=at + timedelta(days=1))
    name, context = clean["dataset"].iloc[0], replace(plant.context, window=window, now=window.end)
    faulty = pd.concat([clean.assign(checksum=clean["checksum"].fillna("first")), *others], ignore_index=True)
    return PlantedFrames(
        {"datasets": faulty}, {"datasets": clean}, context, f"dataset:{name}", f"Version {clean['version'].iloc[0]} of {name}."
    )


def _stored_as(
    plant: FramesPlant,
    change: "Callable[[dict[str, Any], StorageAudit], dict[str, Any]]" = lambda form, _: form,
    decided: "Callable[[StorageAudit, str], DataFrame] | None" = None,
) -> PlantedFrames:
    """The frames in which the form of a stored dataset is changed. The form is the lossy form that saves most in the dataset's newest
    audit.

    change: a function that changes the form in the audit. decided: a function that returns the decisions in the faulty frames, for the
    audit and the form; by default there are none.
    """
    audits = latest_storage_audits(plant.frames["datasets"])
    targets = [(audit, form) for audit in audits for form in audit.forms if _is_clean(audit, form)]
    if not targets:
        wanted = (
            f"an audit with --model, of a lossy form that saves bytes and changes at most {FLIP_LIMIT:.0%} of decisions, with two slices"
        )
        raise UsageError(
            "no stored form to plant a fault in", got=f"{len(audits)} audits", expected=wanted, attempt="Run the command audit-storage"
        )
    audit, form = max(targets, key=lambda target: target[0].saved(target[1]))
    rows = plant.frames["datasets"]
    mine = (rows["dataset"] == audit.dataset) & (rows["version"] == audit.version) & (rows["at"] == naive_utc(audit.at))

    def with_form(body: dict[str, Any]) -> dict[str, "DataFrame"]:
        def changed(extra: Mapping[str, Any]) -> dict[str, Any]:
            storage = extra["storage"]
            return {**extra, "storage": {**storage, "in_use": form.name, "forms": {**storage["forms"], form.name: body}}}

        stored = rows.assign(extra=rows["extra"].where(~mine, rows.loc[mine, "extra"].map(changed)))
        return {**plant.frames, "datasets": stored, "decisions": plant.frames["decisions"].iloc[:0]}

    own = dict(rows.loc[mine, "extra"].iloc[-1]["storage"]["forms"][form.name])
    about = f"{audit.dataset} version {audit.version}; {form.name} counts as the form in use."
    faulty = with_form(change(own, audit)) | ({"decisions": decided(audit, form.name)} if decided else {})
    return PlantedFrames(faulty, with_form(own), plant.context, f"dataset:{audit.dataset}", about)


def _is_clean(audit: StorageAudit, form: StoredForm) -> bool:
    """Whether a form would have no finding if it were in use, and has at least two slices."""
    rate = form.answers.flip_rate if form.answers else None
    few = rate is not None and rate.high is not None and rate.high <= 2 * FLIP_LIMIT and (rate.value or 0.0) <= FLIP_LIMIT
    return few and form.answers is not None and len(form.answers.slices) > 1 and audit.saved(form) > 0 and not form.lost


def _more_flips(plant: FramesPlant, form: dict[str, Any], *, of_slice: bool) -> dict[str, Any]:
    """The form with more changed decisions, among all decisions or in its second largest slice."""
    model = form["model"]
    second = sorted(range(len(model["slices"])), key=lambda each: -model["slices"][each]["n"])[1]
    planted = FormFaultPlant({**model, "probes": model["rows"]}, second, plant.amount, plant.rng)
    found = planted.with_flips({second: plant.amount}) if of_slice else planted.with_flips({}, plant.amount)
    return {**form, "model": {**model, "flips": found["flips"], "slices": found["slices"]}}


def lossy_stored_form(plant: FramesPlant) -> PlantedFrames:
    """The form in which a dataset is stored changes a share of all decisions."""
    return _stored_as(plant, lambda form, _: _more_flips(plant, form, of_slice=False))


def stored_form_hurts_a_group(plant: FramesPlant) -> PlantedFrames:
    """The form in which a dataset is stored changes a share of the decisions of one group."""
    return _stored_as(plant, lambda form, _: _more_flips(plant, form, of_slice=True))


def stored_form_loses_values(plant: FramesPlant) -> PlantedFrames:
    """The form in which a dataset is stored cannot represent some of its values."""
    return _stored_as(plant, lambda form, _: {**form, "lost": {next(iter(form["errors"]), "values"): int(plant.amount)}})


def stored_form_saves_nothing(plant: FramesPlant) -> PlantedFrames:
    """The lossy form in which a dataset is stored takes more bytes than the smallest exact form."""
    return _stored_as(plant, lambda form, audit: {**form, "bytes": round((1 + plant.amount) * audit.exact_bytes)})


def stored_form_other_than_decided(plant: FramesPlant) -> PlantedFrames:
    """It was decided to store a dataset exactly, but some days later its newest audit finds a lossy form."""

    def decided(audit: StorageAudit, form: str) -> "DataFrame":
        import pandas as pd

        at = naive_utc(audit.at - timedelta(days=plant.amount))
        made = {"decision": "lab", "at": at, "statement": f"Store {audit.dataset} as {EXACT}, not as {form}"}
        return pd.DataFrame([made | {"extra": {"form": EXACT, "dataset": audit.dataset}}])

    return _stored_as(plant, decided=decided)


def stored_pictures_lose_detail(plant: FramesPlant) -> PlantedFrames:
    """In one group of files, the form of stored pictures or sound loses some decibels more than allowed."""
    found = [
        (audit, form, groups[0])
        for audit in latest_storage_audits(plant.frames["datasets"])
        for form in audit.forms
        if (groups := [each for each in form.fidelity if "psnr" in each.figures and each.n >= MIN_FILES])
    ]
    if not found:
        wanted = f"an audit of pictures or sound with {MIN_FILES} files"
        raise UsageError("no stored form to plant a fault in", expected=wanted, attempt="Run the command audit-storage on a folder")
    audit, form, whole = found[0]
    rows, psnr = plant.frames["datasets"], whole.figures["psnr"].value or 0.0
    mine = (rows["dataset"] == audit.dataset) & (rows["version"] == audit.version) & (rows["at"] == naive_utc(audit.at))
    least = psnr - 2.0

    def with_psnr(value: float) -> dict[str, "DataFrame"]:
        row = {"column": "folder", "level": "lab", "n": whole.n, "psnr": [value, value - 0.5, value + 0.5]}

        def changed(extra: Mapping[str, Any]) -> dict[str, Any]:
            storage = extra["storage"]
            body = {**storage["forms"][form.name], "fidelity": [storage["forms"][form.name]["fidelity"][0], row]}
            storage = {**storage, "in_use": form.name, "least": {"psnr": least}, "forms": {**storage["forms"], form.name: body}}
            return {**extra, "storage": storage}

        stored = rows.assign(extra=rows["extra"].where(~mine, rows.loc[mine, "extra"].map(changed)))
        return {**plant.frames, "datasets": stored, "decisions": plant.frames["decisions"].iloc[:0]}

    about = f"{audit.dataset} version {audit.version}; {form.name} counts as the form in use, with a least PSNR of {least:.1f} dB."
    return PlantedFrames(with_psnr(least - plant.amount), with_psnr(psnr), plant.context, f"dataset:{audit.dataset}", about)


def _attributed(plant: FramesPlant) -> "tuple[DataFrame, list[str]]":
    """The attributions of the window and the names of their columns, largest first."""
    now = plant.frames["current"]
    sizes = {str(name): float(now[name].abs().mean()) for name in now if str(name).startswith("attribution.")}
    if len(now) < MIN_ROWS or len(sizes) < 2:
        wanted = f"{MIN_ROWS} explained predictions of two features or more"
        raise UsageError("no attributions to plant a fault in", got=f"{len(now):,} explained predictions", expected=wanted)
    return now, sorted(sizes, key=lambda name: -sizes[name])


def other_drivers(plant: FramesPlant) -> PlantedFrames:
    """The least important feature explains a share of what the most important one explained before."""
    now, names = _attributed(plant)
    moved = plant.amount * now[names[0]]
    faulty = {**plant.frames, "current": now.assign(**{names[0]: now[names[0]] - moved, names[-1]: now[names[-1]] + moved})}
    about = f"{len(now):,} explained predictions of {plant.context.model.name}."
    return PlantedFrames(faulty, plant.frames, plant.context, "model", about)


def attributions_of_another_output(plant: FramesPlant) -> PlantedFrames:
    """The attributions of a share of the predictions do not add up to their output."""
    now, _ = _attributed(plant)
    faulty = {**plant.frames, "current": now.assign(adds_up=now["adds_up"] & (plant.rng.random(len(now)) >= plant.amount))}
    about = f"{len(now):,} explained predictions of {plant.context.model.name}."
    return PlantedFrames(faulty, plant.frames, plant.context, "model", about)


def _relied(plant: FramesPlant, metric: str, *, right: bool) -> PlantedFrames:
    """The frames in which people follow the model in a share of those wrong answers that they overrode. If `right` is set, they override a
    share of those right answers that they followed.

    The owner's limit is the upper end of the interval of the rate before the fault.
    """
    rows, model = plant.frames["actions"], plant.context.model
    acted = [acted_pairs(rows.iloc[[place]], model) for place in range(len(rows))]
    places = [place for place, pairs in enumerate(acted) if pairs == [(right, right)]]
    found = reliance_of([pair for pairs in acted for pair in pairs])
    level = (found.under_reliance if right else found.over_reliance).high
    if not places or level is None:
        did = "followed where the model was right" if right else "overrode where it was wrong"
        raise UsageError("no actions to plant a fault in", expected=f"logged actions that {did}")
    extras = rows["extra"].tolist()
    for place in places:
        if plant.rng.random() < plant.amount:
            decided = int(rows["decision"].iloc[place])
            action = model.classes[(decided + 1) % len(model.classes) if right else decided]
            extras[place] = json.dumps(json.loads(extras[place]) | {ACTION: action})
    settings = replace(model.settings, limits={f"{GUARD}/{metric}": level})
    context = replace(plant.context, model=replace(model, settings=settings))
    faulty = {**plant.frames, "actions": rows.assign(extra=extras)}
    return PlantedFrames(faulty, plant.frames, context, "model", f"{len(rows):,} predictions of {model.name} with their outcome.")


def errors_are_followed(plant: FramesPlant) -> PlantedFrames:
    """People follow the model in a share of its errors that they overrode before."""
    return _relied(plant, "over_reliance", right=False)


def right_answers_are_overridden(plant: FramesPlant) -> PlantedFrames:
    """People override the model in a share of its right answers that they followed before."""
    return _relied(plant, "under_reliance", right=True)


POINTS = "points"
FAULTS: dict[str, FrameFault] = {
    each.name: each
    for each in (
        FrameFault("less_robust_version", (0.08, 0.15, 0.3), POINTS, HEADLINES["robustness"], less_robust_version),
        FrameFault("more_exposed_records", (0.03, 0.1, 0.4), POINTS, HEADLINES["membership"], more_exposed_records),
        FrameFault("less_stable_explanations", (0.1, 0.25, 0.5), "less correlation", HEADLINES["explanations"], less_stable_explanations),
        FrameFault("larger_gap_under_shift", (0.08, 0.2, 0.4), POINTS, HEADLINES["fairness"], larger_gap_under_shift),
        FrameFault("feature_that_knows_the_label", (0.08, 0.2, 0.4), POINTS, HEADLINES["leakage"], feature_that_knows_the_label),
        FrameFault("training_rows_in_held_out_ones", (0.03, 0.1, 0.4), POINTS, OVERLAP, training_rows_in_held_out_ones),
        FrameFault("expired_audit", (1.0, 30.0, 200.0), "days ago", "audit_days_left", expired_audit),
        FrameFault("missing_batch_rows", (0.02, 0.05, 0.4), "share of the keys", "missing_key_rate", missing_batch_rows, GATE),
        FrameFault("late_batch", (1.5, 4.0, 12.0), "hours", "batch_late_hours", late_batch, GATE),
        FrameFault("batch_of_defaults", (0.12, 0.2, 0.6), "share of rows", "batch_default_rate", batch_of_defaults, GATE),
        FrameFault("repeated_batch_keys", (0.005, 0.05, 0.3), "share of rows", "duplicate_key_rate", repeated_batch_keys, GATE),
        FrameFault("drifted_batch", (0.7, 1.0, 2.0), "standard deviations", "batch_score_drift", drifted_batch, GATE),
        FrameFault("second_content", (1.0, 2.0, 5.0), "further contents", "dataset_contents", second_content, DATASETS),
        FrameFault("lossy_stored_form", (0.012, 0.03, 0.1), "share of decisions", FLIPS, lossy_stored_form, STORAGE),
        FrameFault("stored_form_hurts_a_group", (0.05, 0.15, 0.4), "share of the group", GAP, stored_form_hurts_a_group, STORAGE),
        FrameFault("stored_form_loses_values", (1.0, 20.0, 1000.0), "values", LOST, stored_form_loses_values, STORAGE),
        FrameFault("stored_form_saves_nothing", (0.02, 0.1, 0.5), "share of the bytes more", SAVED, stored_form_saves_nothing, STORAGE),
        FrameFault("stored_form_other_than_decided", (1.0, 7.0, 60.0), "days", UNDECIDED, stored_form_other_than_decided, STORAGE),
        FrameFault("stored_pictures_lose_detail", (0.2, 2.0, 8.0), "dB", "stored_psnr", stored_pictures_lose_detail, STORAGE),
        FrameFault("errors_are_followed", (0.3, 0.6, 0.9), "share of errors", "over_reliance", errors_are_followed, GUARD),
        FrameFault(
            "right_answers_are_overridden", (0.1, 0.3, 0.6), "share of answers", "under_reliance", right_answers_are_overridden, GUARD
        ),
        FrameFault("other_drivers", (0.3, 0.5, 0.9), "share of its attribution", "attribution_distance", other_drivers, EXPLANATIONS),
        FrameFault(
            "attributions_of_another_output",
            (0.03, 0.1, 0.5),
            "share of predictions",
            "additivity_residual",
            attributions_of_another_output,
            EXPLANATIONS,
        ),
    )
}
